"""PostgreSQL: several services on one log, and what may go wrong between them and it."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, event, make_url

from app import run_service
from db.errors import StartError, UnavailableError
from db.records import NewItem, NewOrder
from db.tables import access_metadata, metadata
from execution.response import Response
from execution.shared.answers import SharedAnswers
from resolvers.context import Service
from resolvers.orders import get_order
from server.settings import Settings
from tests.conftest import OpenService
from tests.support.databases import LOSE_THE_SECOND, PostgresDatabase, writer_engine
from tests.support.instances import Instances
from tests.support.orders import CREATE_ORDER, soup, soup_input
from tests.support.relay import open_relay
from tests.support.waiting import DEADLINE_SECONDS, until

pytestmark = pytest.mark.postgres

# The server may be one that others use too.
LISTENERS = "datname = current_database() AND (query LIKE 'LISTEN%' OR query = 'SELECT 1')"


async def seen_up_to(service: Service, seq: int) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await service.log.wait_beyond(seq - 1)


async def test_migrations_make_the_tables_that_the_code_declares(service: Service) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection)
        return list(compare_metadata(context, cast("Any", [metadata, access_metadata])))

    async with writer_engine(service).connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_instances_that_start_together_migrate_once(
    postgres: PostgresDatabase,
) -> None:
    settings = Settings.model_validate({"database_url": postgres.url})

    async def epoch() -> bytes:
        async with run_service(settings) as service:
            return service.log.head.epoch

    assert len(set(await asyncio.gather(*(epoch() for _ in range(4))))) == 1
    assert postgres.rows("SELECT last_seq FROM log_head") == [(0,)]


async def test_database_of_another_program_is_refused(
    open_service: OpenService, postgres: PostgresDatabase
) -> None:
    postgres.change("CREATE TABLE recipes (id INTEGER)")
    with pytest.raises(StartError, match=r"not Bistro92's.*recipes"):
        async with open_service():
            pass


async def test_reads_at_the_same_time_share_one_look_at_the_database(service: Service) -> None:
    looks: list[str] = []
    engine = service.reader._engine.sync_engine

    @event.listens_for(engine, "before_cursor_execute")
    def count(_c: object, _u: object, statement: str, *_: object) -> None:
        looks.append(statement)

    await asyncio.gather(*(service.log.refresh() for _ in range(200)))
    assert len(looks) <= 2, "the poll's own, and one"


async def test_remembered_answer_is_not_given_once_another_instance_has_written(
    open_service: OpenService, postgres: PostgresDatabase
) -> None:
    settings = Settings.model_validate({"database_url": postgres.url})
    # The other is not `open_service`'s: a look of the first would seem to be left behind by it.
    async with open_service(database_poll_seconds=60) as one, run_service(settings) as other:
        answers = SharedAnswers(one.log)

        async def newest() -> Response:
            await one.log.refresh()
            return Response(b'{"data":%d}' % one.log.head.order_id)

        for number in range(1, 50):
            await other.writer.create_order(soup())
            for _ in range(3):
                assert answers.find(b"q") is None
                answer = await answers.compute(b"q", newest)
                assert answer.body == b'{"data":%d}' % number


async def test_lost_listening_connection_misses_nothing(
    open_service: OpenService, postgres: PostgresDatabase
) -> None:
    """Without polls: an order that is created while nobody listens is seen on reconnecting."""
    terminate = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {LISTENERS}"
    async with open_service() as writing, open_service(database_poll_seconds=60) as following:
        for number in range(1, 6):
            await until(
                lambda: len(postgres.rows(f"SELECT FROM pg_stat_activity WHERE {LISTENERS}")) >= 2,
                "listening",
            )
            postgres.change(terminate)
            await writing.writer.create_order(soup())
            await seen_up_to(following, number)


async def test_order_is_seen_although_no_hint_arrives(
    open_service: OpenService, postgres: PostgresDatabase
) -> None:
    """It listens where nobody notifies."""
    elsewhere = make_url(postgres.url).set(database="postgres")
    options = {"database_listen_url": elsewhere.render_as_string(hide_password=False)}
    async with (
        open_service() as writing,
        open_service(**options, database_poll_seconds=0.1) as following,
    ):
        await writing.writer.create_order(soup())
        await seen_up_to(following, 1)


async def test_instance_that_stands_still_holds_up_nobody(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    """It is stopped while the server stores its batch: the log's head is not in its hands."""
    with Instances(tmp_path, postgres, 2) as (stuck, other):
        postgres.change(
            "CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$",
            "CREATE TRIGGER sleep BEFORE INSERT ON orders FOR EACH ROW "
            "WHEN (NEW.table_name = 'slow') EXECUTE FUNCTION sleep()",
        )
        waiting = asyncio.create_task(
            asyncio.to_thread(stuck.execute, CREATE_ORDER, input=soup_input("slow"))
        )
        is_asleep = (
            "SELECT FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event = 'PgSleep'"
        )
        await until(lambda: bool(postgres.rows(is_asleep)), "the transaction")
        stuck.process.suspend()
        created = await asyncio.to_thread(other.data, CREATE_ORDER, input=soup_input())
        stuck.process.resume()
        answered = await waiting
    assert created["createOrder"]["order"]["id"] == "2"
    assert answered["data"]["createOrder"]["order"]["id"] == "1"


