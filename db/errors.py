"""What can go wrong below the API: one class per situation, its `code` is what clients see."""

from typing import ClassVar


class Bistro92Error(Exception):
    """An expected failure whose message and code may be shown to a client."""

    code: ClassVar[str]


class BadCursorError(Bistro92Error):
    """The text is not a cursor that this service could have made."""

    code = "BAD_CURSOR"


class CursorExpiredError(Bistro92Error):
    """The cursor names a place that this order log does not have."""

    code = "CURSOR_EXPIRED"


class OverloadedError(Bistro92Error):
    """More work is waiting than the service accepts: nothing was done, try again later."""

    code = "OVERLOADED"


class UnavailableError(Bistro92Error):
    """The database cannot be used now, or the service is stopping: nothing was acknowledged."""

    code = "UNAVAILABLE"


class IdempotencyKeyReusedError(Bistro92Error):
    """The idempotency key already belongs to a different order."""

    code = "IDEMPOTENCY_KEY_REUSED"


class BackupError(Exception):
    """No backup was made, or nothing was restored; the message says why and what to do."""


class StartError(Exception):
    """The service cannot start; the message says what is wrong, where, and what to do."""


class MoveError(Exception):
    """A database was not moved; the message says why."""
