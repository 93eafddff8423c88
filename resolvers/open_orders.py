"""`openOrders`: what is not closed, oldest first, as a screen starts with it."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.cursor import encode_cursor, place_of
from db.records import Order
from resolvers.context import Service
from resolvers.limits import PAGE_DEFAULT_ORDERS
from resolvers.orders import OrderEdge, PageInfo
from resolvers.validation import validate_count, validate_station


@dataclass(frozen=True, slots=True)
class OpenOrderConnection:
    """A page of open orders, oldest first; `as_of` is a place before which nothing is missing."""

    as_of: str
    nodes: Sequence[Order]
    page_info: PageInfo

    @property
    def edges(self) -> list[OrderEdge]:
        """The same orders in Relay's form."""
        return [OrderEdge(order) for order in self.nodes]


async def list_open_orders(
    service: Service, *, first: int | None, after: str | None, station: str | None
) -> OpenOrderConnection:
    """Return a page of the open orders, oldest first; `after` means newer.

    Each is as of the place `as_of` or later. Raises `BadUserInputError`, `BadCursorError`,
    `CursorExpiredError`, and the reader's errors.
    """
    station = validate_station(station)
    validate_count("first", first)
    await service.log.refresh()
    head = service.log.head
    newer_than = 0 if after is None else place_of("after", after, head).seq
    count = first or PAGE_DEFAULT_ORDERS
    found = await service.reader.open_orders(
        epoch=head.epoch, newer_than=newer_than, up_to=head.seq, station=station, count=count + 1
    )
    nodes = found[:count]
    return OpenOrderConnection(
        encode_cursor(head.epoch, head.seq, head.created_at_us),
        nodes,
        PageInfo(
            has_next_page=len(found) > count,
            has_previous_page=after is not None,
            start_cursor=nodes[0].cursor if nodes else None,
            end_cursor=nodes[-1].cursor if nodes else None,
        ),
    )
