"""SIGTERM and SIGINT while the service starts: it ends within seconds, as an ordinary stop does."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from db.postgres.connecting import _MIGRATION_LOCK
from tests.support.databases import AnyDatabase, PostgresDatabase, SqliteFile
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.relay import open_relay
from tests.support.server import ROOT, ServerProcess
from tests.support.waiting import until, wait_until

STOP_LIMIT_SECONDS = 6
SIGNALS = [signal.SIGTERM, signal.SIGINT]


@contextmanager
def migration_lock(postgres: PostgresDatabase) -> Iterator[None]:
    """Hold the lock of those that migrate, as one that stands still does."""
    connection = postgres.run(postgres.connect())
    postgres.run(connection.execute(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})"))
    yield
    postgres.run(connection.close())


def waits_for_lock(postgres: PostgresDatabase) -> bool:
    waiting = "datname = current_database() AND wait_event_type = 'Lock'"
    return bool(postgres.rows(f"SELECT FROM pg_stat_activity WHERE {waiting}"))


def assert_ends(server: ServerProcess, number: signal.Signals) -> None:
    server.process.send_signal(number)
    wait_until(lambda: not server.is_running, "the end", STOP_LIMIT_SECONDS)
    assert server.stop() == 0, server.log
    assert "Traceback" not in server.log
    assert "it was told to stop" in server.log


@pytest.fixture
def starting(tmp_path: Path, database: AnyDatabase) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path, database)
    yield server
    server.__exit__(None, None, None)


@pytest.mark.postgres
@pytest.mark.parametrize("number", SIGNALS)
def test_ends_although_another_process_migrates(
    starting: ServerProcess, postgres: PostgresDatabase, number: signal.Signals
) -> None:
    with migration_lock(postgres):
        starting.spawn()
        wait_until(lambda: waits_for_lock(postgres), "the start to wait")
        assert_ends(starting, number)
        wait_until(lambda: not waits_for_lock(postgres), "the server to be told")
    assert postgres.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == []
    starting.start()
    assert starting.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]["id"] == "1"


@pytest.mark.sqlite
@pytest.mark.parametrize("number", SIGNALS)
def test_ends_although_another_program_holds_the_file(
    starting: ServerProcess, sqlite_file: Path, number: signal.Signals
) -> None:
    starting.environment["BISTRO92_BUSY_TIMEOUT_MS"] = "2500"
    with SqliteFile(sqlite_file).held():
        process = starting.spawn()
        lock = Path(f"{sqlite_file}.lock")
        wait_until(lambda: lock.exists() and lock.read_text() != "", "the start")
        assert process.poll() is None
        assert_ends(starting, number)
    starting.start()
    assert starting.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]["id"] == "1"


@pytest.mark.sqlite
def test_ends_although_another_program_holds_the_tokens(
    starting: ServerProcess, sqlite_file: Path
) -> None:
    starting.environment["BISTRO92_BUSY_TIMEOUT_MS"] = "2500"
    tokens = SqliteFile(Path(f"{sqlite_file}.tokens"))
    with tokens.held():
        process = starting.spawn()
        wait_until(lambda: str(tokens.path) in opened_by(process), "the start")
        assert_ends(starting, signal.SIGTERM)


def opened_by(process: subprocess.Popen[bytes]) -> set[str]:
    return {file.path for file in psutil.Process(process.pid).open_files()}


@pytest.mark.postgres
def test_ends_although_postgresql_accepts_and_says_nothing(
    starting: ServerProcess,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        starting.environment["BISTRO92_DATABASE_URL"] = f"postgresql+asyncpg://a@127.0.0.1:{port}/b"
        starting.spawn()
        silent.settimeout(20)
        connection, _ = silent.accept()
        assert_ends(starting, signal.SIGTERM)
        connection.close()


@pytest.mark.postgres
async def test_ends_although_postgresql_vanishes_meanwhile(
    starting: ServerProcess, postgres: PostgresDatabase
) -> None:
    with migration_lock(postgres):
        async with open_relay(postgres) as relay:
            starting.environment["BISTRO92_DATABASE_URL"] = relay.url
            starting.spawn()
            await until(lambda: waits_for_lock(postgres), "the start to wait")
            relay.be_silent.set()
            await asyncio.to_thread(assert_ends, starting, signal.SIGTERM)


@pytest.mark.sqlite
def test_ends_whenever_it_is_told_to(starting: ServerProcess) -> None:
    """At every moment from the first import to the first request."""
    for hundredths in range(5, 150, 10):
        process, said = starting.spawn(), len(starting.log)
        with suppress(subprocess.TimeoutExpired):
            process.wait(hundredths / 100)
        has_begun = len(starting.log) > said
        process.send_signal(signal.SIGTERM)
        # The interpreter itself dies of it before it has read our first lines.
        assert process.wait(STOP_LIMIT_SECONDS) in ((0,) if has_begun else (0, -15))
    assert "Traceback" not in starting.log


# An exception that a finalizer raises is swallowed; imports run many of them.
_TOLD_WHILE_IMPORTING = """
import os, runpy, signal, sys

class Told:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "db.errors":
            Told()

sys.argv = ["app.py"]
sys.meta_path.insert(0, Finder())
runpy.run_path("app.py", run_name="__main__")
"""


@pytest.mark.sqlite
def test_ends_when_it_is_told_to_in_the_midst_of_an_import(starting: ServerProcess) -> None:
    command = [sys.executable, "-c", _TOLD_WHILE_IMPORTING]
    process = subprocess.Popen(command, cwd=ROOT, env=starting.environment)
    try:
        assert process.wait(STOP_LIMIT_SECONDS) == 0
    finally:
        process.kill()


@pytest.mark.postgres
def test_uvicorn_command_ends_as_well(starting: ServerProcess, postgres: PostgresDatabase) -> None:
    with migration_lock(postgres):
        command = [sys.executable, "-m", "uvicorn", "app:app", "--port", "0"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=starting.environment, stderr=subprocess.PIPE, text=True
        )
        wait_until(lambda: waits_for_lock(postgres), "the start to wait")
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=STOP_LIMIT_SECONDS)
    assert "it was told to stop" in said
    assert "Traceback" not in said


# uvicorn has begun to listen for signals, and the start doesn't yet.
_TOLD_BEFORE = """
import os, signal, app
begin = app.ended_by_signals
app.ended_by_signals = lambda: (os.kill(os.getpid(), signal.SIGTERM), begin())[1]
app.main()
"""


@pytest.mark.postgres
def test_ends_when_it_was_told_to_before_it_waited(
    starting: ServerProcess, postgres: PostgresDatabase
) -> None:
    with migration_lock(postgres):
        command = [sys.executable, "-c", _TOLD_BEFORE]
        process = subprocess.Popen(
            command, cwd=ROOT, env=starting.environment, stderr=subprocess.PIPE, text=True
        )
        try:
            _, said = process.communicate(timeout=STOP_LIMIT_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "it was told to stop" in said
    assert "Traceback" not in said
