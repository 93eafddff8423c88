"""The README is true: its commands and operations are run, and what they print is compared.

The port, the database and the folder are the test's own; `…` in the README stands for anything.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ROOT, clean_environment, free_port
from tests.support.waiting import wait_until

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)
ADDRESS = "127.0.0.1:8000"


def blocks(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command of the README with what it prints."""
    for text in blocks("console"):
        for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            yield command, output


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
    """Somebody who follows the README with a port and a folder of their own."""

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
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop_serving(self) -> None:
        self.server.terminate()
        self.server.wait(15)

    def execute(self, query: str, **variables: object) -> Any:
        body = {"query": query, "variables": variables}
        return httpx.post(f"http://127.0.0.1:{self.port}/graphql", json=body).json()

    def save(self, kind: str) -> None:
        """Save a program under the name that its first line says."""
        (text,) = blocks(kind)
        name = text.partition("\n")[0].split()[-1]
        (self.folder / name).write_text(self.translate(text))

    def close(self) -> None:
        for process in reversed(self._running):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(15)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    opened = Reader(tmp_path)
    yield opened
    opened.close()


@pytest.mark.timeout(300)
def test_readme_from_start_to_screens(reader: Reader) -> None:
    for tool in ("curl", "make", "bash"):
        assert shutil.which(tool), f"the README needs {tool}"
    (make_run, make_output), *others = commands()
    assert make_run == "make run"
    reader.serve()
    wait_until(
        lambda: matches(reader.translate(make_output), reader.printed(reader.server_log)),
        "make run to print what the README says",
    )
    screens = [command for command, _ in others if "screen" in command]
    assert screens == ["python screen.py", "node screen.mjs"]
    for command, output in others:
        if command not in screens:
            run = ["bash", "-c", reader.translate(command)]
            ended = subprocess.run(run, env=reader.environment, capture_output=True, text=True)
            assert matches(output, ended.stdout), (command, ended.stdout, ended.stderr)

    queries = [text for text in blocks("graphql") if not text.startswith("subscription")]
    results = [json.loads(text) for text in blocks("json")]
    for query, expected in zip(queries, results, strict=True):
        answer = reader.execute(query)
        assert same(expected, answer), answer

    reader.save("python")
    reader.save("js")
    (packages,) = set(re.findall(r"`npm install ([\w -]+)`", README))
    installed = subprocess.run(
        ["npm", "install", "--silent", "--no-fund", "--no-audit", *packages.split()],
        cwd=reader.folder,
        env=reader.environment,
        capture_output=True,
        text=True,
    )
    assert installed.returncode == 0, installed.stderr
    outputs = dict(others)
    for command in screens:
        reader.begin(command, reader.folder, command.split()[1] + ".log")
    expected_lines = [outputs[command].strip().splitlines() for command in screens]
    for table in ("8", "9"):
        # Each time the server has been away, and an order was placed before anyone came back.
        _wait_for_lines(reader, screens, expected_lines)
        reader.stop_serving()
        reader.serve()
        order = reader.execute(CREATE_ORDER, input=soup_input(table))["data"]["createOrder"][
            "order"
        ]
        for lines in expected_lines:
            lines.append(f"#{order['id']} table {table}, … s ago: 1 × Soup, 2 × Bread")
    _wait_for_lines(reader, screens, expected_lines)


def _wait_for_lines(reader: Reader, screens: list[str], expected: list[list[str]]) -> None:
    for command, lines in zip(screens, expected, strict=True):
        log = command.split()[1] + ".log"
        wait_until(
            lambda log=log, lines=lines: same_lines(lines, reader.printed(log)),  # type: ignore[misc]
            f"{command} to show {lines}",
        )


def test_subscription_of_the_readme_is_what_its_screens_send() -> None:
    (subscription,) = [text for text in blocks("graphql") if text.startswith("subscription")]
    selection = re.search(r"\{ id .* \}", subscription)
    assert selection
    for kind in ("python", "js"):
        assert selection.group() in blocks(kind)[0]


def test_files_that_the_readme_names_exist() -> None:
    for name in re.findall(r"\]\(([\w/.]+)\)", README):
        assert (ROOT / name).exists(), name
