"""Read orders and log entries from the database, newest place first or oldest.

Every read is one statement, so it sees one snapshot and leaves no transaction open. The caller
bounds it by the log's head: what is committed but not yet published is not seen, so that a
cursor from a query is never ahead of the log.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import groupby
from typing import Any

import orjson
from sqlalchemy import Select, Subquery, bindparam, func, or_, select
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from db.cursor import encode_cursor
from db.driver_errors import DRIVER_ERRORS
from db.errors import OverloadedError, UnavailableError
from db.lifecycle.texts import apply_state, decode_detail, placed_items, placed_state
from db.records import LogEntry, LogHead, NewItem, Order, to_datetime
from db.tables import log_entries, log_head, order_items, orders
from db.turns import in_turns

_ROWS_AT_ONCE = 1000
_NEVER = 2**62

# An order as it was placed, its state as of now, and whether that is from before there were states.
_ORDER_COLUMNS = (
    orders.c.id,
    orders.c.seq,
    func.coalesce(orders.c.placed_table, orders.c.table_name).label("placed"),
    orders.c.created_at_us,
    orders.c.note,
    orders.c.adds_to,
    orders.c.state,
    orders.c.closed_seq,
)
_ITEM_COLUMNS = tuple(column for column in order_items.c if not column.primary_key)
_ITEMS_FROM = len(_ORDER_COLUMNS)
_CONTENT_FROM = _ITEMS_FROM + 2
_ITEMS_TO = _ITEMS_FROM + len(_ITEM_COLUMNS)
_STATE = 6
_PLAIN = (None,) * (_ITEMS_TO - _CONTENT_FROM)
_BETWEEN = (orders.c.seq > bindparam("newer_than"), orders.c.seq < bindparam("older_than"))


def _with_items(page: Subquery) -> Select[Any]:
    own = [page.c[column.name] for column in _ORDER_COLUMNS]
    more = [column for column in page.c if column.name not in {each.name for each in own}]
    return select(*own, *_ITEM_COLUMNS, *more).join(
        order_items, order_items.c.order_id == page.c.id
    )


def _page_statement(*, of_table: bool, newest_first: bool) -> Select[Any]:
    page = select(*_ORDER_COLUMNS).where(*_BETWEEN).limit(bindparam("count"))
    if of_table:
        page = page.where(orders.c.table_name == bindparam("table"))
    page = page.order_by(orders.c.seq.desc() if newest_first else orders.c.seq)
    rows = page.subquery("page")
    return _with_items(rows).order_by(
        rows.c.seq.desc() if newest_first else rows.c.seq, order_items.c.position
    )


def _entries_statement(*, of_order: bool = False) -> Select[Any]:
    entries = select(log_entries).where(
        log_entries.c.seq > bindparam("after"),
        log_entries.c.seq <= bindparam("up_to"),
    )
    if of_order:
        entries = entries.where(log_entries.c.order_id == bindparam("id"))
    page = entries.order_by(log_entries.c.seq).limit(bindparam("count")).subquery("entry")
    return (
        select(
            *(column.label(f"order_{column.name}") for column in _ORDER_COLUMNS),
            *_ITEM_COLUMNS,
            page.c.seq.label("entry_seq"),
            page.c.kind,
            page.c.created_at_us.label("entry_at_us"),
            page.c.state.label("entry_state"),
            page.c.detail,
            page.c.token_id,
        )
        .join_from(page, orders, orders.c.id == page.c.order_id)
        .join(order_items, order_items.c.order_id == orders.c.id)
        .order_by(page.c.seq, order_items.c.position)
    )


# Built once: building a statement costs more than running it.
_PAGES = {
    (of_table, newest_first): _page_statement(of_table=of_table, newest_first=newest_first)
    for of_table in (False, True)
    for newest_first in (False, True)
}
_ANY = select(orders.c.id).where(*_BETWEEN).limit(1)
_ANY_OF_TABLE = _ANY.where(orders.c.table_name == bindparam("table"))
_ENTRIES = _entries_statement()
_HISTORY = _entries_statement(of_order=True)
_HEAD = select(
    log_head.c.epoch,
    log_head.c.last_seq,
    log_head.c.last_order_id,
    select(log_entries.c.created_at_us)
    .where(log_entries.c.seq == log_head.c.last_seq)
    .scalar_subquery()
    .label("created_at_us"),
)
_SEQ_OF_ORDER = select(orders.c.seq).where(orders.c.id == bindparam("id"))
_ORDER = _with_items(
    select(*_ORDER_COLUMNS)
    .where(orders.c.id == bindparam("id"), orders.c.seq <= bindparam("up_to"))
    .subquery("one")
).order_by(order_items.c.position)
_BY_ID = _with_items(
    select(*_ORDER_COLUMNS)
    .where(orders.c.id.in_(bindparam("ids", expanding=True)))
    .subquery("given")
).order_by("id", order_items.c.position)
_BY_KEY = _with_items(
    select(*_ORDER_COLUMNS, orders.c.idempotency_key)
    .where(orders.c.idempotency_key.in_(bindparam("keys", expanding=True)))
    .subquery("keyed")
).order_by("id", order_items.c.position)


def _open_statement(*, of_station: bool) -> Select[Any]:
    """Select the oldest open orders; of a station, those with a line of it or of every station."""
    page = select(*_ORDER_COLUMNS).where(*_BETWEEN, orders.c.closed_seq.is_(None))
    if of_station:
        at_station = select(order_items.c.order_id).where(
            order_items.c.order_id == orders.c.id,
            or_(order_items.c.station.is_(None), order_items.c.station == bindparam("station")),
        )
        page = page.where(at_station.exists())
    rows = page.order_by(orders.c.seq).limit(bindparam("count")).subquery("page")
    return _with_items(rows).order_by(rows.c.seq, order_items.c.position)


_OPEN = {of_station: _open_statement(of_station=of_station) for of_station in (False, True)}
_READY_OF_OPEN = (
    select(orders.c.id, orders.c.seq)
    .where(*_BETWEEN, orders.c.closed_seq.is_(None), orders.c.created_at_us < bindparam("before"))
    .order_by(orders.c.seq)
    .limit(bindparam("count"))
)


def _placed(rows: Iterable[Any], epoch: bytes) -> Iterator[tuple[Any, Order]]:
    """Group rows (an order's columns, then an item's) into orders as they were placed."""
    for _, group in groupby(rows, key=lambda row: row[0]):
        lines = list(group)
        first = lines[0]
        order_id, seq, table, created_at_us, note, adds_to, _, closed_seq = first[:_ITEMS_FROM]
        before_states = closed_seq == seq
        at = to_datetime(created_at_us)
        items = placed_items(map(_content, lines), at, before_states=before_states)
        cursor = encode_cursor(epoch, seq, created_at_us)
        state = placed_state(items, before_states=before_states)
        yield (
            first,
            Order(
                *(order_id, seq, table, items, at, cursor, note, adds_to, 1, state),
                before_states=before_states,
            ),
        )


def _content(row: Any) -> NewItem:
    if row[_CONTENT_FROM:_ITEMS_TO] == _PLAIN:
        return NewItem(*row[_ITEMS_FROM:_CONTENT_FROM])
    name, quantity, modifiers, alert, station, course, seat, held = row[_ITEMS_FROM:_ITEMS_TO]
    texts = tuple(orjson.loads(modifiers)) if modifiers else ()
    return NewItem(name, quantity, texts, alert, station, course, seat, bool(held))


def _to_orders(rows: Iterable[Any], epoch: bytes) -> Iterator[tuple[Any, Order]]:
    """Group rows into orders as they are now, each with its first row."""
    for first, order in _placed(rows, epoch):
        state = first[_STATE]
        yield first, order if state is None else apply_state(order, state)


def _to_entries(rows: Iterable[Any], epoch: bytes) -> Iterator[LogEntry]:
    """Group rows into entries, each with its order as of then."""
    for _, lines in groupby(rows, key=lambda row: row.entry_seq):
        for first, order in _placed(lines, epoch):
            entry = LogEntry(first.entry_seq, first.kind, order, first.entry_at_us)
            if first.entry_state is not None:
                entry = entry._replace(order=apply_state(order, first.entry_state))
            if first.detail is not None:
                about, by, reason = decode_detail(first.detail, first.token_id)
                entry = entry._replace(lines=about, by=by, reason=reason)
            yield entry


async def read_head(connection: AsyncConnection) -> LogHead:
    """Return the committed head of the log."""
    row = (await connection.execute(_HEAD)).one()
    return LogHead(
        bytes.fromhex(row.epoch), row.last_seq, row.last_order_id, row.created_at_us or 0
    )


async def read_keyed_orders(
    connection: AsyncConnection, keys: Sequence[str], epoch: bytes
) -> dict[str, Order]:
    """Return the stored orders that have one of these idempotency keys, by key."""
    rows = await connection.execute(_BY_KEY, {"keys": keys})
    return {row.idempotency_key: order for row, order in _to_orders(rows, epoch)}


async def read_entries(
    connection: AsyncConnection, *, epoch: bytes, after: int, up_to: int, count: int
) -> list[LogEntry]:
    """Return up to `count` entries of the log in order, `after` exclusive, `up_to` not."""
    rows = await connection.execute(_ENTRIES, {"after": after, "up_to": up_to, "count": count})
    return list(_to_entries(rows, epoch))


async def read_orders(
    connection: AsyncConnection, ids: Sequence[int], epoch: bytes
) -> dict[int, Order]:
    """Return the stored orders that have one of these ids, as they are now."""
    rows = await connection.execute(_BY_ID, {"ids": ids})
    return {order.id: order for _, order in _to_orders(rows, epoch)}


def _nothing() -> None:
    """Refuse nothing."""


class OrderReader:
    """Reads committed orders and entries.

    Raises `UnavailableError` when the database can't be read and `OverloadedError` when no
    connection becomes free in time. `check` is called before each read, to refuse it.
    """

    def __init__(self, engine: AsyncEngine, check: Callable[[], None] = _nothing) -> None:
        self._engine = engine
        self._check = check

    async def head(self) -> LogHead:
        """Return the committed head of the log."""
        async with self._connection() as connection:
            return await read_head(connection)

    async def order(self, order_id: int, *, epoch: bytes, up_to: int) -> Order | None:
        """Return an order, if its place in the log is not beyond `up_to`."""
        rows = await self._rows(_ORDER, id=order_id, up_to=up_to)
        return next((order for _, order in _to_orders(rows, epoch)), None)

    async def page(
        self,
        *,
        epoch: bytes,
        newer_than: int,
        older_than: int,
        table: str | None,
        count: int,
        newest_first: bool,
    ) -> list[Order]:
        """Return up to `count` orders between two places (both exclusive), from one end."""
        rows = await self._rows(
            _PAGES[table is not None, newest_first],
            newer_than=newer_than,
            older_than=older_than,
            count=count,
            **_of_table(table),
        )
        if len(rows) <= _ROWS_AT_ONCE:
            return [order for _, order in _to_orders(rows, epoch)]
        # Two hundred orders of a hundred items are 20,000 rows.
        return [order async for _, order in in_turns(_to_orders(rows, epoch))]

    async def open_orders(
        self, *, epoch: bytes, newer_than: int, up_to: int, station: str | None, count: int
    ) -> list[Order]:
        """Return up to `count` open orders after a place, oldest first, as they are now."""
        rows = await self._rows(
            _OPEN[station is not None],
            newer_than=newer_than,
            older_than=up_to + 1,
            count=count,
            **({} if station is None else {"station": station}),
        )
        return [order async for _, order in in_turns(_to_orders(rows, epoch))]

    async def open_before(
        self, at_us: int, *, newer_than: int, count: int
    ) -> list[tuple[int, int]]:
        """Return ids and places of up to `count` open orders placed before a time, oldest first."""
        rows = await self._rows(
            _READY_OF_OPEN, newer_than=newer_than, older_than=_NEVER, before=at_us, count=count
        )
        return [(row.id, row.seq) for row in rows]

    async def history(self, order_id: int, *, epoch: bytes, up_to: int) -> list[LogEntry]:
        """Return all entries of an order, in order."""
        rows = await self._rows(_HISTORY, id=order_id, after=0, up_to=up_to, count=_NEVER)
        return [entry async for entry in in_turns(_to_entries(rows, epoch))]

    async def any_order(self, *, newer_than: int, older_than: int, table: str | None) -> bool:
        """Tell whether there is an order between two places, both exclusive."""
        statement = _ANY if table is None else _ANY_OF_TABLE
        return bool(
            await self._rows(
                statement, newer_than=newer_than, older_than=older_than, **_of_table(table)
            )
        )

    async def seq_of(self, order_id: int) -> int | None:
        """Return the place of an order's creation in the log."""
        rows = await self._rows(_SEQ_OF_ORDER, id=order_id)
        return rows[0].seq if rows else None

    async def entries(self, *, epoch: bytes, after: int, up_to: int, count: int) -> list[LogEntry]:
        """Return up to `count` entries of the log in order, `after` exclusive, `up_to` not."""
        async with self._connection() as connection:
            return await read_entries(
                connection, epoch=epoch, after=after, up_to=up_to, count=count
            )

    async def _rows(self, statement: Select[Any], **parameters: object) -> Sequence[Any]:
        async with self._connection() as connection:
            rows: Sequence[Any] = (await connection.execute(statement, parameters)).all()
            return rows

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        self._check()
        with _clear_errors():
            async with self._engine.connect() as connection:
                try:
                    yield connection
                except TimeoutError:
                    # The server may yet answer, and that would be taken for the next one's.
                    await connection.invalidate()
                    raise


def _of_table(table: str | None) -> dict[str, str]:
    return {} if table is None else {"table": table}


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise OverloadedError("Too many reads are waiting. Try again shortly.") from error
    except DRIVER_ERRORS as error:
        raise UnavailableError("The database can't be read now. Try again shortly.") from error
