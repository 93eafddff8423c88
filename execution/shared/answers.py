"""The same read at the same place in the log has the same answer, so it is given once.

Answers are kept as bytes until the log grows. A reader that asks after an order was published gets
an answer computed after it: never an older head than one it has seen, never without its own write.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from db.errors import Bistro92Error
from db.order_log import OrderLog
from db.records import LogHead
from execution import encoding
from execution.bounded import BoundedMap
from execution.response import Response

_ANSWERS_MAX = 256
_ANSWERS_MAX_BYTES = 8_388_608

Key = bytes | str


class SharedAnswers:
    """Answers of queries at the log's head, by the key of the request."""

    def __init__(self, log: OrderLog) -> None:
        self._log = log
        self._head: LogHead | None = None
        self._answers: BoundedMap[Key, Response] = BoundedMap(
            max_entries=_ANSWERS_MAX,
            max_size=_ANSWERS_MAX_BYTES,
            size_of=lambda key, answer: len(key) + len(answer.body),
        )
        self._under_way: dict[Key, asyncio.Task[Response]] = {}

    def find(self, request: Key) -> Response | None:
        """Return the answer that was given to the same request at this head, if it is the newest.

        Only asking the database can tell, if other processes write to it: see `compute`.
        """
        return None if self._log.is_shared else self._find(request)

    def _find(self, request: Key) -> Response | None:
        return self._answers.get(request) if self._log.head is self._head else None

    async def compute(self, request: Key, answer: Callable[[], Awaitable[Response]]) -> Response:
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
        self._answers.clear()
        self._under_way = {}

    async def _compute(self, request: Key, answer: Callable[[], Awaitable[Response]]) -> Response:
        head = self._log.head
        computed = await answer()
        # An error may be gone the next time.
        if self._log.head is head and self._head is head and not computed.errors:
            kept = replace(computed, body=encoding.trimmed(computed.body))
            self._answers.keep(request, kept)
        return computed
