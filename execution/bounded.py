"""A map with an end to its memory."""

import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


_UNLIMITED = sys.maxsize


def _nothing(_key: object, _value: object) -> int:
    return 0


class BoundedMap(OrderedDict[K, V], Generic[K, V]):
    """Gives up its oldest entries beyond a number of entries, or of whatever `size_of` counts.

    Entries come by `keep` and go by themselves. Those that are used move up with `move_to_end`, if
    they are to stay for that. (A plain dictionary would look for its oldest key past all those
    that it has given up before.)
    """

    def __init__(
        self,
        *,
        max_entries: int = _UNLIMITED,
        max_size: int = _UNLIMITED,
        size_of: Callable[[K, V], int] = _nothing,
    ) -> None:
        super().__init__()
        self._max_entries = max_entries
        self._max_size = max_size
        self._size_of = size_of
        self.size = 0

    def keep(self, key: K, value: V) -> None:
        """Put an entry in as the newest one."""
        if key in self:
            self.size -= self._size_of(key, self.pop(key))
        self[key] = value
        self.size += self._size_of(key, value)
        while len(self) > self._max_entries or self.size > self._max_size:
            oldest = self.popitem(last=False)
            self.size -= self._size_of(*oldest)

    def clear(self) -> None:
        """Give everything up."""
        super().clear()
        self.size = 0
