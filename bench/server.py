"""A fresh server process on a fresh database, pinned to its own core."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.load.http import HOST
from bench.load.loop import LoadError
from bench.systems import ROOT, System

SERVER_CORE = 0
# Beside the code, not in a temporary folder: that may be memory, where a commit costs nothing.
DATA = ROOT / "bench" / ".data"
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """A running server."""

    system: System
    port: int
    process: subprocess.Popen[bytes]

    def memory_bytes(self) -> int:
        """Return the memory that the process has in use (resident set)."""
        resident: int = psutil.Process(self.process.pid).memory_info().rss
        return resident

    def processor_seconds(self) -> float:
        """Return how long the process has kept a core busy."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)


@contextmanager
def data_folder() -> Iterator[Path]:
    """Make a folder for databases, and remove it in the end."""
    DATA.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=DATA))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def running(
    system: System, database: Path | None = None, *, cores: Iterable[int] = (SERVER_CORE,)
) -> Iterator[Server]:
    """Start a server, on a new database if none is given, and kill it in the end."""
    with data_folder() as folder:
        port = _free_port()
        process = _spawn(system, port, database or folder / "orders.db", folder / "log", cores)
        try:
            _wait_until_started(system, process, port, folder / "log")
            yield Server(system, port, process)
        finally:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _spawn(
    system: System, port: int, database: Path, log: Path, cores: Iterable[int]
) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if "BISTRO92" not in name}
    filled = {
        name: value.format(port=port, database=database)
        for name, value in system.environment.items()
    }
    command = [part.format(port=port, database=database) for part in system.command]
    with log.open("wb") as output:
        return subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cores)), *command],
            cwd=ROOT,
            env={**inherited, "NODE_ENV": "production", **filled},
            stdout=output,
            stderr=output,
        )


def _wait_until_started(
    system: System, process: subprocess.Popen[bytes], port: int, log: Path
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(_START_SECONDS)
            if probe.connect_ex((HOST, port)) == 0:
                if system.is_ours:  # it listens before it has started, and answers then
                    probe.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    probe.recv(4096)
                return
        time.sleep(0.02)
    raise LoadError(f"the server did not start:\n{log.read_text()}")
