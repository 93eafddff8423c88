"""Started without standard streams, as some supervisors do: nothing takes their place.

A file or socket that is opened next would get the number of the missing one, and whatever is
printed would be written into it: into the database.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import AnyDatabase, SqliteFile
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ROOT, ServerProcess
from tests.support.tokens import tokens_of
from tests.support.waiting import wait_until

STREAMS = [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"]
CREATE = ("token", "create", "--role", "floor", "--name", "bar")


def spawn(server: ServerProcess, streams: str, *arguments: str) -> subprocess.Popen[str]:
    """Run `app.py` as a shell does that closes streams."""
    command = ["/bin/sh", "-c", f'exec "$0" app.py "$@" {streams}', sys.executable, *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=server.environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(server: ServerProcess, streams: str, *arguments: str) -> tuple[int, str, str]:
    process = spawn(server, streams, *arguments)
    said, complained = process.communicate(timeout=30)
    return process.returncode, said, complained


@pytest.fixture
def unstarted(tmp_path: Path, database: AnyDatabase) -> ServerProcess:
    server = ServerProcess(tmp_path, database)
    server.http.close()
    return server


async def names(database: AnyDatabase) -> list[str]:
    async with tokens_of(database) as store:
        return [token.name for token in (await store.load()).all]


@pytest.mark.sqlite
@pytest.mark.parametrize("streams", STREAMS)
def test_server_serves_and_its_streams_are_no_files_of_its_own(
    tmp_path: Path, database: AnyDatabase, streams: str
) -> None:
    server = ServerProcess(tmp_path, database)
    process = spawn(server, streams)
    try:
        wait_until(lambda: server.is_ready() or process.poll() is not None, "the server")
        assert process.poll() is None
        assert server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]["id"] == "1"
        for number, stream in enumerate(("<&-", " >&-", "2>&-")):
            if stream in f" {streams}":
                assert os.readlink(f"/proc/{process.pid}/fd/{number}") == "/dev/null"
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()
        server.http.close()
    if isinstance(database, SqliteFile):
        assert database.rows("PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("streams", ["2>&-", "<&-", "<&- 2>&-", "2>/dev/full"])
async def test_token_is_shown_although_nothing_else_can_be(
    unstarted: ServerProcess, streams: str
) -> None:
    status, said, _ = run(unstarted, streams, *CREATE)
    assert status == 0
    async with tokens_of(unstarted.database) as store:
        found = (await store.load()).verify(said.strip())
    assert found is not None
    assert found.name == "bar"


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full"])
async def test_token_that_can_not_be_shown_is_not_stored(
    unstarted: ServerProcess, streams: str
) -> None:
    status, _, complained = run(unstarted, streams, *CREATE)
    assert status == 1
    if "2>&-" not in streams:
        assert "can't be shown" in complained
        assert "Traceback" not in complained
    assert await names(unstarted.database) == []


async def test_token_is_not_stored_if_who_asked_for_it_has_gone(unstarted: ServerProcess) -> None:
    process = spawn(unstarted, "", *CREATE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "can't be shown" in process.stderr.read()
    assert process.wait() == 1
    process.stderr.close()
    assert await names(unstarted.database) == []


@pytest.mark.sqlite
@pytest.mark.parametrize("streams", [">&-", ">/dev/full"])
def test_list_that_can_not_be_shown_is_a_failure(unstarted: ServerProcess, streams: str) -> None:
    assert run(unstarted, "", *CREATE)[0] == 0
    status, _, complained = run(unstarted, streams, "token", "list")
    assert status == 1
    assert "can't be shown" in complained


def test_sentence_of_a_failed_start_needs_no_stream(unstarted: ServerProcess) -> None:
    unstarted.environment["BISTRO92_PROT"] = "1"
    assert run(unstarted, "<&- >&- 2>&-")[0] == 1


@pytest.mark.sqlite
def test_backup_is_made_although_nobody_hears_of_it(server: ServerProcess, tmp_path: Path) -> None:
    status, *_ = run(server, "<&- >&- 2>&-", "backup", str(tmp_path / "copy.db"))
    assert status == 0
    assert SqliteFile(tmp_path / "copy.db").rows("SELECT count(*) FROM orders") == [(0,)]


@pytest.mark.sqlite
@pytest.mark.parametrize("is_unbuffered", ["", "1"])
def test_what_has_been_done_is_said_where_it_can_be(
    server: ServerProcess, tmp_path: Path, is_unbuffered: str
) -> None:
    """And it is no failure: whoever took it for one would do it again."""
    server.environment["PYTHONUNBUFFERED"] = is_unbuffered
    assert run(server, "", *CREATE)[0] == 0
    server.stop()
    for command, said in (
        (("backup", str(tmp_path / "copy.db")), "0 orders"),
        (("restore", str(tmp_path / "copy.db")), "CURSOR_EXPIRED"),
        (("token", "revoke", "bar"), "Revoked"),
    ):
        status, _, complained = run(server, ">/dev/full", *command)
        assert status == 0
        assert said in complained
        assert "can't start" not in complained
        assert "Exception" not in complained
