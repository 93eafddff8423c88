"""A disk of the server's own that can be filled and freed."""

import os
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

_DISK_BYTES = 96 * 2**20
_BLOCK = bytes(64 * 2**10)


class Disk(ABC):
    """Where the database is. `kind` says how it is filled."""

    kind: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @abstractmethod
    def fill(self) -> None:
        """Leave no room; what the server writes from now on fails."""

    @abstractmethod
    def free(self) -> None:
        """Give the room back."""


class _SmallDisk(Disk):
    kind = "tmpfs"

    def fill(self) -> None:
        with (self.folder / "filler").open("ab", buffering=0) as filler:
            size = len(_BLOCK)
            while size:
                try:
                    filler.write(_BLOCK[:size])
                except OSError:
                    size //= 2

    def free(self) -> None:
        (self.folder / "filler").unlink()


class _SizeLimit(Disk):
    """No file may become longer: to SQLite, a disk without room."""

    kind = "RLIMIT_FSIZE"

    def __init__(self, folder: Path, process: Callable[[], psutil.Process]) -> None:
        super().__init__(folder)
        self._process = process

    def fill(self) -> None:
        # The WAL may be rewritten in place; beyond this it may not grow.
        longest = max(path.stat().st_size for path in self.folder.iterdir())
        self._process().rlimit(psutil.RLIMIT_FSIZE, (longest, psutil.RLIM_INFINITY))

    def free(self) -> None:
        unlimited = (psutil.RLIM_INFINITY, psutil.RLIM_INFINITY)
        self._process().rlimit(psutil.RLIMIT_FSIZE, unlimited)


@contextmanager
def own_disk(folder: Path, process: Callable[[], psutil.Process], *, small: bool) -> Iterator[Disk]:
    """Mount a small disk (as root), or use the real one and the size limit of the process."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(folder)]
    mounts = small and os.getuid() == 0
    if not mounts or subprocess.run(command, capture_output=True).returncode != 0:
        yield _SizeLimit(folder, process)
        return
    try:
        yield _SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
