"""One process has a database file, by whichever name it is found; and one name has the file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from db.errors import StartError
from db.move.copying import move
from db.sqlite.backup import back_up, restore
from db.sqlite.lock import exclusive_lock
from tests.support.databases import SqliteFile, stored_ids
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ServerProcess

pytestmark = pytest.mark.sqlite

NOWHERE = "postgresql+asyncpg://chef@127.0.0.1:1/b"


def refused(path: Path, folder: Path) -> str:
    """Start a server on a file, and return why it doesn't start."""
    folder.mkdir(exist_ok=True)
    return ServerProcess(folder, SqliteFile(path)).refusal()


@contextmanager
def second_mount(file: Path, at: Path) -> Iterator[None]:
    """Give a file a second name that is no link, as containers do."""
    at.touch()
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", file, at]).returncode != 0:
        pytest.skip("mounting needs root and its capabilities")
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


def create_order(server: ServerProcess) -> str:
    created = server.data(CREATE_ORDER, input=soup_input())
    order_id: str = created["createOrder"]["order"]["id"]
    return order_id


def test_hard_link_is_no_second_database(server: ServerProcess, tmp_path: Path) -> None:
    assert create_order(server) == "1"
    other = tmp_path / "other.db"
    os.link(server.path, other)
    assert "has another name" in refused(other, tmp_path / "other")
    assert create_order(server) == "2"
    server.kill()
    # What was acknowledged is beside the first name: under the other one it would be missing.
    for path in (other, server.path):
        said = refused(path, tmp_path / "other")
        assert "has another name" in said
        assert str(server.path if path == other else other) in said
    other.unlink()
    server.start()
    assert create_order(server) == "3"
    assert stored_ids(server.database) == [1, 2, 3]


async def test_second_name_is_neither_backed_up_nor_moved(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Its newest orders are beside the first one."""
    create_order(server)
    other = tmp_path / "other.db"
    os.link(server.path, other)
    with pytest.raises(StartError, match="has another name"):
        back_up(other, tmp_path / "backup.db")
    with pytest.raises(StartError, match="has another name"):
        await move(other, NOWHERE, prepared_statements=True)
    assert not (tmp_path / "backup.db").exists()


def test_restore_is_refused_under_another_name_of_a_served_file(
    server: ServerProcess, tmp_path: Path
) -> None:
    create_order(server)
    back_up(server.path, tmp_path / "backup.db")
    other = tmp_path / "other.db"
    os.link(server.path, other)
    before = server.path.read_bytes()
    with pytest.raises(StartError, match="in use by another Bistro92 process"):
        restore(tmp_path / "backup.db", other)
    assert other.samefile(server.path)
    assert server.path.read_bytes() == before
    assert create_order(server) == "2"


def test_backup_that_has_several_names_may_be_restored(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Programs that keep many backups link those that are alike."""
    create_order(server)
    back_up(server.path, tmp_path / "backup.db")
    os.link(tmp_path / "backup.db", tmp_path / "yesterday.db")
    assert server.stop() == 0
    restore(tmp_path / "backup.db", server.path)
    server.start()
    assert create_order(server) == "2"


def test_restore_that_was_killed_half_way_can_be_done_again(
    server: ServerProcess, tmp_path: Path
) -> None:
    """It leaves the replaced database with two names."""
    create_order(server)
    back_up(server.path, tmp_path / "backup.db")
    assert server.stop() == 0
    os.link(server.path, tmp_path / "bistro92.db.replaced-20260101T000000Z")
    restore(tmp_path / "backup.db", server.path)
    server.start()
    assert create_order(server) == "2"


def test_lock_holds_although_its_file_was_removed(server: ServerProcess, tmp_path: Path) -> None:
    create_order(server)
    back_up(server.path, tmp_path / "backup.db")
    Path(f"{server.path}.lock").unlink()
    assert "in use by another Bistro92 process" in refused(server.path, tmp_path / "other")
    with pytest.raises(StartError, match="in use by another Bistro92 process"):
        restore(tmp_path / "backup.db", server.path)
    assert create_order(server) == "2"


def test_file_that_is_mounted_by_itself_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    """What SQLite writes beside it would stay in the other folder: a container's, which goes."""
    create_order(server)
    back_up(server.path, tmp_path / "backup.db")
    (tmp_path / "a folder").mkdir()
    other = tmp_path / "a folder" / "other.db"
    with second_mount(server.path, other):
        assert "is mounted by itself" in refused(other, tmp_path / "other")
        with pytest.raises(StartError, match="in use by another Bistro92 process"):
            restore(tmp_path / "backup.db", other)
        with pytest.raises(StartError, match="is mounted by itself"):
            back_up(other, tmp_path / "another.db")
    assert create_order(server) == "2"


def test_locking_does_not_let_go_of_what_sqlite_holds(server: ServerProcess) -> None:
    """Without its locks another program would remove the write-ahead log when it closes."""
    create_order(server)
    status = server.path.stat()
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    pid = str(server.process.pid)
    held = {(lock[1], lock[3]) for lock in locks if lock[4:6] == [pid, file]}
    assert held == {("POSIX", "READ"), ("FLOCK", "WRITE")}


def test_file_is_made_by_the_one_that_serves_it_only(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "none.db"):
        pass
    assert not (tmp_path / "none.db").exists()


def test_process_that_dies_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from db.sqlite.lock import exclusive_lock\n"
        "with exclusive_lock(pathlib.Path(sys.argv[1]), create=True): os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "bistro92.db"
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    with exclusive_lock(path):
        assert path.exists()
