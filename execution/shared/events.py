"""One encoding of an event for all screens that select the same.

An event depends on the entry and on the compiled selection, not on the screen. It is encoded for
the first screen that needs it and kept, bounded by size, for the others.
"""

from collections import OrderedDict

from db.records import LogEntry
from execution import encoding
from execution.compiled.operation import RootField

# What keeping an event takes besides its bytes: its key, its place in the table.
_OVERHEAD_BYTES = 320


class SharedEvents:
    """Encoded events by selection and place in the log, the oldest given up first."""

    def __init__(self, *, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        # A plain dictionary would look for its oldest key past all those given up before it.
        self._events: OrderedDict[tuple[RootField, int], bytes] = OrderedDict()

    def response(self, field: RootField, entry: LogEntry) -> bytes:
        """Return the JSON of an event's response; raises what completing the event raises."""
        key = (field, entry.seq)
        response = self._events.get(key)
        if response is None:
            data = {field.key: field.complete(entry.order)}
            response = self._events[key] = encoding.trimmed(encoding.encode({"data": data}))
            self._bytes += len(response) + _OVERHEAD_BYTES
            while self._bytes > self._max_bytes:
                _, oldest = self._events.popitem(last=False)
                self._bytes -= len(oldest) + _OVERHEAD_BYTES
        return response
