"""`order` and `orders`: read orders back, newest first, by place in the log."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.cursor import place_of
from db.records import LogHead, Order
from resolvers.context import Service
from resolvers.limits import PAGE_DEFAULT_ORDERS
from resolvers.places import find_place
from resolvers.validation import BadUserInputError, order_id_of, validate_count, validate_table


@dataclass(frozen=True, slots=True)
class PageInfo:
    """Where a page stands in its list."""

    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True, slots=True)
class OrderEdge:
    """An order and its cursor."""

    node: Order

    @property
    def cursor(self) -> str:
        """The order's place in the log."""
        return self.node.cursor


@dataclass(frozen=True, slots=True)
class OrderConnection:
    """A page of orders, newest first."""

    nodes: Sequence[Order]
    page_info: PageInfo

    @property
    def edges(self) -> list[OrderEdge]:
        """The same orders in Relay's form."""
        return [OrderEdge(order) for order in self.nodes]


async def get_order(service: Service, order_id: str) -> Order | None:
    """Return one order; None if there is none, or the text can't be an id."""
    known_id = order_id_of(order_id)
    if known_id is None:
        return None
    await service.log.refresh()
    head = service.log.head
    return await service.reader.order(known_id, epoch=head.epoch, up_to=head.seq)


async def list_orders(
    service: Service,
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    table: str | None,
) -> OrderConnection:
    """Return a page of the list of orders, newest first; `after` means older, `before` newer.

    Orders placed meanwhile have newer places, so they never move what a pager has yet to see.
    Raises `BadUserInputError`, `BadCursorError`, `CursorExpiredError`, and the reader's errors.
    """
    table = validate_table(table)
    validate_count("first", first)
    validate_count("last", last)
    if first is not None and last is not None:
        raise BadUserInputError("first and last can't be given together.")
    await service.log.refresh()
    newer_than = 0
    if before is not None:
        newer_than = await find_place(service, "before", before, service.log.read)
    head = service.log.head
    span = _Span(
        head,
        newer_than=newer_than,
        older_than=head.seq + 1 if after is None else place_of("after", after, head).seq,
        table=table,
    )
    count = last or first or PAGE_DEFAULT_ORDERS
    found = await _read(service, span, count + 1, backward=last is not None)
    more, nodes = len(found) > count, found[:count]
    if last is not None:
        nodes.reverse()
    newer = after is not None and await service.reader.any_order(
        newer_than=span.older_than - 1, older_than=head.seq + 1, table=table
    )
    older = before is not None and await service.reader.any_order(
        newer_than=0, older_than=span.newer_than + 1, table=table
    )
    return OrderConnection(
        nodes,
        PageInfo(
            has_next_page=older or (more and last is None),
            has_previous_page=newer or (more and last is not None),
            start_cursor=nodes[0].cursor if nodes else None,
            end_cursor=nodes[-1].cursor if nodes else None,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Span:
    """The part of the list that a page is taken from: between two places, both exclusive."""

    head: LogHead
    newer_than: int
    older_than: int
    table: str | None


async def _read(service: Service, span: _Span, count: int, *, backward: bool) -> list[Order]:
    """Return orders from the newer end of a span, or backward from the older one."""
    # Only the list's beginning, which everybody asks for, comes from memory: so a page further
    # down costs the same however large the database is.
    if span.older_than > span.head.seq and span.table is None and not backward:
        found = service.log.newest_orders(newer_than=span.newer_than, count=count)
        if found is not None:
            return found
    return await service.reader.page(
        epoch=span.head.epoch,
        newer_than=span.newer_than,
        older_than=span.older_than,
        table=span.table,
        count=count,
        newest_first=not backward,
    )