async def test_batch_that_fails_while_it_is_committed_is_not_acknowledged(
    service: Service, postgres: PostgresDatabase
) -> None:
    """The server has answered with the batch's numbers before it commits."""
    postgres.change(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'too late'; END $$",
        "CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW WHEN (NEW.table_name = 'late') EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(UnavailableError):
        await service.writer.create_order(soup("late"))
    assert service.log.head.seq == 0
    assert (await service.writer.create_order(soup())).id == 1
    assert postgres.rows("SELECT id, table_name FROM orders") == [(1, "1")]


async def test_database_whose_transactions_see_one_state_only_is_refused(
    open_service: OpenService, postgres: PostgresDatabase
) -> None:
    """A batch has to see what was committed while it waited for the log's head."""
    (name,) = postgres.rows("SELECT current_database()")[0]
    postgres.change(f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    with pytest.raises(StartError, match=r"default_transaction_isolation.*'read committed'"):
        async with open_service():
            pass


async def test_commit_whose_answer_is_lost_is_not_acknowledged_but_published_once(
    postgres: PostgresDatabase,
) -> None:
    async with open_relay(postgres) as relay:
        async with run_service(Settings.model_validate({"database_url": relay.url})) as service:
            first = await service.writer.create_order(soup())
            relay.lose_answers.set()
            with pytest.raises(UnavailableError):
                await service.writer.create_order(soup(key="k"))
            relay.lose_answers.clear()
            await seen_up_to(service, 2)
            again = await service.writer.create_order(soup(key="k"))
            third = await service.writer.create_order(soup())
            published = [entry.order for entry in await service.log.read(0)]
        assert published == [first, again, third]
        assert [order.id for order in published] == [1, 2, 3]


async def test_instance_that_vanishes_before_it_reads_an_answer_holds_up_nobody(
    open_service: OpenService, postgres: PostgresDatabase
) -> None:
    """Everybody sends again: what is stored already is more than sockets take on the way."""
    items = tuple(NewItem("x" * 100, 1) for _ in range(100))
    orders = [NewOrder("1", items, f"{number}") for number in range(500)]
    async with open_service() as other, open_relay(postgres) as relay:
        settings = Settings.model_validate({"database_url": relay.url, "busy_timeout_ms": 100})
        async with run_service(settings) as vanishing:
            await vanishing.writer.create_order(soup())
            await asyncio.gather(*(other.writer.create_order(order) for order in orders))
            relay.be_silent.set()
            again = [asyncio.create_task(vanishing.writer.create_order(order)) for order in orders]
            for number in range(502, 512):
                assert (await other.writer.create_order(soup())).id == number
                await asyncio.sleep(0.01)
            outcomes = await asyncio.gather(*again, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {UnavailableError}
    assert postgres.rows("SELECT count(*) FROM orders") == [(511,)]


async def test_batch_whose_answer_can_not_be_read_is_not_stored_once_more(
    service: Service, postgres: PostgresDatabase
) -> None:
    """The stored order of a key has been damaged; it is asked for together with new ones."""
    await service.writer.create_order(soup(key="k"))
    postgres.change("UPDATE orders SET created_at_us = 9000000000000000000 WHERE id = 1")
    outcomes = await asyncio.gather(
        *(service.writer.create_order(order) for order in (soup(key="k"), soup("2"), soup("3"))),
        return_exceptions=True,
    )
    assert {type(outcome) for outcome in outcomes} == {UnavailableError}
    assert postgres.rows("SELECT table_name FROM orders ORDER BY id") == [("1",), ("2",), ("3",)]


async def test_orders_are_committed_synchronously_whatever_the_database_says(
    open_service: OpenService, postgres: PostgresDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    (name,) = postgres.rows("SELECT current_database()")[0]
    postgres.change(f"ALTER DATABASE {name} SET synchronous_commit = off")
    async with open_service() as service:
        postgres.change(
            "ALTER TABLE orders ADD COLUMN committed text "
            "DEFAULT current_setting('synchronous_commit')"
        )
        await service.writer.create_order(soup())
        assert postgres.rows("SELECT committed FROM orders") == [("on",)]
    assert any("synchronous_commit is off" in record.message for record in caplog.records)


@pytest.mark.parametrize("placed_by_others", [0, 1, 2])
async def test_database_that_went_back_in_time_is_refused_even_if_it_grew_again(
    open_service: OpenService, postgres: PostgresDatabase, placed_by_others: int
) -> None:
    """An instance that went on would hide from its screens what has the numbers they know."""
    async with open_service(database_poll_seconds=60) as service:
        await service.writer.create_order(soup())
        await service.writer.create_order(soup("lost"))
        postgres.change(*LOSE_THE_SECOND)
        # Not `open_service`: a look of the first would seem to be left behind by the other.
        async with run_service(Settings.model_validate({"database_url": postgres.url})) as other:
            for _ in range(placed_by_others):
                await other.writer.create_order(soup("other"))
        with pytest.raises(UnavailableError):
            await service.writer.create_order(soup())
        with pytest.raises(UnavailableError, match="replaced"):
            await get_order(service, "1")
        assert service.log.head.seq == 2
        assert postgres.rows("SELECT max(id) FROM orders") == [(1 + placed_by_others,)]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://chef:s3cret@127.0.0.1:1/b",
        "postgresql+asyncpg:///b?host=/nowhere&user=chef&password=s3cret",
        "postgresql://chef:s3cret@127.0.0.1:1/b",
        "postgresql+asyncpg://chef:s3cret@127.0.0.1:1",
        "postgresql+asyncpg://chef:s3cret@127.0.0.1:port/b",
    ],
)
async def test_password_is_in_no_message(
    database_kind: str, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings.model_validate({"database_url": url, "database_listen_url": url})
    with pytest.raises(StartError) as refused:
        async with run_service(settings):
            pass
    assert "s3cret" not in f"{refused.value} {settings!r} {caplog.text}"
