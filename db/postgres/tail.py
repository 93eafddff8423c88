"""Learn of what other processes commit: a hint for each batch, and a slow poll in case one is lost.

Hints carry nothing but their sender. What there is to see is read from the log, once for this
process, however many screens it has.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from db.driver_errors import DRIVER_ERRORS
from db.errors import Bistro92Error
from db.postgres.deciding import CHANNEL
from db.shared_order_log import SharedOrderLog

logger = logging.getLogger("bistro92.tail")

_ANSWER_TIMEOUT_SECONDS = 3.0
_RECONNECT_MIN_SECONDS, _RECONNECT_MAX_SECONDS = 0.1, 3.0

Connect = Callable[[], Awaitable[asyncpg.Connection]]


class Tail:
    """Keeps the log of this process up with the database's. `origin` names our own hints."""

    def __init__(
        self, log: SharedOrderLog, connect: Connect, *, origin: str, poll_seconds: float
    ) -> None:
        self._log = log
        self._connect = connect
        self._origin = origin
        self._poll_seconds = poll_seconds
        self._hinted = asyncio.Event()
        self._failing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow while the context is open."""
        tasks = {
            asyncio.create_task(self._listen(), name="bistro92-listen"),
            asyncio.create_task(self._follow(), name="bistro92-follow"),
        }
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._hinted.wait()
            self._hinted.clear()
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            await self._log.refresh()
        except Bistro92Error as error:
            if not self._failing:
                logger.error("the log can't be followed: %s", error.__cause__ or error)
            self._failing = True
            return
        except Exception:
            logger.exception("the log can't be followed")
            self._failing = True
            return
        if self._failing:
            logger.warning("the log is followed again")
        self._failing = False

    async def _listen(self) -> None:
        pause = _RECONNECT_MIN_SECONDS
        while True:
            try:
                connection = await self._connect()
                pause = _RECONNECT_MIN_SECONDS
                try:
                    await self._hear(connection)
                finally:
                    connection.terminate()
                reason: object = "the connection was lost"
            except DRIVER_ERRORS as error:
                reason = error
            logger.warning("hints are not heard, polling meanwhile: %s", reason)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            pause = min(2 * pause, _RECONNECT_MAX_SECONDS)

    async def _hear(self, connection: asyncpg.Connection) -> None:
        """Listen until the connection is lost. What was missed before is caught up with first."""
        lost = asyncio.Event()

        def on_termination(_: object) -> None:
            lost.set()

        connection.add_termination_listener(on_termination)
        await connection.add_listener(CHANNEL, self._on_hint)
        self._hinted.set()
        while not lost.is_set():
            # A peer that vanished without a word is noticed by this only.
            await connection.fetchval("SELECT 1", timeout=_ANSWER_TIMEOUT_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await lost.wait()

    def _on_hint(self, _connection: object, _pid: int, _channel: str, origin: object) -> None:
        # The writer publishes our own batches itself: reading them back would double the work.
        if origin != self._origin:
            self._hinted.set()
