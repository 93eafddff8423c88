"""The database file is moved, deleted or replaced under a running server, which ends for it."""

import asyncio
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest

from app import run_service
from tests.db.test_served_file import file as file
from tests.db.test_served_file import settings
from tests.support.databases import SqliteFile
from tests.support.harms import HARMS, Harm, moved
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.screen import open_screen
from tests.support.server import ServerProcess
from tests.support.waiting import until

pytestmark = pytest.mark.sqlite


async def test_start_that_waits_tells_that_the_file_has_gone(
    file: SqliteFile, tmp_path: Path
) -> None:
    async with run_service(settings(file)):
        pass
    server = ServerProcess(tmp_path, file, busy_timeout_ms=2500)
    with file.held():
        process = server.begin()
        opened = psutil.Process(process.pid).open_files
        await until(lambda: str(file.path) in {each.path for each in opened()}, "the start")
        moved(file.path)
    await until(lambda: process.poll() is not None, "the end")
    assert server.stop() != 0
    # Which sentence it is depends on how far it was.
    assert f"Bistro92 can't start: The database {file.path}" in server.log
    assert "Traceback" not in server.log


@pytest.mark.parametrize("harm", HARMS)
async def test_server_ends_with_a_sentence_and_its_screens_are_told_to_come_back(
    file: SqliteFile, tmp_path: Path, harm: Harm
) -> None:
    with ServerProcess(tmp_path, file) as server:
        server.data(CREATE_ORDER, input=soup_input())
        async with open_screen(server.socket_url) as screen:
            await screen.settle()
            harm(file.path)
            try:
                ready = await asyncio.to_thread(server.http.get, "/readyz")
                assert ready.status_code == 503
                assert str(tmp_path) not in ready.text
            except httpx.TransportError:
                pass  # it has ended by then
            assert (await screen.closed())[0] == 1012
        await until(lambda: not server.is_running, "the end")
        assert server.stop() == 1
    assert "critical" in server.log
    assert f"Bistro92 has ended: {file.path}" in server.log
    assert "Traceback" not in server.log
