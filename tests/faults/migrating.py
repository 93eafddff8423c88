"""SIGKILL in the middle of the first start, while the tables are being made."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.faults.commits import Commits
from tests.faults.stage import FaultyServer
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.waiting import wait_until

# So often a first start syncs until it is ready.
SYNCS = 8


def killed_while_migrating(folder: Path, *, syncs: int) -> list[str]:
    """Kill a first start that hangs in a sync, start again, and say what is wrong then."""
    commits = Commits(folder)
    server = FaultyServer(folder, folder / "bistro92.db", commits.environment)
    commits.hanging(after=syncs)
    server.spawn()
    wait_until(lambda: commits.hung, "the server to hang in a sync")
    server.kill()
    commits.sound()
    with server:
        placed = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    problems = [] if placed["id"] == "1" else [f"the first order is {placed}"]
    with closing(sqlite3.connect(server.path)) as witness:
        intact = witness.execute("PRAGMA integrity_check").fetchall()
    return problems if intact == [("ok",)] else [*problems, f"integrity check: {intact}"]
