"""The standard streams, which a supervisor or a shell may have closed."""

import os
import sys
from contextlib import suppress

_STDOUT = 1
_closed: set[int] = set()


class NotShownError(Exception):
    """What had to be shown could not be."""


def keep_standard_streams() -> None:
    """Put `/dev/null` in the place of standard streams that are closed. For the first line of all.

    The next file that is opened would get the number of a closed one, and be written to by
    whatever prints: it could be the database.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, which is this one: those below are open by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            _closed.add(number)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def show(text: str) -> None:
    """Write to the standard output, now; raises `NotShownError` if it can't be written there."""
    if _STDOUT in _closed:
        raise NotShownError("It can't be shown: the standard output is closed.")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # What is left in the buffer would be written, and fail, once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
        raise NotShownError(f"It can't be shown: the standard output: {error.strerror}.") from None


def report(text: str) -> None:
    """Say what has been done: it is, whether anybody can be shown that or not."""
    try:
        show(text)
    except NotShownError:
        remark(text)


def remark(text: str) -> None:
    """Write to the standard error, if that is possible: for what nobody depends on."""
    with suppress(OSError):
        sys.stderr.write(text)
        sys.stderr.flush()
