"""The manual as tests read it: its commands and programs are run, and what they print is compared.

`…` in the manual stands for anything.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import httpx2 as httpx

from tests.support.server import ROOT, clean_environment, free_port
from tests.support.waiting import wait_until

ADDRESS = "127.0.0.1:8000"


class Document:
    """A text of the manual, and the blocks in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (ROOT / name).read_text()
        self.blocks: list[tuple[str, str]] = re.findall(
            r"^```(\w*)\n(.*?)^```$", self.text, re.M | re.S
        )

    def of(self, kind: str) -> list[str]:
        """Return the blocks of a kind."""
        return [text for found, text in self.blocks if found == kind]

    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command of a user (not of root) with what it prints."""
        for text in self.of("console"):
            for part in re.split(r"^(?=[$#] )", text, flags=re.M):
                if part.startswith("$ "):
                    command, _, output = part.removeprefix("$ ").partition("\n")
                    yield command, output


README = Document("README.md")
SCREENS = Document("docs/screens.md")
ACCESS = Document("docs/access.md")
OPERATIONS = Document("docs/operations.md")
SEVERAL_INSTANCES = Document("docs/several-instances.md")


def matches(expected: str, printed: str) -> bool:
    """Compare what is printed; a line that is only `…` stands for any lines, or none."""
    parts = re.split(r"(?:^|\n)…(?:\n|$)|…", expected.strip())
    pattern = "(?s:.*)".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, printed.strip()) is not None


def same_lines(expected: list[str], printed: str) -> bool:
    """Compare line by line, so that no line is there twice."""
    found = printed.splitlines()
    return len(expected) == len(found) and all(map(matches, expected, found))


def same(expected: Any, found: Any) -> bool:
    """Compare JSON; `…` stands for any text."""
    if expected == "…":
        return isinstance(found, str)
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and list(expected) == list(found)
            and all(same(expected[key], found[key]) for key in expected)
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(expected) == len(found)
            and all(map(same, expected, found))
        )
    return bool(expected == found)


class Reader:
    """Somebody who follows the manual with a port and a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        database = f"sqlite+aiosqlite:///{folder}/bistro92.db"
        self.environment = clean_environment(port=self.port, database_url=database)
        self.environment["PATH"] = f"{ROOT}/.venv/bin:{os.environ['PATH']}"
        self._running: list[subprocess.Popen[bytes]] = []
        self._served = 0

    def translate(self, text: str) -> str:
        return text.replace(ADDRESS, f"127.0.0.1:{self.port}")

    def begin(self, command: str, cwd: Path, name: str) -> subprocess.Popen[bytes]:
        """Run a command in a window of its own; it prints to the file `name`."""
        with (self.folder / name).open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=cwd,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own: make, and the wheel's node, are parents of what they run.
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def printed(self, name: str) -> str:
        return (self.folder / name).read_text()

    def serve(self) -> None:
        self._served += 1
        self.server_log = f"run-{self._served}.log"
        self.server = self.begin("make run", ROOT, self.server_log)
        wait_until(self._is_ready, "make run to be ready")

    def _is_ready(self) -> bool:
        assert self.server.poll() is None, self.printed(self.server_log)
        return self.is_ready()

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop_serving(self) -> None:
        self.server.terminate()
        self.server.wait(15)

    def execute(self, query: str, *, token: str | None = None, **variables: object) -> Any:
        body = {"query": query, "variables": variables}
        headers = {"authorization": f"Bearer {token}"} if token else {}
        url = f"http://127.0.0.1:{self.port}/graphql"
        return httpx.post(url, json=body, headers=headers).json()

    def save(self, kind: str) -> None:
        """Save a program under the name that its first line says."""
        (text,) = SCREENS.of(kind)
        name = text.partition("\n")[0].split()[-1]
        (self.folder / name).write_text(self.translate(text))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(15)

    def install_packages(self) -> None:
        """Install what `docs/screens.md` tells to install with npm."""
        (packages,) = set(re.findall(r"`npm install ([\w -]+)`", SCREENS.text))
        installed = subprocess.run(
            ["npm", "install", "--silent", "--no-fund", "--no-audit", *packages.split()],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        assert installed.returncode == 0, installed.stderr
