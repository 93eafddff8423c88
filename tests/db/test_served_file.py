"""The database file is moved, deleted or replaced under the running service.

No order is acknowledged into a file that the next start won't open, and what was acknowledged
before is where the file is now.
"""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app import run_service
from db.errors import StartError, UnavailableError
from db.records import Order
from resolvers.context import Service
from server.settings import Settings
from tests.conftest import OpenService
from tests.support.databases import SqliteFile, stored_ids
from tests.support.harms import (
    HARMS,
    LOSSES,
    Harm,
    deleted,
    folder_moved,
    moved,
    moved_and_linked,
    replaced,
)
from tests.support.orders import soup
from tests.support.tokens import create_tokens
from tests.support.waiting import until

pytestmark = pytest.mark.sqlite


@pytest.fixture
async def file(tmp_path: Path) -> SqliteFile:
    """A database file in a folder of its own, and another database beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    other = SqliteFile(folder / "other.db")
    async with run_service(Settings.model_validate({"database_url": other.url})) as service:
        for _ in range(3):
            await service.writer.create_order(soup("other"))
    return SqliteFile(folder / "bistro92.db")


def settings(file: SqliteFile) -> Settings:
    return Settings.model_validate({"database_url": file.url})


async def assert_refuses(service: Service, key: str | None = None) -> None:
    with pytest.raises(UnavailableError):
        await service.writer.create_order(soup(key=key))
    assert service.log.replaced.is_set()
    assert service.log.head.seq == 1


@pytest.mark.parametrize("harm", LOSSES)
async def test_no_order_is_acknowledged_into_a_file_that_is_not_at_its_name(
    file: SqliteFile, harm: Harm, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_service(settings(file)) as service:
        await service.writer.create_order(soup())
        there = harm(file.path)
        await assert_refuses(service)
    assert [record.levelname for record in caplog.records].count("CRITICAL") == 1
    assert str(file.path) in caplog.text
    if there is not None:
        ids = stored_ids(SqliteFile(there))
        # One that was refused may be stored: its WAL was found to be gone after the commit.
        assert ids in ([1], [1, 2])
    if harm is replaced:
        assert stored_ids(file) == [1, 2, 3], "the other database was written to"


@pytest.mark.parametrize("harm", LOSSES)
async def test_key_of_a_stored_order_is_no_acknowledgement_either(
    file: SqliteFile, harm: Harm
) -> None:
    async with run_service(settings(file)) as service:
        await service.writer.create_order(soup(key="k"))
        harm(file.path)
        await assert_refuses(service, "k")


@pytest.mark.parametrize("harm", LOSSES)
async def test_file_that_goes_while_a_batch_is_committed_is_noticed(
    file: SqliteFile, harm: Harm
) -> None:
    async with run_service(settings(file)) as service:
        await service.writer.create_order(soup())
        with file.held():
            creating: asyncio.Task[Order] = asyncio.create_task(service.writer.create_order(soup()))
            await asyncio.sleep(0)  # it is queued then
            await until(lambda: service.writer.waiting_orders == 0, "the batch")
            harm(file.path)
        with pytest.raises(UnavailableError):
            await creating
        assert service.log.head.seq == 1


@pytest.mark.parametrize("harm", HARMS)
async def test_it_is_noticed_although_nobody_orders(file: SqliteFile, harm: Harm) -> None:
    async with run_service(settings(file)) as service:
        await service.writer.create_order(soup())
        harm(file.path)
        await until(service.log.replaced.is_set, "the service to notice")


@pytest.mark.parametrize("harm", [moved, deleted, replaced, folder_moved, moved_and_linked])
async def test_nothing_is_read_from_another_file_and_none_is_made(
    file: SqliteFile, harm: Harm
) -> None:
    async with run_service(settings(file)) as service:
        await service.writer.create_order(soup())
        harm(file.path)
        # Each at the same time has a connection of its own, of which some are opened now.
        read = [service.reader.head() for _ in range(4)]
        outcomes = await asyncio.gather(*read, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {UnavailableError}
        assert file.path.exists() == (harm in (replaced, moved_and_linked))


async def test_link_that_leads_elsewhere_is_noticed(file: SqliteFile) -> None:
    link = SqliteFile(file.path.with_name("link.db"))
    link.path.symlink_to(file.path)
    async with run_service(settings(link)) as service:
        await service.writer.create_order(soup())
        link.path.unlink()
        link.path.symlink_to(file.path.with_name("other.db"))
        await assert_refuses(service)
    assert stored_ids(file) == [1]


async def test_no_token_is_made_beside_a_second_name(file: SqliteFile) -> None:
    async with run_service(settings(file)):
        other = SqliteFile(file.path.with_name("second.db"))
        os.link(file.path, other.path)
        with pytest.raises(StartError, match="has another name"):
            await create_tokens(other)
        assert not Path(f"{other.path}.tokens").exists()


@contextmanager
def read_by_another(path: Path) -> Iterator[None]:
    """Read as a backup does, which keeps the WAL from being emptied."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM orders").fetchone()
        yield


async def test_newest_orders_are_kept_until_the_database_is_back(file: SqliteFile) -> None:
    async with run_service(settings(file)):
        pass
    with read_by_another(file.path):
        async with run_service(settings(file)) as service:
            for _ in range(9):
                await service.writer.create_order(soup())
            there = moved(file.path)
            await until(service.log.replaced.is_set, "the service to notice")
    with pytest.raises(StartError, match="Put the database back"):
        async with run_service(settings(file)):
            pass
    assert not file.path.exists()
    there.rename(file.path)
    async with run_service(settings(file)) as service:
        assert service.log.head.order_id == 9


async def test_wal_is_not_applied_to_the_database_in_the_place(file: SqliteFile) -> None:
    async with run_service(settings(file)):
        pass
    with read_by_another(file.path):
        async with run_service(settings(file)) as service:
            await service.writer.create_order(soup())
            replaced(file.path)
            await until(service.log.replaced.is_set, "the service to notice")
    (aside,) = file.path.parent.glob("bistro92.db-wal-of-inode-*")
    assert aside.stat().st_size
    async with run_service(settings(file)) as service:
        assert service.log.head.order_id == 3, "those of the other database"


async def test_what_the_service_does_itself_is_no_harm(
    open_service: OpenService, sqlite_file: Path
) -> None:
    """Checkpoints, backups, other readers that come and go, tokens, permissions, a new link."""
    database = SqliteFile(sqlite_file)
    async with open_service(wal_max_bytes=65_536) as service:
        for _ in range(300):
            await service.writer.create_order(soup())
        database.rows("SELECT count(*) FROM orders")
        sqlite_file.chmod(0o600)
        os.link(sqlite_file, sqlite_file.with_name("snapshot.db"))
        assert (await service.writer.create_order(soup())).id == 301
        await service.reader.head()
        assert not service.log.replaced.is_set()
