"""Entries of kinds that this version doesn't know: everything that reads the log passes over them.

While a service is upgraded, instances of the next version write such entries to the same log.
"""

import asyncio
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from db.migrate import migrate
from db.postgres.connecting import Target
from db.postgres.holding import hold_tables
from db.records import EntryKind
from resolvers.clock import whereabouts
from resolvers.context import Service
from resolvers.order_created import OrderFeed, follow_orders
from resolvers.orders import list_orders
from tests.conftest import OpenService
from tests.support.databases import AnyDatabase, PostgresDatabase, writer_engine
from tests.support.future import append_later_entries, later_migrations
from tests.support.orders import soup
from tests.support.waiting import DEADLINE_SECONDS, until


async def followed(feed: OrderFeed, count: int) -> list[int]:
    """Return the ids of the next orders of a feed."""
    ids: list[int] = []
    async with asyncio.timeout(DEADLINE_SECONDS), aclosing(feed.pages()) as pages:
        while len(ids) < count:
            page = await anext(pages)
            assert page, "a page of a feed is never empty"
            ids += [entry.order.id for entry in page]
    return ids


async def listed(service: Service, **arguments: object) -> list[int]:
    given = {"first": None, "after": None, "last": None, "before": None, "table": None}
    page = await list_orders(service, **{**given, **arguments})  # type: ignore[arg-type]
    return [order.id for order in page.nodes]


@pytest.mark.parametrize("memory_max_entries", [1, 7, 5000])
async def test_a_log_with_later_kinds_is_read_and_written_on(
    open_service: OpenService, database: AnyDatabase, memory_max_entries: int
) -> None:
    async with open_service() as service:
        for table in "123":
            await service.writer.create_order(soup(table))
    append_later_entries(database, 2)
    async with open_service() as service:
        for table in "12":
            newest = await service.writer.create_order(soup(table))
    append_later_entries(database, 120, order_id=3)

    async with open_service(log_memory_max_entries=memory_max_entries) as service:
        log = service.log
        assert (log.head.seq, log.head.order_id) == (127, 5)
        assert log.newest_order == newest.cursor
        everything = await log.read(0, 200)
        assert [entry.seq for entry in everything] == list(range(1, 128))

        assert await followed(OrderFeed(log, 0, service.screens), 5) == [1, 2, 3, 4, 5]
        feed = await follow_orders(service, after=None, last=2)
        assert await followed(feed, 2) == [4, 5]
        assert await listed(service) == [5, 4, 3, 2, 1]
        assert await listed(service, table="2") == [5, 2]
        assert await listed(service, last=2) == [2, 1]

        # A place of such an entry is a place like any other.
        feed = await follow_orders(service, after=whereabouts(service)["head"], last=None)
        assert feed.place == 127
        placed = await service.writer.create_order(soup("9"))
        assert (placed.id, placed.seq, log.newest_order) == (6, 128, placed.cursor)
        assert await listed(service, first=1) == [6]
        assert await followed(feed, 1) == [6]


@pytest.mark.postgres
async def test_instance_goes_on_while_the_next_version_migrates_and_writes(
    open_service: OpenService,
    postgres: PostgresDatabase,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    total = 60
    async with open_service(log_memory_max_entries=50) as service, open_service() as other:
        first = await service.writer.create_order(soup("1"))

        async def upgrade() -> None:
            """Write now and then more than an instance reads in one page, of other kinds only."""
            dice, loop = random.Random(1), asyncio.get_running_loop()
            target = Target(make_url(postgres.url), prepared_statements=True)
            engine = target.migration_engine()
            await migrate(engine, "later", later_migrations(tmp_path), before_change=hold_tables)
            await engine.dispose()
            with ThreadPoolExecutor(1) as later:
                for _ in range(8):
                    count = dice.choice([1, 3, 1200])
                    await loop.run_in_executor(later, append_later_entries, postgres, count)

        async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
            feeds = [
                group.create_task(followed(OrderFeed(each.log, 0, each.screens), total))
                for each in (service, other)
            ]
            group.create_task(upgrade())
            for number in range(total - 1):
                placed = await (service, other)[number % 2].writer.create_order(soup(f"{number}"))
                assert (await listed(service, first=1)) == [placed.id]
        for feed in feeds:
            assert feed.result() == list(range(1, total + 1))
        ((last_seq,),) = postgres.rows("SELECT last_seq FROM log_head")
        for each in (service, other):
            await each.log.refresh()
            assert (each.log.head.seq, each.log.head.order_id) == (last_seq, total)
            assert each.log.newest_order == placed.cursor
        assert await service.reader.order(1, epoch=service.log.head.epoch, up_to=1) == first
        kinds = {entry.kind for entry in await service.log.read(0, last_seq)}
        assert len(kinds) == 2
        assert EntryKind.ORDER_CREATED in kinds
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


@pytest.mark.postgres
async def test_migration_lets_an_instance_go_on_that_has_what_it_needs(
    service: Service, postgres: PostgresDatabase, tmp_path: Path
) -> None:
    """Else each would wait for the other, and PostgreSQL would end one of them."""
    await service.writer.create_order(soup())

    async def upgrade() -> None:
        engine = Target(make_url(postgres.url), prepared_statements=True).migration_engine()
        await migrate(engine, "later", later_migrations(tmp_path), before_change=hold_tables)
        await engine.dispose()

    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    with ThreadPoolExecutor(1) as later:
        async with writer_engine(service).connect() as instance:
            await instance.execution_options(isolation_level="READ COMMITTED")
            for table in ("log_entries", "log_head", "order_items", "orders"):
                await instance.execute(text(f"SELECT * FROM {table}"))
                if table == "log_entries":
                    upgrading = later.submit(asyncio.run, upgrade())
                if table != "orders":
                    await until(lambda: postgres.rows(waiting) != [], "the migration to wait")
            assert not upgrading.done()
            await instance.rollback()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.wrap_future(upgrading)
    assert postgres.rows("SELECT version_num FROM alembic_version") == [("9001",)]
