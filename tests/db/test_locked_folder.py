"""The database's folder can't be entered, or not be changed: what happens is said in a sentence."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

from app import run_service
from db.errors import StartError
from server.commands.backup import run_backup, run_restore
from server.settings import Settings
from tests.db.test_served_file import read_by_another
from tests.support.databases import SqliteFile
from tests.support.harms import replaced
from tests.support.orders import CREATE_ORDER, soup, soup_input
from tests.support.server import ServerProcess
from tests.support.tokens import tokens_of
from tests.support.waiting import until

pytestmark = pytest.mark.sqlite

NOBODY = 65534


@pytest.fixture
async def file(tmp_path: Path) -> SqliteFile:
    """A database with one order, in a folder of its own; and another database beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("other.db", "bistro92.db"):
        file = SqliteFile(folder / name)
        async with run_service(settings(file)) as service:
            await service.writer.create_order(soup())
    return file


def settings(file: SqliteFile) -> Settings:
    return Settings.model_validate({"database_url": file.url})


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep this process out of a folder; root, whom nothing keeps out, is nobody meanwhile."""
    user = os.geteuid()
    folder.chmod(0)
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


async def test_start_is_refused_with_the_reason(file: SqliteFile) -> None:
    with locked(file.path.parent), pytest.raises(StartError, match="looked at: Permission denied"):
        async with run_service(settings(file)):
            pass


async def test_tokens_are_refused_with_the_reason(file: SqliteFile) -> None:
    with locked(file.path.parent), pytest.raises(StartError, match="looked at: Permission denied"):
        async with tokens_of(file):
            pass


@pytest.mark.parametrize("run", [run_backup, run_restore])
async def test_command_refuses_with_the_reason(
    file: SqliteFile,
    tmp_path: Path,
    run: Callable[[Settings, Namespace], int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with locked(file.path.parent):
        assert run(settings(file), Namespace(file=tmp_path / "backup.db")) == 1
    assert "looked at: Permission denied" in capsys.readouterr().err


async def test_backup_that_cannot_be_looked_at_is_refused_with_the_reason(
    file: SqliteFile, capsys: pytest.CaptureFixture[str]
) -> None:
    # Not in pytest's folder, where nobody may go.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        target = SqliteFile(Path(folder) / "bistro92.db")
        with locked(file.path.parent):
            status = run_restore(settings(target), Namespace(file=file.path))
        assert not target.path.exists()
    assert status == 1
    assert f"{file.path}: Permission denied" in capsys.readouterr().err


async def test_end_is_quiet_and_loses_nothing(
    file: SqliteFile, caplog: pytest.LogCaptureFixture
) -> None:
    serving = run_service(settings(file))
    service = await serving.__aenter__()
    await service.writer.create_order(soup())
    with locked(file.path.parent):
        await serving.__aexit__(None, None, None)
    assert f"{file.path}-wal can't be put aside: Permission denied" in caplog.text
    assert "Traceback" not in caplog.text
    async with run_service(settings(file)) as service:
        assert service.log.head.order_id == 2


async def test_wal_that_cannot_be_renamed_is_told_of(
    file: SqliteFile, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = file.path.with_name(f"{file.path.name}-wal-of-inode-{file.path.stat().st_ino}")
    in_the_way.mkdir()
    with read_by_another(file.path):
        async with run_service(settings(file)) as service:
            await service.writer.create_order(soup())
            replaced(file.path)
            await until(service.log.replaced.is_set, "the service to notice")
    assert f"{file.path}-wal can't be put aside: " in caplog.text
    assert "Traceback" not in caplog.text


async def test_start_that_waits_tells_the_reason(file: SqliteFile, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, file, busy_timeout_ms=2500)
    with file.held():
        process = server.spawn()
        opened = psutil.Process(process.pid).open_files
        await until(lambda: str(file.path) in {each.path for each in opened()}, "the start")
        leading_to_itself(file.path.parent)
    await until(lambda: process.poll() is not None, "the end")
    server.http.close()
    assert server.stop() != 0
    # Which sentence it is depends on how far it was.
    assert f"Bistro92 can't start: The database {file.path} can't be " in server.log
    assert "Traceback" not in server.log


def leading_to_itself(folder: Path) -> Path:
    """Keep everybody out of a folder, root as well; return where it is now."""
    away = folder.rename(folder.with_name("away"))
    folder.symlink_to(folder)
    return away


async def test_server_ends_as_it_should(file: SqliteFile, tmp_path: Path) -> None:
    folder = file.path.parent
    with ServerProcess(tmp_path, file) as server:
        server.data(CREATE_ORDER, input=soup_input())
        server.process.suspend()  # between the two steps it would find the folder gone, and end
        away = leading_to_itself(folder)
        server.process.resume()
        assert server.http.get("/readyz").status_code == 503
        assert server.stop() == 0
    assert "can't be put aside: Too many levels of symbolic links" in server.log
    assert "Traceback" not in server.log
    folder.unlink()
    away.rename(folder)
    assert file.rows("SELECT count(*) FROM orders") == [(2,)]
