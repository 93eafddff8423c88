"""Backups: a copy of the database while it is served, and a copy put back in its place.

The process that serves is the only one that may write or checkpoint the database (see
`db.sqlite.engines`). So a backup opens it `mode=ro`: such a connection takes no lock but the
readers', and when it closes it neither checkpoints nor removes the write-ahead log. A restore holds
the server's own lock.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from db.cursor import EPOCH_BYTES
from db.errors import BackupError
from db.sqlite.inspection import LogSize, check, open_reading
from db.sqlite.lock import exclusive_lock, refuse_second_name

# What SQLite keeps beside a database. The WAL and the journal belong to the one that made them:
# SQLite would apply them to whatever file has the name.
_COMPANIONS = ("-wal", "-journal")

_BUSY_SECONDS = 1.0


def back_up(database: Path, target: Path) -> LogSize:
    """Write a copy of the database to a new file, and return what is in it.

    The copy is one snapshot: every order that was acknowledged before this was called, and the log
    without a gap. It gets its name when it has been checked and is on disk. The server goes on
    meanwhile, and its files are not changed. Raises `BackupError`, and `StartError` if the database
    has a second name.
    """
    if not database.is_file():
        raise BackupError(f"There is no database {database}.")
    refuse_second_name(database)
    if os.path.lexists(target):
        raise BackupError(f"{target} exists already. Name a new file.")
    with _clear_errors(target), _new_file_beside(target) as copy:
        _copy(database, copy)
        size = check(copy, database)
        _sync(copy)
        _name(copy, target)
    return size


def restore(backup: Path, database: Path) -> tuple[LogSize, Path | None]:
    """Put a backup in the database's place, with a new epoch: every old cursor is refused.

    Return what is in it, and where the replaced database is now (None if there was none). Until
    the last step, one `rename`, the database is what it was. Raises `BackupError`, and `StartError`
    while a server runs.
    """
    with _clear_errors(backup):
        if not backup.is_file():
            raise BackupError(f"There is no file {backup}.")
    with exclusive_lock(database):
        if database.exists() and backup.samefile(database):
            raise BackupError(f"{backup} is the database itself.")
        with _clear_errors(backup), _new_file_beside(database) as copy:
            _copy(backup, copy)
            size = check(copy, backup)
            _begin_new_epoch(copy)
            _take_over_owner(database, copy)
            _sync(copy)
            kept = _replace(copy, database)
    return size, kept


def _copy(source: Path, target: Path) -> None:
    """Copy a database, its write-ahead log included, as one snapshot."""
    with (
        closing(open_reading(source)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        # The copy is synced as a whole, and worth nothing before: SQLite needn't take care.
        writing.execute("PRAGMA synchronous=OFF")
        # All in one step, for the server's orders: it starts over after each commit in between.
        reading.backup(writing, pages=-1)
    with closing(sqlite3.connect(target)) as writing:
        # One file that can be read from anywhere; a server makes it a WAL database again.
        writing.execute("PRAGMA journal_mode=DELETE")


def _begin_new_epoch(copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        epoch = secrets.token_hex(EPOCH_BYTES)
        connection.execute("UPDATE log_head SET epoch = ?", (epoch,))


def _replace(copy: Path, database: Path) -> Path | None:
    """Keep the replaced database under a dated name, and give the copy its name."""
    if database.exists():
        _empty_wal(database)
    present = [end for end in ("", *_COMPANIONS) if Path(f"{database}{end}").exists()]
    kept = _unused_name(database) if present else None
    for end in present:
        os.link(f"{database}{end}", f"{kept}{end}")
    _sync(database.parent)
    for end in (*_COMPANIONS, "-shm"):
        Path(f"{database}{end}").unlink(missing_ok=True)
    copy.rename(database)
    _sync(database.parent)
    return kept


def _empty_wal(database: Path) -> None:
    """Make the replaced database one file, so that one rename replaces all of it.

    A broken one is not touched: it and its WAL are both kept, for whoever can still mend them.
    """
    try:
        with closing(open_reading(database)) as connection:
            if connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
                return
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS)) as connection:
            ((busy, *_),) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
    if busy:
        raise BackupError(
            f"{database} is in use by another program, perhaps a backup. Wait for it."
        )


def _unused_name(database: Path) -> Path:
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in count(1):
        name = Path(f"{database}.replaced-{now}{f'-{number}' if number > 1 else ''}")
        if not name.exists():
            return name
    raise AssertionError


@contextmanager
def _new_file_beside(target: Path) -> Iterator[Path]:
    """Give an empty file in the target's folder, for its owner only; remove it if it remains."""
    path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.partial")
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield path
    finally:
        for end in ("", "-journal", "-wal", "-shm"):
            Path(f"{path}{end}").unlink(missing_ok=True)


def _name(copy: Path, target: Path) -> None:
    """Give a finished copy its name, unless something has it by now."""
    try:
        os.link(copy, target)  # `rename` would replace a file that came into being meanwhile
    except FileExistsError:
        raise BackupError(f"{target} exists already. Name a new file.") from None
    except OSError:  # a file system without hard links
        copy.rename(target)
    _sync(target.parent)


def _take_over_owner(database: Path, copy: Path) -> None:
    """Let the server, which may be another user's, open what it could open before."""
    if database.exists():
        replaced = database.stat()
        os.chmod(copy, replaced.st_mode & 0o777)
        if os.geteuid() == 0:
            os.chown(copy, replaced.st_uid, replaced.st_gid)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def _clear_errors(name: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise BackupError(f"{name} can't be copied: {error}.") from error
    except OSError as error:
        raise BackupError(f"{name}: {error.strerror}.") from error
