"""Whether the database file that is open is the one that the next start will open.

An open file outlives its name. After `mv`, `rm` or a copy that took its place, SQLite goes on
committing into what nobody will find again; after its WAL (`-wal`) has gone, so have the commits
since the last checkpoint. `cp` and `>` keep the file and replace what is in it: the database is
written at checkpoints only, and a WAL that something was committed to begins with SQLite's mark.
SQLite doesn't look, so this does.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from db.errors import StartError, UnavailableError

logger = logging.getLogger("bistro92.served_file")

_LOOK_SECONDS = 1.0
# Without its index (-shm) two programs wouldn't see each other's locks.
_COMPANIONS = ("-wal", "-shm")
_GONE = "was moved, deleted or replaced"
# How a WAL begins (sqlite.org/fileformat2.html, 4.1).
_WAL_MARKS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")

_Identity = tuple[int, int]
_Content = tuple[int, int]


def identity(status: os.stat_result) -> _Identity:
    """Return what tells a file from all others while it is open."""
    # The device too: each file system has numbers of its own.
    return status.st_dev, status.st_ino


def _content(status: os.stat_result) -> _Content:
    """Return what changes with every write to a file."""
    return status.st_size, status.st_mtime_ns


class ServedFile:
    """Knows the database's files as they were when they were opened.

    `name` is the database as it was given: it may lead to `path` through symbolic links.
    """

    def __init__(self, name: Path, path: Path) -> None:
        self.path = path
        self._own = identity(self._look_at_start(str(path)))
        # What is in it, as of our last checkpoint; None while it isn't known.
        self._content: _Content | None = None
        # Something was committed to the WAL since then, so it isn't empty.
        self._is_wal_used = False
        # The path itself must be no link: the WAL stays in the old folder when a file is moved and
        # linked.
        self._names = [(os.lstat, str(path))]
        if name != path:
            self._names.append((os.stat, str(name)))
        self._companions: list[tuple[str, _Identity]] = []
        self._when_gone: Callable[[str], None] = lambda _: None

    def know_companions(self) -> None:
        """Take note of what SQLite keeps beside the file: for when it has been opened."""
        names = [f"{self.path}{end}" for end in _COMPANIONS]
        self._companions = [(name, identity(self._look_at_start(name))) for name in names]
        self._content = _content(self._look_at_start(str(self.path)))

    @contextmanager
    def being_written(self) -> Iterator[None]:
        """Expect the file to change, and the WAL to be emptied: a checkpoint. Nobody else may."""
        self._content = None
        self._is_wal_used = False
        try:
            yield
        finally:
            with suppress(OSError):  # gone: `check_name` says so
                self._content = _content(os.lstat(self.path))

    def check_at_start(self) -> None:
        """Raise `StartError` if the file has gone while the start waited for somebody."""
        self._look_at_start(str(self.path))
        try:
            self.check_name()
        except UnavailableError:
            raise self._gone_at_start() from None

    def _look_at_start(self, name: str) -> os.stat_result:
        try:
            status = _found(os.lstat, name)
        except OSError as error:
            raise StartError(
                f"The database {self.path} can't be looked at: {error.strerror}."
            ) from error
        if status is None:
            raise self._gone_at_start()
        return status

    def _gone_at_start(self) -> StartError:
        return StartError(f"The database {self.path} {_GONE} while it was opened.")

    def when_gone(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with a sentence each time that a file is found to be gone."""
        self._when_gone = tell

    def check_name(self) -> None:
        """Raise `UnavailableError` unless the database's name leads to the file that is open."""
        for look, name in self._names:
            status = self._look_at(name, self._own, look)
            if self._content is not None and _content(status) != self._content:
                raise self.give_up(f"{name} was written to by another program")

    def check_committed(self) -> None:
        """Raise `UnavailableError` unless what was committed is where the next start looks for it.

        That is in the file and in its WAL. The index is made anew then.
        """
        self.check_name()
        wal, known = self._companions[0]
        self._look_at(wal, known)
        self._check_mark(wal)

    def check(self) -> None:
        """Raise `UnavailableError` unless all files that are open are at their names."""
        self.check_committed()
        self._look_at(*self._companions[1])

    def _look_at(
        self, name: str, known: _Identity, look: Callable[[str], os.stat_result] = os.lstat
    ) -> os.stat_result:
        try:
            status = _found(look, name)
        except OSError as error:  # a folder that may not be entered, a disk that doesn't answer
            raise UnavailableError("The database file can't be looked at now.") from error
        if status is None or identity(status) != known:
            raise self.give_up(f"{name} {_GONE}")
        return status

    def _check_mark(self, wal: str) -> None:
        if self._content is None:  # a checkpoint empties it in this moment
            return
        with suppress(OSError), Path(wal).open("rb", buffering=0) as opened:
            mark = opened.read(len(_WAL_MARKS[0]))
            if mark not in _WAL_MARKS and (mark or self._is_wal_used):
                raise self.give_up(f"{wal} was emptied by another program")
            self._is_wal_used = bool(mark)

    def give_up(self, what: str) -> UnavailableError:
        """Tell that this process is of no use any more, and return what to raise."""
        self._when_gone(
            f"{what} under the running service. No order is acknowledged any more. See to the "
            "database before you start again: see docs/operations.md."
        )
        return UnavailableError("The database was replaced under the running service.")

    def put_wal_aside(self) -> None:
        """Rename our WAL if it is beside another database now: it would be applied to that one.

        For when all is closed. What could not be put into the file that was open is in it. Whoever
        ends has reasons of their own: if this can't be done, it is only told.
        """
        if not self._companions:
            return
        name, known = self._companions[0]
        try:
            if self._is_beside_another(name, known):
                aside = f"{name}-of-inode-{self._own[1]}"
                os.rename(name, aside)
                logger.critical("orders are in %s that are not in the database of before", aside)
        except OSError as error:
            logger.critical(
                "%s can't be put aside: %s. If another database is at %s by now, move it away "
                "before the next start: it would be applied to that one",
                *(name, error.strerror, self.path),
            )

    def _is_beside_another(self, wal: str, known: _Identity) -> bool:
        """Tell whether our WAL has something in it, and is beside a database that isn't ours."""
        ours, other = _found(os.lstat, wal), _found(os.stat, str(self.path))
        if ours is None or other is None or identity(other) == self._own:
            return False
        return identity(ours) == known and ours.st_size > 0

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


def _found(look: Callable[[str], os.stat_result], name: str) -> os.stat_result | None:
    """Return what there is of a name now; None if there is nothing. Raises `OSError`."""
    try:
        return look(name)
    except (FileNotFoundError, NotADirectoryError):
        return None
