"""A real server process on a real port and a real file."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2 as httpx
import psutil

from tests.support import warm
from tests.support.databases import AnyDatabase, SqliteFile
from tests.support.waiting import DEADLINE_SECONDS, wait_until
from tests.support.warm import ROOT as ROOT
from tests.support.warm import WarmProcess


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment(**settings: object) -> dict[str, str]:
    """Return the environment with these settings and no other `BISTRO92_` name."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BISTRO92_")}
    # `make test-generic` runs the same tests on graphql-core alone.
    settings = {"compiled_operations": os.environ.get("BISTRO92_TEST_COMPILED", "true")} | settings
    return kept | {f"BISTRO92_{name.upper()}": str(value) for name, value in settings.items()}


class ServerProcess:
    """`python app.py` on one database; may be stopped, killed and started again."""

    def __init__(
        self, folder: Path, database: AnyDatabase | None = None, **settings: object
    ) -> None:
        self.database = database or SqliteFile(folder / "bistro92.db")
        self.port = free_port()
        self._log_path = folder / f"server-{self.port}.log"
        self.environment = clean_environment(
            **{"port": self.port, "database_url": self.database.url} | settings
        )
        self._process: subprocess.Popen[bytes] | WarmProcess | None = None
        self.http = httpx.Client(base_url=self.url, timeout=DEADLINE_SECONDS)

    @property
    def path(self) -> Path:
        """The database's file, for tests that are about files."""
        assert isinstance(self.database, SqliteFile)
        return self.database.path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    @property
    def process(self) -> psutil.Process:
        assert self._process is not None
        return psutil.Process(self._process.pid)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for it to be ready."""
        with self._log_path.open("ab") as log:
            command = [sys.executable, "app.py"]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        return self._process

    def begin(self) -> subprocess.Popen[bytes] | WarmProcess:
        """Start the process from one that has imported the program, if the two are alike."""
        if "LD_PRELOAD" in self.environment:
            return self.spawn()
        self._process = warm.begin([], self.environment, self._log_path, self._log_path)
        return self._process

    def start(self) -> None:
        process = self.begin()
        wait_until(lambda: self.is_ready() or process.poll() is not None, "the server to be ready")
        assert process.poll() is None, self.log

    def refusal(self) -> str:
        """Start the process, which must end by itself; return what it says."""
        process = self.begin()
        try:
            wait_until(lambda: process.poll() is not None or self.is_ready(), "the end of a start")
            assert process.poll() not in (None, 0), self.log
        finally:
            self.__exit__(None, None, None)
        return self.log

    def is_ready(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of `app.py` on this server's settings, in a process of its own."""
        with tempfile.TemporaryDirectory() as folder:
            out, err = Path(folder) / "out", Path(folder) / "err"
            process = warm.begin(arguments, self.environment, out, err)
            status = process.wait(DEADLINE_SECONDS)
            said = [path.read_text() if path.exists() else "" for path in (out, err)]
        return subprocess.CompletedProcess(["app.py", *arguments], status, *said)

    def kill(self) -> None:
        """End the process as a power cut would, as far as the process can tell."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(DEADLINE_SECONDS)

    def stop(self) -> int:
        """Ask the process to stop, and return its exit status."""
        assert self._process is not None
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(DEADLINE_SECONDS)

    @contextmanager
    def held_lock(self) -> Iterator[None]:
        """Keep the writer from committing."""
        with self.database.held():
            yield

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.http.close()
        if self.is_running:
            self.kill()

    def post(self, body: bytes) -> httpx.Response:
        """Send a body as it is."""
        headers = {"content-type": "application/json"}
        return self.http.post("/graphql", content=body, headers=headers)

    def execute(self, query: str, **variables: object) -> dict[str, Any]:
        """Run an operation over HTTP and return the whole response body."""
        response = self.post(json.dumps({"query": query, "variables": variables}).encode())
        assert response.status_code == 200, response.text
        body: dict[str, Any] = response.json()
        return body

    def data(self, query: str, **variables: object) -> dict[str, Any]:
        """Run an operation that must succeed and return its data."""
        body = self.execute(query, **variables)
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data
