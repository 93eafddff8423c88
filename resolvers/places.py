"""Where in the order log a cursor leads to."""

from collections.abc import Awaitable, Callable, Sequence

from db.cursor import mark_of, place_of
from db.errors import CursorExpiredError
from db.order_log import OrderLog
from db.records import LogEntry
from resolvers.context import Service

Read = Callable[[int, int], Awaitable[Sequence[LogEntry]]]


async def find_place(service: Service, name: str, cursor: str, read: Read) -> int:
    """Return the sequence number that a cursor names, if its entry is in the log.

    `read` reads the log; `name` is what messages call the cursor. Raises `BadCursorError`,
    `CursorExpiredError`, and what `read` raises.
    """
    try:
        return await _find(service.log, name, cursor, read)
    except CursorExpiredError:
        # It may come from another process, which knows more than this one has heard of.
        await service.log.refresh()
        return await _find(service.log, name, cursor, read)


async def _find(log: OrderLog, name: str, cursor: str, read: Read) -> int:
    place = place_of(name, cursor, log.head)
    if place.seq and place.mark is not None:
        entries = await read(place.seq - 1, 1)
        if not entries or mark_of(entries[0].created_at_us) != place.mark:
            raise CursorExpiredError(
                f"{name} names an entry that the order log no longer has: the database went back "
                "in time. Start anew without it."
            )
    return place.seq
