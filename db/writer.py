"""The writer: the one task that commits. What arrives during a commit forms the next batch.

It numbers, stores and publishes, then answers: orders and changes of orders, each seeing those
before it. A caller that is cancelled while it waits changes nothing: its order is stored and every
screen sees it, because publishing is not the caller's.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy.exc import DatabaseError, DataError, IntegrityError

from db.errors import OverloadedError, UnavailableError
from db.lifecycle.changes import Change, Outcome
from db.order_log import OrderLog
from db.records import NewOrder, Order
from db.stats import WriterStats
from db.store import Request, Result, Store

logger = logging.getLogger("bistro92.writer")

_NOT_STORED = "The order could not be stored. Try again shortly, with its idempotency key."
_NOT_CHANGED = "The change could not be stored. Try again shortly."


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: Request
    answer: asyncio.Future[Result]


class Writer:
    """Stores orders in batches: one transaction and one `fsync` for all that wait.

    `after_commit` runs between batches, on the writer's task (SQLite: checkpoints). Use as an
    async context manager: leaving it commits and answers what is queued.
    """

    def __init__(
        self,
        store: Store,
        log: OrderLog,
        *,
        batch_max_orders: int,
        queue_max_orders: int,
        after_commit: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._log = log
        self._batch_max_orders = batch_max_orders
        self._queue_max_orders = queue_max_orders
        self._after_commit = after_commit
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._failing = False
        self._task: asyncio.Task[None] | None = None
        self.stats = WriterStats()

    async def __aenter__(self) -> "Writer":
        self._task = asyncio.create_task(self._run(), name="bistro92-writer")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def alive(self) -> bool:
        """Whether orders are accepted."""
        return self._task is not None and not self._task.done() and not self._closing

    @property
    def waiting_orders(self) -> int:
        """How many orders wait for the next batch."""
        return len(self._waiting)

    async def create_order(self, order: NewOrder) -> Order:
        """Store an order; return it when it is on disk and published.

        With an idempotency key that is already stored, the first order comes back and nothing is
        written. Cancelling this call does not cancel the order. Raises `OverloadedError` at once
        when the queue is full, `IdempotencyKeyReusedError` when the key belongs to a different
        order, and `UnavailableError` when the database can't be written or the writer is closing:
        the order is not acknowledged then, and must be sent again. (A commit that fails in its last
        step, the disk's own, may turn out to have succeeded after a crash.)
        """
        return cast("Order", await self._enqueue(order))

    async def change_order(self, change: Change) -> Outcome:
        """Change an order; return what came of it when that is on disk and published.

        What is so already, or is refused, writes nothing. Cancelling this call does not cancel the
        change. Raises what `create_order` raises; the same change can be sent again then.
        """
        return cast("Outcome", await self._enqueue(change))

    def _enqueue(self, request: Request) -> asyncio.Future[Result]:
        if not self.alive:
            raise UnavailableError("The service is stopping. Try again shortly.")
        if len(self._waiting) >= self._queue_max_orders:
            raise OverloadedError("Too many orders are waiting. Try again shortly.")
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._wake.set()
        return waiting.answer

    async def close(self) -> None:
        """Accept no more orders, commit and answer those that wait, and end."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            # Shielded: a caller that gives up waiting must not cancel a commit half-way.
            await asyncio.shield(self._task)

    async def _run(self) -> None:
        while True:
            if self._waiting:
                await self._process(self._take_batch())
                await self._keep_house()
            elif self._closing:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _keep_house(self) -> None:
        try:
            await self._after_commit()
        except Exception:
            logger.exception("the work between batches failed")

    def _take_batch(self) -> list[_Waiting]:
        count = min(len(self._waiting), self._batch_max_orders)
        return [self._waiting.popleft() for _ in range(count)]

    async def _process(self, batch: Sequence[_Waiting]) -> None:
        """Store a batch, publish it and answer its callers; never raises: the writer goes on."""
        began = time.perf_counter()
        try:
            stored = await self._store.store([waiting.request for waiting in batch], self._log.head)
        except Exception as error:
            self.stats.failed_batches += 1
            await self._process_failed(batch, error)
            return
        self.stats.commit_seconds.observe(time.perf_counter() - began)
        self.stats.batch_orders.observe(len(batch))
        self._note_recovery()
        # Outside the try: what is committed must never be taken for failed and stored again.
        for entries, head in stored.unpublished:
            await self._log.publish(entries, head)
        for waiting, outcome in zip(batch, stored.outcomes, strict=True):
            _answer(waiting, outcome)

    async def _process_failed(self, batch: Sequence[_Waiting], error: Exception) -> None:
        if _is_unavailable(error):
            self._note_failure(error)
            for waiting in (*batch, *self._give_up_if_closing()):
                _answer(waiting, _not_stored(waiting.request))
        elif len(batch) == 1:
            self._note_recovery()  # the database answers: it is this order that it refuses
            _answer(batch[0], error)
        else:
            await self._process_one_by_one(batch)

    async def _process_one_by_one(self, batch: Sequence[_Waiting]) -> None:
        """Store a batch of which one order may be bad, each in a transaction of its own."""
        for number, waiting in enumerate(batch):
            await self._process([waiting])
            if self._failing:
                # The database is gone now: don't let each of the others wait for its timeout.
                for left in batch[number + 1 :]:
                    _answer(left, _not_stored(left.request))
                return

    def _give_up_if_closing(self) -> list[_Waiting]:
        waiting = list(self._waiting) if self._closing else []
        if waiting:
            self._waiting.clear()
        return waiting

    def _note_failure(self, error: Exception) -> None:
        if not self._failing:
            logger.error("orders can't be stored: %s", error.__cause__ or error)
        self._failing = True

    def _note_recovery(self) -> None:
        if self._failing:
            logger.warning("orders are stored again")
        self._failing = False


def _not_stored(request: Request) -> UnavailableError:
    return UnavailableError(_NOT_STORED if isinstance(request, NewOrder) else _NOT_CHANGED)


def _answer(waiting: _Waiting, outcome: Result | Exception) -> None:
    if waiting.answer.done():  # the caller was cancelled; its order stands
        return
    if isinstance(outcome, Exception):
        waiting.answer.set_exception(outcome)
    else:
        waiting.answer.set_result(outcome)


def _is_unavailable(error: Exception) -> bool:
    """Tell whether the database failed (full, locked, I/O), not what it was asked to store."""
    if isinstance(error, UnavailableError):
        return True
    return isinstance(error, DatabaseError) and not isinstance(error, DataError | IntegrityError)
