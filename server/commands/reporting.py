"""How a command ends: it says what was done, or why nothing was, and returns its exit status."""

from server.streams import remark, report


def done(text: str) -> int:
    """Say what has been done, on the standard output."""
    report(f"{text}\n")
    return 0


def refused(text: str) -> int:
    """Say why it was not done, on the standard error."""
    remark(f"{text}\n")
    return 1
