"""What can go wrong below the API: one class per situation. Clients see a code for each."""


class Bistro92Error(Exception):
    """An expected failure whose message may be shown to a client."""


class BadCursorError(Bistro92Error):
    """The text is not a cursor that this service could have made."""


class CursorExpiredError(Bistro92Error):
    """The cursor names a place that this order log does not have."""


class OverloadedError(Bistro92Error):
    """More work is waiting than the service accepts: nothing was done, try again later."""


class UnavailableError(Bistro92Error):
    """The database cannot be used now, or the service is stopping: nothing was acknowledged."""


class IdempotencyKeyReusedError(Bistro92Error):
    """The idempotency key already belongs to a different order."""


class BackupError(Exception):
    """No backup was made, or nothing was restored; the message says why and what to do."""


class StartError(Exception):
    """The service cannot start; the message says what is wrong, where, and what to do."""


class MoveError(Exception):
    """A database was not moved; the message says why."""
