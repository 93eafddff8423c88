"""Programs of JavaScript with packages from npm, run on the node that is installed for tests."""

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.server import ROOT

_ENVIRONMENT = os.environ | {"PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}


def install(sources: Path) -> Path:
    """Return a folder with the programs of `sources` and the packages that they need.

    It is beside the other tools, and filled once: as long as the versions are the same.
    """
    folder = ROOT / f".venv/node-{sources.name}"
    folder.mkdir(exist_ok=True)
    for program in sources.glob("*.mjs"):
        shutil.copy(program, folder)
    wanted = (sources / "package.json").read_text()
    installed = folder / "installed.json"
    if not installed.exists() or installed.read_text() != wanted:
        shutil.copy(sources / "package.json", folder)
        command = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--ignore-scripts"]
        ended = subprocess.run(
            command, cwd=folder, env=_ENVIRONMENT, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        installed.write_text(wanted)
    return folder


def run(program: Path, *arguments: str) -> str:
    """Run a program to its end; return what it printed."""
    ended = subprocess.run(
        ["node", str(program), *arguments], env=_ENVIRONMENT, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout
