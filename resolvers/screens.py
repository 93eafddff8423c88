"""The screens that are connected: how many, and how far each has come in the log."""

from dataclasses import dataclass, field
from typing import Protocol


class Following(Protocol):
    """A subscription; `place` is the last log entry that has been sent to its screen."""

    place: int


@dataclass(slots=True, eq=False)
class Screens:
    """Open sockets and subscriptions, and what has been sent to them since the start."""

    sockets: int = 0
    deliveries: int = 0
    following: set[Following] = field(default_factory=set)

    def slowest_place(self) -> int | None:
        """Return the place of the screen that is furthest behind; None if there is none.

        May be called from another thread.
        """
        # `tuple` of a set is one step of the interpreter: iterating would see it change.
        return min((feed.place for feed in tuple(self.following)), default=None)
