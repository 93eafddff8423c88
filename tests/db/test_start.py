"""Opening a database: migrations, versions, the lock, pragmas."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app import run_service
from db.errors import StartError
from db.migrate import migrate, scripts
from db.sqlite.engines import create_migration_engine, sqlite_path
from db.sqlite.lock import exclusive_lock
from db.tables import metadata
from resolvers.context import Service
from server.settings import Settings
from tests.conftest import OpenService
from tests.support.databases import writer_engine
from tests.support.future import copy_of_migrations
from tests.support.orders import soup

pytestmark = pytest.mark.sqlite


def tables(sqlite_file: Path) -> set[str]:
    with closing(sqlite3.connect(sqlite_file)) as witness:
        found = witness.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


async def test_migrations_make_the_tables_that_the_code_declares(service: Service) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with writer_engine(service).connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_failing_migration_changes_nothing(sqlite_file: Path, tmp_path: Path) -> None:
    """The migrations are the real ones, and one more that fails half-way."""
    folder = copy_of_migrations(
        tmp_path, "CREATE TABLE half_done (id INTEGER)", "INSERT INTO nowhere VALUES (1)"
    )
    engine = create_migration_engine(sqlite_file, busy_timeout_ms=100)
    with pytest.raises(StartError, match=r"nowhere.*Nothing was changed"):
        await migrate(engine, str(sqlite_file), folder)
    assert tables(sqlite_file) == set()
    await migrate(engine, str(sqlite_file))
    with pytest.raises(StartError):
        await migrate(engine, str(sqlite_file), folder)
    await engine.dispose()
    assert tables(sqlite_file) == {*metadata.tables, "alembic_version"}


async def test_database_from_a_newer_version_is_refused(
    open_service: OpenService, sqlite_file: Path
) -> None:
    async with open_service():
        pass
    with closing(sqlite3.connect(sqlite_file)) as other, other:
        other.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StartError, match=r"newer version of Bistro92 \(revision 9999"):
        async with open_service():
            pass


async def test_database_of_another_program_is_refused(
    open_service: OpenService, sqlite_file: Path
) -> None:
    with closing(sqlite3.connect(sqlite_file)) as other, other:
        other.execute("CREATE TABLE recipes (id INTEGER)")
    before = sqlite_file.read_bytes()
    with pytest.raises(StartError, match=r"not Bistro92's.*recipes"):
        async with open_service():
            pass
    assert sqlite_file.read_bytes() == before


async def test_file_that_is_no_database_is_refused(
    open_service: OpenService, sqlite_file: Path
) -> None:
    sqlite_file.write_text("a shopping list " * 100)
    with pytest.raises(StartError, match="not a database"):
        async with open_service():
            pass


async def test_second_process_is_refused_by_name_of_the_file(
    open_service: OpenService, sqlite_file: Path
) -> None:
    async with open_service():
        with pytest.raises(StartError, match=f"{sqlite_file} is in use by another"):
            async with open_service():
                pass
    with exclusive_lock(sqlite_file):
        pass


async def test_lock_holds_through_a_symbolic_link(
    open_service: OpenService, sqlite_file: Path
) -> None:
    async with open_service():
        link = sqlite_file.parent / "link.db"
        link.symlink_to(sqlite_file)
        with (
            pytest.raises(StartError, match="in use"),
            exclusive_lock(sqlite_path(f"sqlite+aiosqlite:///{link}")),
        ):
            pass


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "not a database URL"),
        ("mysql+aiomysql://localhost/b", "not supported"),
        ("sqlite+aiosqlite://", "plain file"),
        ("sqlite+aiosqlite:///:memory:", "plain file"),
        ("sqlite+aiosqlite:////nowhere/at/all/b.db", "does not exist"),
        ("sqlite+aiosqlite:////tmp", "is a folder"),
    ],
)
def test_database_that_cannot_be_used_is_named(url: str, message: str) -> None:
    with pytest.raises(StartError, match=message):
        sqlite_path(url)


async def test_writer_commits_durably_and_only_it_checkpoints(service: Service) -> None:
    async with writer_engine(service).connect() as connection:
        found = {
            pragma: (await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar_one()
            for pragma in ("journal_mode", "synchronous", "wal_autocheckpoint")
        }
    full = 2
    assert found == {"journal_mode": "wal", "synchronous": full, "wal_autocheckpoint": 0}
    assert writer_engine(service).pool.size() == 1  # type: ignore[attr-defined]


async def test_stopping_leaves_one_file_that_holds_everything(
    open_service: OpenService, sqlite_file: Path
) -> None:
    async with open_service():
        pass
    left = {path.name for path in sqlite_file.parent.iterdir()}
    assert left == {"bistro92.db", "bistro92.db.lock"}


async def test_each_database_has_an_epoch_of_its_own(tmp_path: Path) -> None:
    epochs = set()
    for name in ("one.db", "two.db"):
        settings = Settings.model_validate(
            {"database_url": f"sqlite+aiosqlite:///{tmp_path / name}"}
        )
        async with run_service(settings) as service:
            epochs.add(service.log.head.epoch)
    assert len(epochs) == 2


async def test_migration_may_copy_a_table_that_others_point_to(
    open_service: OpenService, sqlite_file: Path, tmp_path: Path
) -> None:
    """SQLite alters a table by copying it: with foreign keys checked that fails on real data."""
    async with open_service() as service:
        await service.writer.create_order(soup())
    folder = copy_of_migrations(tmp_path)
    (folder / "versions" / "9001_copies.py").write_text(
        "from alembic import op\n"
        "import sqlalchemy as sa\n"
        f"revision, down_revision = '9001', '{scripts().get_current_head()}'\n"
        "def upgrade():\n"
        "    with op.batch_alter_table('orders', recreate='always') as table:\n"
        "        table.add_column(sa.Column('remark', sa.String()))\n"
    )
    engine = create_migration_engine(sqlite_file, busy_timeout_ms=100)
    await migrate(engine, str(sqlite_file), folder)
    await engine.dispose()
    with closing(sqlite3.connect(sqlite_file)) as witness:
        assert witness.execute("SELECT id, remark FROM orders").fetchall() == [(1, None)]
        assert witness.execute("PRAGMA foreign_key_check").fetchall() == []
