"""One server process per SQLite file, held by the kernel."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from db.errors import StartError


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Keep every other Bistro92 process away from this database file.

    The lock is the kernel's (`flock` on `<file>.lock`): it ends with the process, however that
    dies. The lock file stays behind on purpose: removing it would let two processes hold "the"
    lock. Raises `StartError` if another process holds it.
    """
    try:
        file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StartError(f"The lock file {path}.lock can't be opened: {error.strerror}.") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 20, 0).decode().strip() or "unknown"
            raise StartError(
                f"The database {path} is in use by another Bistro92 process (pid {holder}). "
                "Stop that one, or set BISTRO92_DATABASE_URL to another file."
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(file)
