"""`migrate-to`: from SQLite to PostgreSQL with the log, its screens and its keys, or not at all."""

import asyncio
import sqlite3
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app import run_service
from db.move.copying import move
from db.move.source import MOVED_TABLES
from db.tables import access_metadata, log_head, metadata
from db.tokens import Role
from server.commands.move import run_migrate_to
from server.settings import Settings
from tests.support.databases import AnyDatabase, Cluster, PostgresDatabase, Rows, SqliteFile
from tests.support.instances import Guests, first_cursor, watch
from tests.support.orders import CREATE_ORDER, soup, soup_input
from tests.support.server import ROOT, ServerProcess, clean_environment
from tests.support.tokens import create_tokens, tokens_of
from tests.support.waiting import DEADLINE_SECONDS, until, wait_until

pytestmark = pytest.mark.postgres

PASSWORD = "s3cr3t-in-no-output"
CONTENT = {
    "log_head": "SELECT epoch, last_seq, last_order_id FROM log_head",
    "orders": "SELECT id, seq, table_name, created_at_us, idempotency_key FROM orders ORDER BY id",
    "order_items": "SELECT order_id, position, name, quantity FROM order_items ORDER BY 1, 2",
    "log_entries": "SELECT seq, kind, order_id, created_at_us FROM log_entries ORDER BY seq",
}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE "


def content(database: AnyDatabase) -> dict[str, Rows]:
    return {name: database.rows(query) for name, query in CONTENT.items()}


