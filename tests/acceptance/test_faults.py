"""Faults of the machine, caused in a running server."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psutil

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ServerProcess


def test_disk_full_and_freed(server: ServerProcess) -> None:
    """The process may not make files longer: to SQLite, that is a disk without room."""
    acknowledged, code = [], None
    limit = Path(f"{server.database}-wal").stat().st_size + 400_000
    server.process.rlimit(psutil.RLIMIT_FSIZE, (limit, psutil.RLIM_INFINITY))
    while code is None:
        answer = server.execute(CREATE_ORDER, input=soup_input())
        if "errors" in answer:
            code = answer["errors"][0]["extensions"]["code"]
        else:
            acknowledged.append(int(answer["data"]["createOrder"]["order"]["id"]))
    assert code == "UNAVAILABLE"
    assert len(acknowledged) > 5
    refused = server.execute(CREATE_ORDER, input=soup_input())
    assert refused["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    stored = server.data("{ orders(first: 200) { nodes { id } } }")["orders"]["nodes"]
    assert [int(node["id"]) for node in reversed(stored)] == acknowledged[-200:]

    server.process.rlimit(psutil.RLIMIT_FSIZE, (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY))
    again = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    assert int(again["id"]) == acknowledged[-1] + 1
    assert server.stop() == 0
    with closing(sqlite3.connect(server.database)) as witness:
        assert witness.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        ids = [row[0] for row in witness.execute("SELECT id FROM orders ORDER BY id")]
    assert ids == [*acknowledged, acknowledged[-1] + 1]
    assert "orders can't be stored" in server.log
    assert "orders are stored again" in server.log
