"""Reading pages: the same orders as a plain list, at the same cost at any depth."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql.compiler import SQLCompiler

from db.errors import OverloadedError
from db.reader import _PAGES
from db.records import Order
from resolvers.context import Service
from resolvers.orders import OrderConnection, get_order, list_orders
from tests.conftest import OpenService
from tests.support.databases import AnyDatabase
from tests.support.orders import soup

TABLES = ["1", "2", "3"]


async def place_some(service: Service, count: int) -> list[Order]:
    """Create orders of several tables; return them newest first."""
    orders = await asyncio.gather(
        *(service.writer.create_order(soup(TABLES[n % 3])) for n in range(count))
    )
    return orders[::-1]


def ids(orders: Sequence[Order]) -> list[int]:
    return [order.id for order in orders]


async def page(service: Service, **given: Any) -> OrderConnection:
    arguments = dict.fromkeys(("first", "after", "last", "before", "table")) | given
    return await list_orders(service, **arguments)


@pytest.mark.parametrize("table", [None, "2", "nobody"])
@pytest.mark.parametrize("backward", [False, True])
@pytest.mark.parametrize("in_memory", [1, 8, 5000])
async def test_every_page_equals_a_slice_of_the_list(
    open_service: OpenService, table: str | None, backward: bool, in_memory: int
) -> None:
    """All combinations of one or two cursors and several sizes, against Relay's algorithm."""
    async with open_service(log_memory_max_entries=in_memory) as service:
        await compare_pages(service, table, backward)


async def compare_pages(service: Service, table: str | None, backward: bool) -> None:
    everything = await place_some(service, 17)
    of_table = [order for order in everything if table in (None, order.table)]
    cursors = [None, *(order.cursor for order in everything[::4])]
    places = {order.cursor: order.seq for order in everything}
    for after in cursors:
        for before in cursors:
            inside = [
                order
                for order in of_table
                if (after is None or order.seq < places[after])
                and (before is None or order.seq > places[before])
            ]
            newer = any(after and order.seq >= places[after] for order in of_table)
            older = any(before and order.seq <= places[before] for order in of_table)
            for size in (1, 3, 50):
                expected = inside[-size:] if backward else inside[:size]
                more = len(inside) > size
                count = {"last": size} if backward else {"first": size}
                found = await page(service, after=after, before=before, table=table, **count)
                assert ids(found.nodes) == ids(expected)
                assert found.page_info.has_next_page == (older or (more and not backward))
                assert found.page_info.has_previous_page == (newer or (more and backward))


async def test_orders_placed_while_paging_neither_repeat_nor_hide_an_order(
    service: Service,
) -> None:
    await place_some(service, 100)
    seen: list[int] = []
    after = None
    while True:
        found = await page(service, first=7, after=after)
        seen += ids(found.nodes)
        await place_some(service, 3)
        if not found.page_info.has_next_page:
            break
        after = found.page_info.end_cursor
    assert seen == list(range(100, 0, -1))


async def test_polling_with_before_and_last_sees_every_newer_order(service: Service) -> None:
    cursor = (await place_some(service, 1))[0].cursor
    seen: list[int] = []
    for count in (0, 1, 12, 3, 0, 30):
        await place_some(service, count)
        while True:
            found = await page(service, last=5, before=cursor)
            seen += reversed(ids(found.nodes))
            cursor = found.page_info.start_cursor or cursor
            if not found.page_info.has_previous_page:
                break
    assert seen == list(range(2, 48))


@pytest.mark.sqlite
async def test_what_is_committed_but_not_published_is_not_seen(
    open_service: OpenService,
) -> None:
    """A cursor from a query would otherwise be ahead of the log, and be refused."""
    async with open_service() as service:
        await place_some(service, 2)
        before = service.log.head
        await place_some(service, 1)
        service.log._head = before
        del service.log._newest[2:]
        assert ids((await page(service)).nodes) == [2, 1]
        assert await get_order(service, "3") is None
        assert await get_order(service, "2") is not None
        service.log._newest = []
        assert ids((await page(service)).nodes) == [2, 1]
        entries = await service.reader.entries(
            epoch=before.epoch, after=0, up_to=before.seq, count=9
        )
        assert [entry.seq for entry in entries] == [1, 2]


@pytest.mark.sqlite
@pytest.mark.parametrize(("of_table", "newest_first"), list(_PAGES))
async def test_page_costs_the_same_at_any_depth(
    service: Service, of_table: bool, newest_first: bool
) -> None:
    """The plan seeks to the cursor in an index; nothing is counted off or sorted to get there."""
    statement = _PAGES[of_table, newest_first]
    values = {"newer_than": 0, "older_than": 9, "count": 2, "table": "1"}
    async with service.reader._engine.connect() as connection:
        compiled = statement.compile(dialect=connection.dialect)
        assert isinstance(compiled, SQLCompiler)
        parameters = compiled.construct_params(values)
        given = tuple(parameters[name] for name in compiled.positiontup or ())
        plan = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", given)
        steps = [row.detail for row in plan]
    index = "ix_orders_table_name_seq" if of_table else "ux_orders_seq"
    assert any(step.startswith("SEARCH orders") and index in step for step in steps), steps
    assert not any(step.startswith("SCAN orders") for step in steps), steps
    # The page's own orders may be sorted with their items, the table may not.
    to_items = next(i for i, step in enumerate(steps) if step.startswith("SEARCH order_items"))
    assert not any("TEMP B-TREE" in step for step in steps[:to_items]), steps


@pytest.mark.sqlite
async def test_readers_cannot_write(service: Service) -> None:
    async with service.reader._engine.connect() as connection:
        with pytest.raises(OperationalError, match="readonly"):
            await connection.exec_driver_sql("DELETE FROM orders")


async def test_reader_is_not_held_up_by_a_running_transaction(
    service: Service, database: AnyDatabase
) -> None:
    await place_some(service, 1)
    with database.held():
        assert ids((await page(service)).nodes) == [1]
        assert await get_order(service, "1") is not None


async def test_read_that_finds_no_free_connection_is_refused_in_time(
    open_service: OpenService,
) -> None:
    async with open_service(reader_connections=1, busy_timeout_ms=50) as service:
        await place_some(service, 1)
        async with service.reader._engine.connect():
            with pytest.raises(OverloadedError):
                await get_order(service, "1")
        assert await get_order(service, "1") is not None