def command(source: SqliteFile, target: PostgresDatabase) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "app.py", "migrate-to", target.url],
        cwd=ROOT,
        env=clean_environment(database_url=source.url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


async def migrate(source: SqliteFile, target: PostgresDatabase) -> tuple[int, str]:
    """Run the command while this loop goes on; return its status and all it says."""
    process = command(source, target)
    said, _ = await asyncio.to_thread(process.communicate)
    return process.returncode, said


async def fill(database: AnyDatabase, count: int = 20) -> None:
    """Serve a database for so many orders, each tenth without a key."""
    settings = Settings.model_validate({"database_url": database.url})
    async with run_service(settings) as service:
        orders = (soup(f"Säule {n} 🍲", f"key {n}" if n % 10 else None) for n in range(count))
        await asyncio.gather(*(service.writer.create_order(order) for order in orders))


@pytest.fixture
def source(tmp_path: Path) -> SqliteFile:
    """A database that nobody serves any more."""
    database = SqliteFile(tmp_path / "source.db")
    asyncio.run(fill(database))
    return database


async def test_guests_and_screens_move_along_and_nothing_is_lost(
    cluster: Cluster, postgres: PostgresDatabase, tmp_path: Path
) -> None:
    """The source is copied while it serves, for a try; then it is killed under load, and moved."""
    clients, each = 6, 60
    total = clients * each
    source = SqliteFile(tmp_path / "source.db")
    old, new = ServerProcess(tmp_path, source), ServerProcess(tmp_path, postgres)
    urls = [old.url, new.url]
    guests = Guests(urls)
    seen: list[list[int]] = [[] for _ in range(3)]

    async def placed(part: float) -> None:
        await until(lambda: len(guests.acknowledged) > part * total, f"{part} of the orders")

    with old, cluster.database() as rehearsal:
        cursor = first_cursor(old)
        screens = [asyncio.create_task(watch(urls, cursor, total + 1, ids)) for ids in seen]
        placing = [asyncio.create_task(guests.place_all(n, each)) for n in range(clients)]
        await placed(0.1)
        acknowledged = set(guests.acknowledged.values())
        status, said = await migrate(source, rehearsal)
        assert status == 0, said
        ((last,),) = rehearsal.rows("SELECT last_seq FROM log_head")
        assert f"up to order {last} and log entry {last}" in said
        assert f"The source is being served: orders after {last} are not in the copy" in said
        assert acknowledged <= set(range(1, last + 1)), "what was acknowledged before is copied"
        for name, rows in content(rehearsal).items():
            if name != "log_head":
                assert rows == content(source)[name][: len(rows)]
        assert rehearsal.rows("SELECT count(*) FROM log_entries") == [(last,)]
        await placed(0.4)
        await asyncio.to_thread(old.kill)
    files = {path: path.read_bytes() for path in (source.path, Path(f"{source.path}-wal"))}
    assert files[Path(f"{source.path}-wal")], "orders that are in the write-ahead log only"
    status, said = await migrate(source, postgres)
    assert status == 0, said
    assert "served" not in said
    assert files == {path: path.read_bytes() for path in files}, "the source is only read"
    assert content(postgres) == content(source)
    try:
        await asyncio.to_thread(new.start)
        await asyncio.gather(*placing, *screens)
        again = new.data(CREATE_ORDER, input=soup_input("1", "0-0"))["createOrder"]["order"]
    finally:
        new.kill()
        new.http.close()
    everything = list(range(2, total + 2))
    assert seen == [everything] * 3
    assert int(again["id"]) == guests.acknowledged["0-0"], "the first one, by its key"
    stored = postgres.rows("SELECT idempotency_key, id FROM orders WHERE id > 1")
    assert dict(stored) == guests.acknowledged


@contextmanager
def blocked_half_way(
    source: SqliteFile, target: PostgresDatabase
) -> Iterator[subprocess.Popen[str]]:
    """Run the command up to the items; orders are copied by then. Let it go on in the end."""
    connection = target.run(target.connect())
    target.run(connection.execute("BEGIN; LOCK TABLE order_items IN SHARE MODE"))
    with command(source, target) as process:
        wait_until(
            lambda: (
                target.rows(f"{WAITING} 'COPY%order_items%'") == [(1,)]
                or process.poll() is not None
            ),
            "the copy to be half-way",
        )
        assert process.poll() is None
        yield process
        target.run(connection.close())
        process.communicate(timeout=DEADLINE_SECONDS)


async def test_killed_half_way_then_run_again_while_an_instance_starts(
    source: SqliteFile, postgres: PostgresDatabase, tmp_path: Path
) -> None:
    await fill(postgres, 0)
    empty = content(postgres)
    with blocked_half_way(source, postgres) as process:
        process.kill()
    wait_until(lambda: postgres.rows(f"{WAITING} 'COPY%'") == [(0,)], "the end of the transaction")
    assert content(postgres) == empty

    server = ServerProcess(tmp_path, postgres)
    try:
        with blocked_half_way(source, postgres) as process:
            server.spawn()
            wait_until(
                lambda: postgres.rows(f"{WAITING} '%pg_advisory_xact_lock%'") == [(1,)],
                "the instance to wait",
            )
            assert server.is_running
        assert process.returncode == 0
        assert content(postgres) == content(source)
        wait_until(server.is_ready, "the instance that waited")
        (first,) = server.data("{ orders(last: 1) { nodes { id } } }")["orders"]["nodes"]
        assert first == {"id": "1"}
    finally:
        server.kill()
        server.http.close()


def refused(source: SqliteFile, url: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command where it must fail, and return what it says."""
    settings = Settings.model_validate({"database_url": source.url})
    assert run_migrate_to(settings, Namespace(urls=[url])) == 1
    said = capsys.readouterr()
    assert PASSWORD not in said.out + said.err
    assert said.err.startswith("Nothing was moved. "), said
    return said.err


BREAK_AN_ITEM = """
CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.name := 'Sand'; RETURN NEW; END $$;
CREATE TRIGGER spoil BEFORE INSERT ON order_items
FOR EACH ROW WHEN (NEW.order_id = 7 AND NEW.position = 1) EXECUTE FUNCTION spoil()
"""
LOSE_AN_ENTRY = """
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER lose BEFORE INSERT ON log_entries
FOR EACH ROW WHEN (NEW.seq = 20) EXECUTE FUNCTION lose()
"""


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (BREAK_AN_ITEM, "order_items has 40 rows of 40, or others"),
        (LOSE_AN_ENTRY, "log_entries has 19 rows of 20"),
        ("UPDATE log_head SET last_seq = 1", "is not empty: its log is at 1"),
        ("INSERT INTO orders VALUES (1, 1, '1', 1, NULL)", "is not empty: its log is at 0"),
        ("UPDATE alembic_version SET version_num = '9999'", "newer version"),
        ("ALTER TABLE orders ADD CHECK (id < 20)", "violates check constraint"),
    ],
)
def test_target_that_does_not_hold_exactly_the_source_is_unchanged(
    source: SqliteFile,
    postgres: PostgresDatabase,
    capsys: pytest.CaptureFixture[str],
    statement: str,
    reason: str,
) -> None:
    asyncio.run(fill(postgres, 0))
    postgres.change(statement)
    before = content(postgres)
    assert reason in refused(source, postgres.url, capsys)
    assert content(postgres) == before


def test_target_that_is_not_ours_or_not_there(
    source: SqliteFile, postgres: PostgresDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    postgres.change("CREATE TABLE recipes (id INTEGER)")
    assert "is not Bistro92's" in refused(source, postgres.url, capsys)
    assert postgres.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(1,)]
    there = make_url(postgres.url).set(password=PASSWORD)
    for url, reason in (
        (there.set(database="nowhere"), "can't be filled"),
        (there.set(host="127.0.0.1", port=1, query={}), "can't be filled"),
        (there.set(drivername="postgresql"), "The target must be like"),
        (there.set(drivername="sqlite+aiosqlite"), "The target must be like"),
    ):
        shown = url.render_as_string(hide_password=False)
        assert reason in refused(source, shown, capsys)
    settings = Settings.model_validate({"database_url": source.url})
    assert run_migrate_to(settings, Namespace(urls=[shown, shown])) == 1
    assert PASSWORD not in capsys.readouterr().err


def test_source_that_is_not_whole(
    source: SqliteFile, postgres: PostgresDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    ((version,),) = source.rows("SELECT version_num FROM alembic_version")
    source.change("UPDATE alembic_version SET version_num = '0000'")
    assert "another version" in refused(source, postgres.url, capsys)
    source.change(
        f"UPDATE alembic_version SET version_num = '{version}'", "UPDATE log_head SET last_seq = 21"
    )
    assert "it has 20 of the 21" in refused(source, postgres.url, capsys)
    source.change("UPDATE log_head SET last_seq = 20", "UPDATE order_items SET quantity = 'many'")
    assert "Row 1 of order_items holds what PostgreSQL can't" in refused(
        source, postgres.url, capsys
    )
    with closing(sqlite3.connect(source.path)) as other, other:
        other.execute("DROP TABLE log_head")
    assert "is not a database of Bistro92" in refused(source, postgres.url, capsys)
    source.path.unlink()
    assert "There is no database" in refused(source, postgres.url, capsys)
    assert postgres.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


async def test_devices_keep_their_tokens(source: SqliteFile, postgres: PostgresDatabase) -> None:
    tokens = await create_tokens(source)
    await move(source.path, postgres.url, prepared_statements=True)
    async with tokens_of(postgres) as store:
        known = await store.load()
    found = {role: known.verify(text) for role, text in tokens.items()}
    assert {role: token and token.role for role, token in found.items()} == {r: r for r in Role}


@pytest.mark.usefixtures("database_kind")
def test_every_table_is_moved() -> None:
    tables = {*metadata.tables.values(), *access_metadata.tables.values()}
    assert {moved.table for moved in MOVED_TABLES} | {log_head} == tables
