"""Whether the database file that is open is the one that the next start will open.

An open file outlives its name. After `mv`, `rm` or a copy that took its place, SQLite goes on
committing into what nobody will find again; after its log (`-wal`) has gone, so have the commits
since the last checkpoint. SQLite doesn't look, so this does.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from db.errors import UnavailableError

_LOOK_SECONDS = 1.0
# Without its index (-shm) two programs wouldn't see each other's locks.
_COMPANIONS = ("-wal", "-shm")

_Identity = tuple[int, int]


def identity(status: os.stat_result) -> _Identity:
    """Return what tells a file from all others while it is open."""
    # The device too: each file system has numbers of its own.
    return status.st_dev, status.st_ino


class ServedFile:
    """Knows the database's files as they were when they were opened.

    `name` is the database as it was given: it may lead to `path` through symbolic links.
    """

    def __init__(self, name: Path, path: Path) -> None:
        self._path = path
        self._own = identity(os.lstat(path))
        # The path itself must be no link: the log stays in the old folder when a file is moved and
        # linked.
        self._names = [(os.lstat, str(path))]
        if name != path:
            self._names.append((os.stat, str(name)))
        self._companions: list[tuple[str, _Identity]] = []
        self._when_gone: Callable[[str], None] = lambda _: None

    def know_companions(self) -> None:
        """Take note of what SQLite keeps beside the file: for when it has been opened."""
        names = [f"{self._path}{end}" for end in _COMPANIONS]
        self._companions = [(name, identity(os.lstat(name))) for name in names]

    def when_gone(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with a sentence each time that a file is found to be gone."""
        self._when_gone = tell

    def check_name(self) -> None:
        """Raise `UnavailableError` unless the database's name leads to the file that is open."""
        for look, name in self._names:
            if _found(look, name) != self._own:
                raise self.give_up(f"{name} was moved, deleted or replaced")

    def check_committed(self) -> None:
        """Raise `UnavailableError` unless what was committed is where the next start looks for it.

        That is in the file and in its log. The index is made anew then.
        """
        self.check_name()
        self._check_companion(0)

    def check(self) -> None:
        """Raise `UnavailableError` unless all files that are open are at their names."""
        self.check_committed()
        self._check_companion(1)

    def _check_companion(self, number: int) -> None:
        name, known = self._companions[number]
        if _found(os.lstat, name) != known:
            raise self.give_up(f"{name} was moved, deleted or replaced")

    def give_up(self, what: str) -> UnavailableError:
        """Tell that this process is of no use any more, and return what to raise."""
        self._when_gone(
            f"{what} under the running service. No order is acknowledged any more. See to the "
            "database before you start again: see docs/operations.md."
        )
        return UnavailableError("The database was replaced under the running service.")

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look once a second while the context is open: a file may go when nobody orders."""
        watching = asyncio.create_task(self._watch(), name="bistro92-served-file")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            with suppress(UnavailableError):  # it has been told
                self.check()


def _found(look: Callable[[str], os.stat_result], name: str) -> _Identity | None:
    """Return the identity of the file that has a name now; None if there is none."""
    try:
        return identity(look(name))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # a folder that may not be entered, a disk that doesn't answer
        raise UnavailableError("The database file can't be looked at now.") from error
