"""What lets a screen show true ages and know whether it is behind: our time, and the log's head."""

from datetime import UTC, datetime

from db.cursor import encode_cursor
from resolvers.context import Service


def server_time() -> datetime:
    """Return the time by the clock that also stamps orders."""
    return datetime.now(UTC)


def whereabouts(service: Service) -> dict[str, str]:
    """Return what a screen is told unasked: the time, the newest entry's place, the newest order's.

    Both are cursors also while the log is empty: whoever follows the orders after them misses none.
    They differ if the newest entry is of another kind: a screen that follows the orders never
    comes to such a place.
    """
    head = service.log.head
    cursor = encode_cursor(head.epoch, head.seq, head.created_at_us)
    return {
        "serverTime": server_time().isoformat(),
        "head": cursor,
        "newestOrder": service.log.newest_order,
    }
