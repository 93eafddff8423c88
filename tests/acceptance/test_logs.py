"""What the log of a running server holds: request ids, and nothing that a device said."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db.sqlite.engines import create_migration_engine, create_reader_engine, create_writer_engine
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import open_screen
from tests.support.server import ServerProcess

ORDER, SECRET = "chanterelle-soup", "b92-secret-token"


def sabotage(server: ServerProcess, statement: str) -> None:
    with closing(sqlite3.connect(server.path)) as other, other:
        other.execute(statement)


def marked(table: str = ORDER) -> dict[str, Any]:
    items = [{"name": f"{ORDER}-dish", "quantity": 1}]
    return {"table": table, "items": items, "idempotencyKey": f"{ORDER}-key"}


async def speak(server: ServerProcess) -> None:
    """Place an order in every way there is, right and wrong, with secrets where they may be."""
    server.http.headers["authorization"] = f"Bearer {SECRET}"
    server.http.cookies["token"] = SECRET
    server.data(CREATE_ORDER, input=marked())
    server.execute(CREATE_ORDER, input=marked(table=f"{ORDER}\0"))
    server.execute(CREATE_ORDER, input=marked() | {"items": f"{ORDER}-no-list"})
    server.data(
        f'mutation {{ createOrder(input: {{table: "{ORDER}", items: '
        f'[{{name: "{ORDER}", quantity: 1}}]}}) {{ errors {{ message }} }} }}'
    )
    server.execute(f'{{ orders(after: "{ORDER}") {{ nodes {{ id }} }} }}')
    server.post(f'{{"query": "{{ {ORDER}'.encode())
    server.http.get("/graphql", params={"query": "{ orders { nodes { id } } }", "token": SECRET})
    url = f"{server.socket_url}?token={SECRET}"
    headers = {"authorization": f"Bearer {SECRET}"}
    async with open_screen(url, additional_headers=headers) as screen:
        await screen.subscribe(FOLLOW, last=1)
        await screen.orders(1)
        await screen.subscribe(CREATE_ORDER, operation="2", input=marked(table="other"))
        await screen.receive()
        await screen.subscribe(f"{{ {ORDER}", operation="3")
        await screen.send(f"{ORDER} is no JSON")
        await screen.closed()


async def fail_unexpectedly(server: ServerProcess) -> set[str]:
    """Cause unexpected errors; return the request ids that clients are told."""
    sabotage(
        server,
        "CREATE TRIGGER poison BEFORE INSERT ON orders "
        "BEGIN SELECT RAISE(ABORT, 'the poison'); END",
    )
    (over_http,) = server.execute(CREATE_ORDER, input=soup_input(ORDER))["errors"]
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(CREATE_ORDER, input=soup_input(ORDER))
        (over_socket,) = (await screen.receive())["payload"]["errors"]
    sabotage(server, "DROP TRIGGER poison")
    return {error["extensions"]["requestId"] for error in (over_http, over_socket)}


def fail_below(server: ServerProcess) -> None:
    """Make a statement fail whose parameters are an order's."""
    sabotage(server, "ALTER TABLE orders RENAME COLUMN idempotency_key TO gone")
    answer = server.execute(CREATE_ORDER, input=marked())
    assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"


async def run(folder: Path, log_format: str) -> tuple[str, set[str]]:
    with ServerProcess(folder, log_format=log_format) as server:
        await speak(server)
        told = await fail_unexpectedly(server)
        fail_below(server)
        assert server.stop() == 0
        return server.log, told


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_log_has_request_ids_and_neither_orders_nor_tokens(
    tmp_path: Path, log_format: str
) -> None:
    log, told = await run(tmp_path, log_format)
    assert ORDER not in log
    assert SECRET not in log
    # The log is not silent: what was caused is there.
    assert "the poison" in log
    assert "orders can't be stored: no such column" in log
    assert '"WebSocket /graphql" [accepted]' in log.replace('\\"', '"')
    assert len(told) == 2
    if log_format == "console":
        assert all(f"request_id={request_id}" in log for request_id in told)
        assert "Traceback" in log
        return
    records = [json.loads(line) for line in log.splitlines()]
    assert all(record.keys() >= {"timestamp", "level", "logger", "event"} for record in records)
    unexpected = [record for record in records if "unexpected error" in record["event"]]
    assert {record["request_id"] for record in unexpected} == told
    assert all("Traceback" in record["exception"] for record in unexpected)


@pytest.mark.sqlite
async def test_errors_of_the_database_quote_no_parameters(sqlite_file: Path) -> None:
    engines = [
        create_migration_engine(sqlite_file, busy_timeout_ms=100),
        create_writer_engine(sqlite_file, busy_timeout_ms=100),
        create_reader_engine(sqlite_file, connections=1, busy_timeout_ms=100),
    ]
    for engine in engines:
        async with engine.connect() as connection:
            with pytest.raises(DBAPIError) as caught:
                await connection.execute(text("SELECT :order FROM nowhere"), {"order": ORDER})
        assert ORDER not in str(caught.value)
        await engine.dispose()
