"""Where the faults are caused: one server process on a disk of its own, as its clients know it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx

from tests.faults.commits import Commits
from tests.faults.disk import Disk, own_disk
from tests.support.databases import SqliteFile
from tests.support.server import ServerProcess
from tests.support.waiting import DEADLINE_SECONDS

# Small, so that in seconds screens read from disk too, and the WAL is checkpointed many times.
WAL_MAX_BYTES = 262_144
_SETTINGS: dict[str, object] = {
    "log_memory_max_entries": 300,
    "wal_max_bytes": WAL_MAX_BYTES,
    "reader_connections": 2,
    "ping_interval_seconds": 1,
    "silence_timeout_seconds": 2.5,
    "connection_init_timeout_seconds": 2,
}


class FaultyServer(ServerProcess):
    """A server whose database is in a folder of its own, with more in its environment."""

    def __init__(
        self, folder: Path, database: Path, environment: dict[str, str], **settings: object
    ) -> None:
        super().__init__(folder, SqliteFile(database), **settings)
        self.environment |= environment
        # A kept connection of ours would be one more descriptor of the server's.
        self.http.close()
        self.http = httpx.Client(
            base_url=self.url,
            timeout=DEADLINE_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),
        )


@dataclass(frozen=True)
class Stage:
    """What the causes act on. `short` asks for fewer and shorter faults."""

    server: FaultyServer
    disk: Disk
    commits: Commits
    short: bool


@contextmanager
def open_stage(folder: Path, *, short: bool, small_disk: bool = True) -> Iterator[Stage]:
    """Start a server in which every fault can be caused."""
    with ExitStack() as stack:
        commits = Commits(folder)
        disk = stack.enter_context(
            own_disk(folder / "disk", lambda: server.process, small=small_disk)
        )
        database = disk.folder / "bistro92.db"
        server = FaultyServer(folder, database, commits.environment, **_SETTINGS)
        stack.enter_context(server)
        yield Stage(server, disk, commits, short)
