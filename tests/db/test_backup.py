"""Backup and restore: what is copied, what is refused, and what stays as it was."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app import run_service
from db.errors import BackupError, StartError
from db.sqlite.backup import back_up, restore
from server.settings import Settings
from tests.conftest import OpenService
from tests.support.orders import soup

pytestmark = pytest.mark.sqlite


def tables_of(sqlite_file: Path) -> list[str]:
    """Return the tables of the orders in a database, in the order of their ids."""
    with closing(sqlite3.connect(sqlite_file)) as witness:
        assert witness.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [table for (table,) in witness.execute("SELECT table_name FROM orders ORDER BY id")]


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder; `-shm` is shared memory, which readers write as well."""
    files = (path for path in folder.iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in files if not path.name.endswith("-shm")}


@pytest.fixture
async def crashed(open_service: OpenService, sqlite_file: Path, tmp_path: Path) -> Path:
    """A database as a killed server leaves it: its orders are in the write-ahead log only."""
    left = tmp_path / "left" / "bistro92.db"
    left.parent.mkdir()
    async with open_service() as service:
        await service.writer.create_order(soup("first"))
        await service.writer.create_order(soup("second"))
        for end in ("", "-wal"):
            shutil.copy(f"{sqlite_file}{end}", f"{left}{end}")
    return left


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    """A backup of three orders, of a service that has gone since."""
    folder = tmp_path / "backups"
    folder.mkdir()
    sqlite_file = tmp_path / "gone.db"
    url = f"sqlite+aiosqlite:///{sqlite_file}"
    async with run_service(Settings.model_validate({"database_url": url})) as service:
        for table in ("a", "b", "c"):
            await service.writer.create_order(soup(table))
        assert back_up(sqlite_file, folder / "backup.db").last_order_id == 3
    return folder / "backup.db"


async def test_backup_leaves_the_served_files_as_they_are(
    open_service: OpenService, sqlite_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    async with open_service() as service:
        await service.writer.create_order(soup("here"))
        before = contents(sqlite_file.parent)
        assert len(before["bistro92.db-wal"]) > 0
        back_up(sqlite_file, folder / "copy.db")
        assert contents(sqlite_file.parent) == before
        await service.writer.create_order(soup("after"))
    assert tables_of(folder / "copy.db") == ["here"]
    assert {path.name for path in folder.iterdir()} == {"copy.db"}
    assert (folder / "copy.db").stat().st_mode & 0o077 == 0, "orders are nobody else's business"


async def test_backup_of_a_killed_server_has_its_log_and_leaves_it(
    crashed: Path, tmp_path: Path
) -> None:
    before = contents(crashed.parent)
    back_up(crashed, tmp_path / "copy.db")
    assert contents(crashed.parent) == before
    assert tables_of(tmp_path / "copy.db") == ["first", "second"]


async def test_backup_replaces_no_file_and_makes_no_database(backup: Path, tmp_path: Path) -> None:
    before = contents(backup.parent)
    with pytest.raises(BackupError, match=r"backup\.db exists already"):
        back_up(backup, backup)
    with pytest.raises(BackupError, match="There is no database"):
        back_up(tmp_path / "none.db", backup.parent / "new.db")
    with pytest.raises(BackupError, match="No such file or directory"):
        back_up(backup, tmp_path / "nowhere" / "new.db")
    assert contents(backup.parent) == before
    assert not (tmp_path / "none.db").exists()


async def test_restore_keeps_a_killed_servers_database_whole(crashed: Path, backup: Path) -> None:
    copied = backup.read_bytes()
    size, kept = restore(backup, crashed)
    assert (size.last_seq, size.last_order_id) == (3, 3)
    assert tables_of(crashed) == ["a", "b", "c"], "the WAL of the replaced one was applied"
    assert kept is not None
    assert kept.name.startswith("bistro92.db.replaced-2")
    assert tables_of(kept) == ["first", "second"]
    assert backup.read_bytes() == copied
    assert restore(backup, crashed)[1] != kept, "the second would replace the first"


async def test_restore_keeps_a_broken_database_and_its_log(crashed: Path, backup: Path) -> None:
    broken = b"no database any more" * 1000
    crashed.write_bytes(broken)
    wal = Path(f"{crashed}-wal").read_bytes()
    _, kept = restore(backup, crashed)
    assert kept is not None
    assert kept.read_bytes() == broken
    assert Path(f"{kept}-wal").read_bytes() == wal
    assert tables_of(crashed) == ["a", "b", "c"]


async def test_restore_applies_no_log_that_was_left_without_its_database(
    crashed: Path, backup: Path
) -> None:
    wal = Path(f"{crashed}-wal").read_bytes()
    crashed.unlink()
    _, kept = restore(backup, crashed)
    assert Path(f"{kept}-wal").read_bytes() == wal
    assert tables_of(crashed) == ["a", "b", "c"]


async def test_restore_where_there_was_nothing(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    sqlite_file = tmp_path / "new" / "bistro92.db"
    assert restore(backup, sqlite_file)[1] is None
    assert tables_of(sqlite_file) == ["a", "b", "c"]
    assert {path.name for path in sqlite_file.parent.iterdir()} == {
        "bistro92.db",
        "bistro92.db.lock",
    }


async def test_each_restore_has_an_epoch_of_its_own(backup: Path, tmp_path: Path) -> None:
    epochs = set()
    for sqlite_file in (backup, tmp_path / "one.db", tmp_path / "two.db"):
        if sqlite_file != backup:
            restore(backup, sqlite_file)
        with closing(sqlite3.connect(sqlite_file)) as witness:
            ((epoch,),) = witness.execute("SELECT epoch FROM log_head")
        epochs.add(bytes.fromhex(epoch))
    assert len(epochs) == 3


async def test_restored_database_goes_on_where_the_backup_stopped(
    open_service: OpenService, backup: Path, sqlite_file: Path
) -> None:
    restore(backup, sqlite_file)
    async with open_service() as service:
        assert (await service.writer.create_order(soup())).id == 4


def changed_by(statement: str) -> Callable[[Path], None]:
    def change(sqlite_file: Path) -> None:
        with closing(sqlite3.connect(sqlite_file)) as other, other:
            other.execute(statement)

    return change


def tear_a_page(sqlite_file: Path) -> None:
    torn = bytearray(sqlite_file.read_bytes())
    torn[-4096:-2048] = b"\xff" * 2048
    sqlite_file.write_bytes(torn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.write_text("a shopping list " * 500), "file is not a database"),
        (lambda path: path.write_bytes(b""), "not a database of Bistro92"),
        (lambda path: path.write_bytes(path.read_bytes()[:20_000]), "malformed|damaged"),
        (tear_a_page, "damaged|malformed"),
        (changed_by("DROP TABLE alembic_version"), "not a database of Bistro92"),
        (changed_by("UPDATE alembic_version SET version_num = '9999'"), "newer version.*9999"),
        (changed_by("DELETE FROM log_head"), "damaged: the head"),
        (changed_by("DELETE FROM log_entries WHERE seq = 2"), "damaged: its log"),
        (changed_by("UPDATE log_head SET last_seq = 2"), "damaged: its log"),
        (changed_by("DELETE FROM orders WHERE id = 3"), "damaged"),
        (lambda path: path.unlink(), "There is no file"),
    ],
)
async def test_restore_refuses_what_is_unsound_and_changes_nothing(
    crashed: Path, backup: Path, change: Callable[[Path], None], message: str
) -> None:
    change(backup)
    before = contents(crashed.parent)
    with pytest.raises(BackupError, match=message):
        restore(backup, crashed)
    Path(f"{crashed}.lock").unlink(missing_ok=True)
    assert contents(crashed.parent) == before


async def test_restore_is_refused_while_the_service_runs(
    open_service: OpenService, backup: Path, sqlite_file: Path
) -> None:
    async with open_service() as service:
        before = contents(sqlite_file.parent)
        with pytest.raises(StartError, match="in use by another Bistro92 process"):
            restore(backup, sqlite_file)
        assert contents(sqlite_file.parent) == before
        await service.writer.create_order(soup("still here"))
    assert tables_of(sqlite_file) == ["still here"]


async def test_restore_waits_for_no_reader_and_changes_nothing(crashed: Path, backup: Path) -> None:
    with closing(sqlite3.connect(crashed, isolation_level=None)) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM orders").fetchall()
        with pytest.raises(BackupError, match="in use by another program"):
            restore(backup, crashed)
        reading.execute("COMMIT")
    assert tables_of(crashed) == ["first", "second"]


async def test_database_is_no_backup_of_itself(crashed: Path) -> None:
    with pytest.raises(BackupError, match="the database itself"):
        restore(crashed, crashed)
    assert tables_of(crashed) == ["first", "second"]


async def test_restored_file_is_the_replaced_ones_to_those_who_could_open_it(
    crashed: Path, backup: Path
) -> None:
    crashed.chmod(0o640)
    restore(backup, crashed)
    assert crashed.stat().st_mode & 0o777 == 0o640
