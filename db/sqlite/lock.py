"""One server process per SQLite file, held by the kernel: by its name, and the file itself.

The lock beside the name keeps others away also while `restore` puts another file there. It doesn't
see that a file has a second name (a link, a mount in a container): so the file is locked as well.
"""

import fcntl
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from db.errors import StartError

_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT_POINT_FIELD = 4
_NAMES_SHOWN = 3


@contextmanager
def exclusive_lock(path: Path, *, create: bool = False) -> Iterator[None]:
    """Keep every other Bistro92 process away from this database file, whatever they call it.

    The locks are the kernel's (`flock` on `<file>.lock` and on the file): they end with the
    process, however that dies. The lock file stays behind on purpose: removing it would let two
    processes hold "the" lock. With `create` an empty database is made if there is none. Raises
    `StartError` if another process holds a lock.
    """
    with _name_lock(path):
        if create:
            _refuse_lonely_wal(path)
        with _file_lock(path, os.O_CREAT if create else 0):
            yield


def refuse_second_name(path: Path) -> None:
    """Raise `StartError` if a database file, if there is one, has more names than this one.

    SQLite keeps the newest orders beside the name that it was told (`<file>-wal`): under another
    name they would be missing, and what is stored there be overwritten with them later.
    """
    with suppress(FileNotFoundError):
        if path.stat().st_nlink > 1:
            raise StartError(
                f"The database {path} has another name{_in_words(_other_names(path))}. Its newest "
                "orders are beside one of them only: keep the name that has a -wal file beside it, "
                "or else the one that is served, and remove the other."
            )
    if _is_mounted(path):
        raise StartError(
            f"The database {path} is mounted by itself, and its newest orders, which are kept "
            "beside it, would stay behind here. Mount the folder that it is in."
        )


def _refuse_lonely_wal(path: Path) -> None:
    """Raise `StartError` if the WAL of a database is here, and the database isn't.

    A new one would be made, and SQLite would throw away the WAL beside it, and the orders in it.
    """
    wal = Path(f"{path}-wal")
    with suppress(FileNotFoundError):
        if wal.stat().st_size and not (path.exists() and path.stat().st_size):
            raise StartError(
                f"The database {path} is not there, but its newest orders are, in {wal}. Put the "
                "database back beside it; or move that file away, if the orders in it don't matter."
            )


@contextmanager
def _name_lock(path: Path) -> Iterator[None]:
    try:
        file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StartError(f"The lock file {path}.lock can't be opened: {error.strerror}.") from error
    try:
        if not _lock(file):
            raise _in_use(path, os.pread(file, 20, 0).decode().strip() or "unknown")
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)


@contextmanager
def _file_lock(path: Path, flags: int) -> Iterator[None]:
    """Lock the file itself, if there is one.

    `flock`, because Linux keeps it apart from the POSIX locks with which SQLite works on the same
    file. Where it doesn't (BSD, macOS) we would lock ourselves out: there `refuse_second_name` has
    to do.
    """
    if sys.platform != "linux":
        yield
        return
    try:
        file = os.open(path, os.O_RDONLY | flags, 0o644)
    except FileNotFoundError:
        yield
        return
    except OSError as error:
        raise StartError(f"The database {path} can't be opened: {error.strerror}.") from error
    try:
        if not _lock(file):
            raise _in_use(path, "unknown, it has the file under another name")
        yield
    finally:
        # Not before SQLite has closed the file: to close any descriptor of a file ends all POSIX
        # locks that this process has on it, and another program would remove the WAL beside it.
        os.close(file)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system of a network
        raise StartError(
            f"The database can't be locked where it is: {error.strerror}. It must be on a disk of "
            "this machine."
        ) from error
    return True


def _in_use(path: Path, holder: str) -> StartError:
    return StartError(
        f"The database {path} is in use by another Bistro92 process (pid {holder}). "
        "Stop that one, or set BISTRO92_DATABASE_URL to another file."
    )


def _other_names(path: Path) -> list[str]:
    """Return those of its other names that are in the same folder."""
    inode = path.stat().st_ino
    with os.scandir(path.parent) as entries:
        return sorted(
            entry.path for entry in entries if entry.inode() == inode and entry.name != path.name
        )


def _in_words(names: list[str]) -> str:
    return f" ({', '.join(names[:_NAMES_SHOWN])})" if names else ""


def _is_mounted(path: Path) -> bool:
    try:
        mounts = _MOUNTS.read_bytes().splitlines()
    except OSError:  # not Linux
        return False
    return os.fsencode(path) in map(_mount_point, mounts)


def _mount_point(mount: bytes) -> bytes:
    name = mount.split(b" ")[_MOUNT_POINT_FIELD]
    return re.sub(rb"\\([0-7]{3})", lambda code: bytes([int(code[1], 8)]), name)
