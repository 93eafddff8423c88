"""The writer: what it promises its callers, with a second connection as the witness."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from app import drain
from db.errors import OverloadedError, UnavailableError
from db.records import Order
from resolvers.context import Service
from tests.conftest import OpenService
from tests.support.databases import AnyDatabase, stored_ids, writer_engine
from tests.support.orders import soup
from tests.support.waiting import until


async def create_orders(service: Service, count: int) -> list[Order]:
    return await asyncio.gather(
        *(service.writer.create_order(soup(str(number))) for number in range(count))
    )


async def test_500_concurrent_orders_are_dense_and_in_order(
    service: Service, database: AnyDatabase
) -> None:
    orders = await create_orders(service, 500)
    assert [order.id for order in orders] == list(range(1, 501))
    assert [order.seq for order in orders] == list(range(1, 501))
    assert stored_ids(database) == list(range(1, 501))
    assert database.rows("SELECT seq, order_id, kind FROM log_entries ORDER BY seq") == [
        (number, number, "order_created") for number in range(1, 501)
    ]
    assert database.rows("SELECT last_seq, last_order_id FROM log_head") == [(500, 500)]
    assert database.rows("SELECT count(*) FROM order_items") == [(1000,)]


async def test_an_order_is_on_disk_before_it_is_published_and_answered(
    service: Service, database: AnyDatabase
) -> None:
    creating = asyncio.create_task(service.writer.create_order(soup()))
    await service.log.wait_beyond(0)
    assert stored_ids(database) == [1]
    assert not creating.done()
    assert (await creating).id == 1


@pytest.mark.sqlite
async def test_concurrent_orders_share_a_commit(service: Service, sqlite_file: Path) -> None:
    with closing(sqlite3.connect(sqlite_file)) as witness:
        versions = {witness.execute("PRAGMA data_version").fetchone()}
        creating = asyncio.gather(*(service.writer.create_order(soup()) for _ in range(100)))
        while not creating.done():
            await asyncio.sleep(0)
            versions.add(witness.execute("PRAGMA data_version").fetchone())
        await creating
    assert len(versions) <= 3, "100 orders that wait together took more than two commits"


async def test_cancelled_caller_keeps_the_order_and_its_event(
    service: Service, database: AnyDatabase
) -> None:
    creating = asyncio.create_task(service.writer.create_order(soup()))
    await asyncio.sleep(0)
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    await service.log.wait_beyond(0)
    assert [entry.order.id for entry in await service.log.read(0)] == [1]
    assert stored_ids(database) == [1]


async def test_failed_batch_isolates_the_bad_order(service: Service, database: AnyDatabase) -> None:
    # Another index: a trigger is another dialect on each.
    database.change("CREATE UNIQUE INDEX poison ON orders (table_name) WHERE table_name = 'poison'")
    await service.writer.create_order(soup("poison"))
    tables = ["1", "poison", "2", "3"]
    outcomes = await asyncio.gather(
        *(service.writer.create_order(soup(table)) for table in tables), return_exceptions=True
    )
    assert isinstance(outcomes[1], sqlite3.IntegrityError | asyncpg.UniqueViolationError)
    assert [order.id for order in outcomes if isinstance(order, Order)] == [2, 3, 4]
    assert stored_ids(database) == [1, 2, 3, 4]
    assert (await service.writer.create_order(soup())).id == 5


async def test_order_beyond_the_queue_is_refused_at_once(
    open_service: OpenService, database: AnyDatabase
) -> None:
    async with open_service(writer_queue_max_orders=3) as service:
        outcomes = await asyncio.gather(
            *(service.writer.create_order(soup()) for _ in range(5)), return_exceptions=True
        )
        refused = [isinstance(outcome, OverloadedError) for outcome in outcomes]
        assert refused == [False, False, False, True, True]
        assert (await service.writer.create_order(soup())).id == 4
    assert stored_ids(database) == [1, 2, 3, 4]


@pytest.mark.sqlite
async def test_full_database_refuses_clearly_and_recovers(
    service: Service, database: AnyDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    await create_orders(service, 10)
    engine = writer_engine(service)
    async with engine.connect() as connection:
        (pages,) = (await connection.exec_driver_sql("PRAGMA page_count")).one()
        await connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    accepted, refused = 10, 0
    while refused == 0:
        outcomes = await asyncio.gather(
            *(service.writer.create_order(soup()) for _ in range(50)), return_exceptions=True
        )
        accepted += sum(isinstance(outcome, Order) for outcome in outcomes)
        refused += sum(isinstance(outcome, UnavailableError) for outcome in outcomes)
    assert stored_ids(database) == list(range(1, accepted + 1))
    assert service.log.head.order_id == accepted
    assert service.writer.alive

    async with engine.connect() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count=1073741823")
    assert (await service.writer.create_order(soup())).id == accepted + 1
    assert [record.message for record in caplog.records if "again" in record.message] == [
        "orders are stored again"
    ]


async def test_lock_from_outside_is_a_clear_error_and_passes(
    open_service: OpenService, database: AnyDatabase
) -> None:
    async with open_service(busy_timeout_ms=50) as service:
        with database.held():
            with pytest.raises(UnavailableError):
                await service.writer.create_order(soup())
            assert service.log.head.seq == 0
        assert (await service.writer.create_order(soup())).id == 1


@pytest.mark.sqlite
async def test_transaction_waits_for_a_lock_that_another_holds(
    service: Service, sqlite_file: Path
) -> None:
    """A deferred transaction would fail at once: it has read before it writes."""
    with closing(sqlite3.connect(sqlite_file, isolation_level=None)) as intruder:
        intruder.execute("BEGIN IMMEDIATE")
        intruder.execute("CREATE TABLE notes (id INTEGER)")
        creating = asyncio.create_task(service.writer.create_order(soup()))
        await asyncio.wait({creating}, timeout=0.2)
        assert not creating.done()
        intruder.execute("COMMIT")
        assert (await creating).id == 1


async def test_drain_waits_until_orders_are_answered(service: Service) -> None:
    sent = asyncio.Event()
    answering = asyncio.create_task(sent.wait())
    service.answering.add(answering)
    draining = asyncio.create_task(drain(service, 10))
    await asyncio.wait({draining}, timeout=0.2)
    assert not service.writer.alive
    assert not draining.done()
    sent.set()
    await draining


async def test_drain_gives_up_in_time(service: Service) -> None:
    answering = asyncio.create_task(asyncio.Event().wait())
    service.answering.add(answering)
    await drain(service, 0.05)
    assert not answering.done()
    answering.cancel()


async def test_close_commits_and_answers_what_is_queued(
    open_service: OpenService, database: AnyDatabase
) -> None:
    async with open_service(writer_batch_max_orders=10) as service:
        creating = [asyncio.create_task(service.writer.create_order(soup())) for _ in range(100)]
        await asyncio.sleep(0)
        await service.writer.close()
        with pytest.raises(UnavailableError):
            await service.writer.create_order(soup())
    assert [(await task).id for task in creating] == list(range(1, 101))
    assert stored_ids(database) == list(range(1, 101))


async def test_committed_order_whose_answer_was_lost_is_published_before_the_next(
    service: Service, database: AnyDatabase
) -> None:
    """Another connection stands for a commit that succeeded and was reported as failed."""
    first = await service.writer.create_order(soup())
    database.change(
        "INSERT INTO orders (id, seq, table_name, created_at_us, idempotency_key) "
        "VALUES (2, 2, 'lost', 0, 'k')",
        "INSERT INTO order_items (order_id, position, name, quantity) VALUES (2, 0, 'Soup', 1)",
        "INSERT INTO log_entries (seq, kind, order_id, created_at_us) "
        "VALUES (2, 'order_created', 2, 0)",
        "UPDATE log_head SET last_seq = 2, last_order_id = 2",
    )
    third = await service.writer.create_order(soup())
    published = [entry.order for entry in await service.log.read(0)]
    assert [order.id for order in published] == [first.id, 2, third.id] == [1, 2, 3]
    assert published[1].table == "lost"


@pytest.mark.parametrize("statement", ["SET epoch = '00'", "SET last_seq = 0, last_order_id = 0"])
async def test_nothing_is_written_to_a_database_that_was_replaced(
    service: Service, database: AnyDatabase, statement: str
) -> None:
    await service.writer.create_order(soup())
    database.change(f"UPDATE log_head {statement}")
    with pytest.raises(UnavailableError):
        await service.writer.create_order(soup())
    assert stored_ids(database) == [1]
    assert service.log.head.seq == 1


async def test_writer_outlives_a_failure_between_batches(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise OSError("the file is gone")

    monkeypatch.setattr(service.writer, "_after_commit", fail)
    assert [order.id for order in await create_orders(service, 3)] == [1, 2, 3]
    assert (await service.writer.create_order(soup())).id == 4


@pytest.mark.sqlite
async def test_wal_is_emptied_under_constant_readers(
    open_service: OpenService, sqlite_file: Path
) -> None:
    limit = 131_072
    async with open_service(wal_max_bytes=limit) as service:
        stopped = False

        async def read() -> None:
            while not stopped:
                await service.reader.any_order(newer_than=0, older_than=2**62, table=None)

        readers = [asyncio.create_task(read()) for _ in range(4)]
        largest = 0
        for _ in range(60):
            await create_orders(service, 50)
            largest = max(largest, Path(f"{sqlite_file}-wal").stat().st_size)
        stopped = True
        await asyncio.gather(*readers)
        await until(lambda: service.log.head.order_id == 3000, "all orders")
    assert largest < 4 * limit
    with closing(sqlite3.connect(sqlite_file)) as witness:
        assert witness.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
