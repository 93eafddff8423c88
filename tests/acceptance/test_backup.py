"""Backing up a server that is taking orders, and going back to the backup."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import open_screen
from tests.support.server import ROOT, ServerProcess
from tests.support.waiting import until

pytestmark = pytest.mark.sqlite

CLIENTS, BACKUPS = 4, 2


async def command(server: ServerProcess, *words: str | Path) -> tuple[int, str]:
    """Run a command of `app.py` with the server's settings; return its status and all it says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "app.py",
        *map(str, words),
        cwd=ROOT,
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


@asynccontextmanager
async def guests(server: ServerProcess, acknowledged: list[int]) -> AsyncIterator[None]:
    """Place orders without a pause while the block runs; note the ids that are acknowledged."""
    enough = asyncio.Event()

    async def place(client: httpx.AsyncClient) -> None:
        body = {"query": CREATE_ORDER, "variables": {"input": soup_input()}}
        while not enough.is_set():
            answer = (await client.post("/graphql", json=body)).json()
            acknowledged.append(int(answer["data"]["createOrder"]["order"]["id"]))

    async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
        placing = [asyncio.create_task(place(client)) for _ in range(CLIENTS)]
        try:
            yield
        finally:
            enough.set()
            await asyncio.gather(*placing)


def stored(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as witness:
        assert witness.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        entries = witness.execute("SELECT seq FROM log_entries ORDER BY seq").fetchall()
        ids = witness.execute("SELECT id FROM orders ORDER BY seq").fetchall()
        assert entries == ids
        return [number for (number,) in ids]


async def refusal(server: ServerProcess, cursor: str) -> str:
    """Follow from a cursor, and return the code of the error."""
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW, after=cursor)
        code: str = (await screen.error())["extensions"]["code"]
        return code


async def test_back_to_a_backup_made_while_orders_were_placed(server: ServerProcess) -> None:
    folder = server.path.parent
    kept = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]["cursor"]
    acknowledged: list[int] = [1]
    async with guests(server, acknowledged):
        for number in range(BACKUPS):
            count = len(acknowledged) + 100
            await until(lambda count=count: len(acknowledged) >= count, "orders")  # type: ignore[misc]
            before = set(acknowledged)
            status, said = await command(server, "backup", folder / f"{number}.db")
            assert status == 0, said
            during = len(acknowledged) - len(before)
            assert during > 20, "orders waited for the backup"
            ids = stored(folder / f"{number}.db")
            assert ids == list(range(1, len(ids) + 1))
            assert before <= set(ids)
            assert f"{len(ids)} orders, log at {len(ids)}." in said
        status, said = await command(server, "restore", folder / "0.db")
        assert status == 1
        assert "Nothing was restored. The database" in said
        assert "in use by another Bistro92 process" in said
    assert sorted(acknowledged) == stored(server.path)
    lost = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]["cursor"]
    assert server.stop() == 0

    status, said = await command(server, "restore", folder / "0.db")
    assert status == 0, said
    ids = stored(folder / "0.db")
    (replaced,) = folder.glob("bistro92.db.replaced-*")
    assert str(replaced) in said
    assert stored(replaced) == list(range(1, len(acknowledged) + 2))
    assert stored(server.path) == ids
    server.start()
    first = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    assert int(first["id"]) == len(ids) + 1
    # The first is a place that this log has as well: only the epoch tells that it is another's.
    assert await refusal(server, kept) == "CURSOR_EXPIRED"
    assert await refusal(server, lost) == "CURSOR_EXPIRED"
    answer = server.execute(f'{{ orders(before: "{kept}", last: 1) {{ nodes {{ id }} }} }}')
    assert answer["errors"][0]["extensions"]["code"] == "CURSOR_EXPIRED"


async def test_long_read_by_a_backup_holds_up_no_order(tmp_path: Path) -> None:
    """The write-ahead log can't be emptied meanwhile: it grows, and shrinks afterwards."""
    limit = 65_536
    with ServerProcess(tmp_path, wal_max_bytes=limit) as server:
        wal = Path(f"{server.path}-wal")

        def place() -> float:
            began = time.monotonic()
            server.data(CREATE_ORDER, input=soup_input())
            return time.monotonic() - began

        uri = f"file:{server.path}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as backup:
            backup.execute("BEGIN")
            backup.execute("SELECT * FROM orders").fetchall()
            slowest = 0.0
            while wal.stat().st_size < 5 * limit:
                slowest = max(slowest, place())
            assert slowest < 1

        def shrunk() -> bool:
            place()
            return wal.stat().st_size < limit

        await until(shrunk, "the write-ahead log to be emptied")


async def test_command_that_is_none_or_fails_says_so(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    assert (await command(server, "bakcup", "x.db"))[0] == 2
    status, said = await command(server, "backup", tmp_path / "x.db")
    assert (status, said) == (1, f"No backup was made. There is no database {server.path}.\n")
    server.http.close()
