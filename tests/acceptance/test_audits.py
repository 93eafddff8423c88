"""GraphQL over HTTP as npm's `graphql-http` audits it, against real servers."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import ROOT, ServerProcess

_SOURCES = ROOT / "tests/support/node"
# Installed once, beside the other tools: as long as the versions are the same.
_FOLDER = ROOT / ".venv/node-audits"


def _environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def audits() -> Path:
    """Return the script that audits, with its packages beside it."""
    wanted = (_SOURCES / "package.json").read_text()
    installed = _FOLDER / "installed.json"
    _FOLDER.mkdir(exist_ok=True)
    shutil.copy(_SOURCES / "audits.mjs", _FOLDER)
    if not installed.exists() or installed.read_text() != wanted:
        shutil.copy(_SOURCES / "package.json", _FOLDER)
        command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts"]
        ended = subprocess.run(
            command, cwd=_FOLDER, env=_environment(), capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        installed.write_text(wanted)
    return _FOLDER / "audits.mjs"


@pytest.mark.parametrize("compiled", [True, False])
def test_all_audits_pass_without_a_warning(audits: Path, tmp_path: Path, compiled: bool) -> None:
    with ServerProcess(tmp_path, compiled_operations=compiled) as server:
        ended = subprocess.run(
            ["node", str(audits), f"{server.url}/graphql"],
            env=_environment(),
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        results: list[dict[str, Any]] = [json.loads(line) for line in ended.stdout.splitlines()]
        assert [result for result in results if result["status"] != "ok"] == []
        assert sum(result["id"] != "introspection" for result in results) == 61
        assert sum(result["id"] == "introspection" for result in results) == 2
        assert "Traceback" not in server.log
