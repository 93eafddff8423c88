"""The disk's last step, `fsync`, made slow, failing or endless in the server process alone."""

import errno
import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).parent / "commits.c"
_LAYOUT = struct.Struct("iii")
_SOUND, _SLOW, _FAILING, _HANGING, _HUNG = range(5)


class Commits:
    """What the server's `fsync` does. `environment` is for the server, before it starts."""

    def __init__(self, folder: Path) -> None:
        self._control = folder / "commits.control"
        self.sound()
        self.environment: dict[str, str] = {}
        compiler = shutil.which("cc") or shutil.which("gcc")
        self.available = compiler is not None
        if compiler is not None:
            library = folder / "commits.so"
            options = ["-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"]
            subprocess.run([compiler, *options], check=True)
            self.environment = {
                "LD_PRELOAD": str(library),
                "BISTRO92_TEST_COMMITS": str(self._control),
            }

    def sound(self) -> None:
        self._set(_SOUND)

    def slow(self, milliseconds: int) -> None:
        self._set(_SLOW, milliseconds)

    def failing(self) -> None:
        self._set(_FAILING, errno.EIO)

    def hanging(self, *, after: int) -> None:
        """Let so many more succeed; the next never comes back."""
        self._set(_HANGING, after)

    @property
    def affected(self) -> int:
        """How many were slow, or failed, since that was asked for."""
        return self._get()[2]

    @property
    def hung(self) -> bool:
        return self._get()[0] == _HUNG

    def _set(self, mode: int, value: int = 0) -> None:
        # In place: the server has this file mapped.
        with self._control.open("r+b" if self._control.exists() else "w+b") as control:
            control.write(_LAYOUT.pack(mode, value, 0))

    def _get(self) -> tuple[int, int, int]:
        mode, value, affected = _LAYOUT.unpack(self._control.read_bytes())
        return mode, value, affected
