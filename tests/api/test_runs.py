"""One application may run several times: each run knows only what is in its own database."""

import asyncio
import json
import os
import socket
import sys
from pathlib import Path

import httpx2 as httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from db.tokens import Role
from tests.support.databases import SqliteFile
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import open_screen
from tests.support.tokens import bearer, create_tokens
from tests.support.waiting import until

pytestmark = pytest.mark.sqlite

PAGE = "{ orders { nodes { id table } } }"


async def orders_of_a_run(app: Starlette, table: str, token: str) -> list[str]:
    """Serve the application once: place an order, and return those that it shows.

    Callers and what they may ask for are of the run, too: the one of before is nobody here, and
    each run uses up the rate that it has.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_config=None))
        serving = asyncio.create_task(server.serve([listening]))
        await until(lambda: server.started, "the server to start")
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, headers=bearer(token)) as http:
            variables = {"input": soup_input(table=table)}
            placed = {"query": CREATE_ORDER, "variables": variables}
            assert (await http.post("/graphql", json=placed)).status_code == 200
            answers = [(await http.post("/graphql", json={"query": PAGE})).json() for _ in "12"]
            async with open_screen(f"ws://127.0.0.1:{port}/graphql", token) as screen:
                await screen.subscribe(FOLLOW, last=10)
                shown = (await screen.next())["orderCreated"]["table"]
            assert (await http.post("/graphql", json={"query": PAGE})).status_code == 429
        server.should_exit = True
        await serving
    assert answers[0] == answers[1]
    tables = [node["table"] for node in answers[0]["data"]["orders"]["nodes"]]
    assert shown == tables[-1]
    return tables


async def _token(database: SqliteFile) -> str:
    return (await create_tokens(database))[Role.MANAGER]


async def _run_twice(folder: Path) -> None:
    from app import app

    database = SqliteFile(folder / "bistro92.db")
    first = await orders_of_a_run(app, "first", await _token(database))
    for file in folder.glob("bistro92.db*"):
        file.rename(folder / f"before-{file.name}")
    second = await orders_of_a_run(app, "second", await _token(database))
    result = [first, second, len(database.rows("SELECT id FROM orders"))]
    (folder / "result.json").write_text(json.dumps(result))


async def test_a_second_run_remembers_nothing_of_the_first(tmp_path: Path) -> None:
    environment = os.environ | {
        "BISTRO92_DATABASE_URL": SqliteFile(tmp_path / "bistro92.db").url,
        "BISTRO92_METRICS_PORT": "0",
        "BISTRO92_RATE_LIMIT": "4/hour",
    }
    # In a process of its own: settings are read from the environment, and logging is configured.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(tmp_path), env=environment
    )
    assert await process.wait() == 0
    result = json.loads((tmp_path / "result.json").read_text())
    assert result == [["first"], ["second"], 1]


if __name__ == "__main__":
    asyncio.run(_run_twice(Path(sys.argv[1])))
