"""One encoding of an event for all screens that select the same.

An event depends on the entry and on the compiled selection, not on the screen. It is encoded for
the first screen that needs it and kept, bounded by size, for the others.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from execution import encoding
from execution.bounded import BoundedMap
from execution.compiled.operation import RootField

# Thousands of events: screens that are live, or came back together, ask for the same few hundred.
_MAX_BYTES = 2_097_152
# What keeping an event takes besides its bytes: its key, its place in the table.
_OVERHEAD_BYTES = 320

_Key = tuple[RootField, int]


class Event(Protocol):
    """Something at a place in the log."""

    @property
    def seq(self) -> int:
        """A number that no other event of the same field has."""


E = TypeVar("E", bound=Event)


class SharedEvents:
    """Encoded events by selection and place in the log, the oldest given up first."""

    def __init__(self, *, max_bytes: int = _MAX_BYTES) -> None:
        self._events: BoundedMap[_Key, bytes] = BoundedMap(
            max_size=max_bytes,
            size_of=lambda _, response: len(response) + _OVERHEAD_BYTES,
        )

    def response(self, field: RootField, event: E, value_of: Callable[[E], Any]) -> bytes:
        """Return the JSON of an event's response; raises what completing the event raises."""
        key = (field, event.seq)
        response = self._events.get(key)
        if response is None:
            data = {field.key: field.complete(value_of(event))}
            response = encoding.trimmed(encoding.encode({"data": data}))
            self._events.keep(key, response)
        return response
