"""The same read at the same place in the log has the same answer, so it is given once.

Answers are kept as bytes until the log grows. A reader that asks after an order was published gets
an answer computed after it: never an older head than one it has seen, never without its own write.
"""

import asyncio
from collections.abc import Awaitable, Callable

from db.errors import Bistro92Error
from db.order_log import OrderLog
from db.records import LogHead
from execution import encoding

_ANSWERS_MAX = 256
_ANSWERS_MAX_BYTES = 8_388_608


class SharedAnswers:
    """Answers of queries at the log's head, by the bytes of the request."""

    def __init__(self, log: OrderLog) -> None:
        self._log = log
        self._head: LogHead | None = None
        self._answers: dict[bytes, bytes] = {}
        self._under_way: dict[bytes, asyncio.Task[bytes]] = {}
        self._bytes = 0

    def find(self, request: bytes) -> bytes | None:
        """Return the answer that was given to the same request at this head, if it is the newest.

        Only asking the database can tell, if other processes write to it: see `compute`.
        """
        return None if self._log.is_shared else self._find(request)

    def _find(self, request: bytes) -> bytes | None:
        return self._answers.get(request) if self._log.head is self._head else None

    async def compute(self, request: bytes, answer: Callable[[], Awaitable[bytes]]) -> bytes:
        """Compute an answer once for all that ask for it at this head."""
        if self._log.is_shared and (request in self._answers or request in self._under_way):
            try:
                await self._log.refresh()
            except Bistro92Error:
                return await answer()  # which says what is wrong
            if (found := self._find(request)) is not None:
                return found
        if self._log.head is not self._head:
            self._begin_anew()
        under_way = self._under_way
        task = under_way.get(request)
        if task is None:
            task = asyncio.create_task(self._compute(request, answer))
            under_way[request] = task
            # From this head's tasks: there may be others by the time that this one is done.
            task.add_done_callback(lambda _: under_way.pop(request))
        # Shielded: the one who asked first may leave, the others still wait.
        return await asyncio.shield(task)

    def _begin_anew(self) -> None:
        self._head = self._log.head
        self._answers = {}
        self._under_way = {}
        self._bytes = 0

    async def _compute(self, request: bytes, answer: Callable[[], Awaitable[bytes]]) -> bytes:
        head = self._log.head
        computed = await answer()
        if self._log.head is head and self._head is head:
            self._keep(request, computed)
        return computed

    def _keep(self, request: bytes, computed: bytes) -> None:
        size = len(request) + len(computed)
        has_room = self._bytes + size <= _ANSWERS_MAX_BYTES and len(self._answers) < _ANSWERS_MAX
        # An error may be gone the next time.
        if has_room and not computed.startswith(b'{"data":null') and b'"errors":' not in computed:
            self._answers[request] = encoding.trimmed(computed)
            self._bytes += size
