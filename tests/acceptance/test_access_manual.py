"""docs/access.md is true: its commands, and the screens with a token."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.documents import ACCESS, SCREENS
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.server import ROOT, ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

PROGRAMS = {
    "python": ("python screen.py", r"`(init_payload=.*?)`\s+to\s+`WebsocketsTransport"),
    "js": ("node screen.mjs", r"`(connectionParams: .*?)`\s+to\s+`createClient"),
}
SHOWN = r"#1 table 7, \d+ s ago: 1 × Soup, 2 × Bread"
AFTER = {"python": "WebsocketsTransport(\n            URL, ", "js": "createClient({\n  "}


@pytest.mark.timeout(180)
def test_commands_and_screens_with_a_token(server: ServerProcess, tmp_path: Path) -> None:
    server.environment["PATH"] = f"{ROOT}/.venv/bin:{server.environment['PATH']}"
    (commands,) = [text.splitlines() for text in ACCESS.of("sh") if "token list" in text]
    token = None
    for command in commands[:2]:
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=server.environment,
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        token = token or ended.stdout.strip()
    assert token is not None
    assert commands[2] == ".venv/bin/python app.py token revoke grill"
    headers = {"authorization": f"Bearer {server.command(*_other_token()).stdout.strip()}"}
    wait_until(lambda: "first token" in server.log, "the server to be closed")

    (packages,) = set(re.findall(r"`npm install ([\w -]+)`", SCREENS.text))
    assert shutil.which("npm", path=server.environment["PATH"])
    subprocess.run(
        ["npm", "install", "--silent", "--no-fund", "--no-audit", *packages.split()],
        cwd=tmp_path,
        env=server.environment,
        check=True,
    )
    running = [_start(kind, token, server, tmp_path) for kind in PROGRAMS]
    try:
        body = {"query": CREATE_ORDER, "variables": {"input": soup_input("7")}}
        answer = server.http.post("/graphql", json=body, headers=headers)
        assert answer.json()["data"]["createOrder"]["order"]
        for kind in PROGRAMS:
            shown = tmp_path / f"{kind}.log"
            wait_until(
                lambda shown=shown: bool(re.search(SHOWN, shown.read_text())),  # type: ignore[misc]
                f"the {kind} screen to show the order",
            )
    finally:
        for process in running:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(20)


def _other_token() -> list[str]:
    return ["token", "create", "--role", "floor", "--name", "device 4"]


def _start(kind: str, token: str, server: ServerProcess, folder: Path) -> subprocess.Popen[bytes]:
    """Start a screen of the README with the option that docs/screens.md names."""
    (text,) = SCREENS.of(kind)
    command, pattern = PROGRAMS[kind]
    option = re.search(pattern, SCREENS.text, re.S)
    assert option, "the manual says how a screen sends its token"
    given = option[1].rstrip(",").replace("b92_…", token)
    assert token in given
    assert AFTER[kind] in text
    text = text.replace(AFTER[kind], f"{AFTER[kind]}{given}, ")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    (folder / command.split()[1]).write_text(text)
    with (folder / f"{kind}.log").open("wb") as output:
        return subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env=server.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A group of its own: the wheel's node is the parent of what it runs.
            start_new_session=True,
        )
