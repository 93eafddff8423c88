"""Long work on the event loop is done in short turns, one at a time: what is short overtakes it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar
from weakref import WeakKeyDictionary

# Answering a read takes some fifteen rounds of the loop, and each may have to wait for a turn.
TURN_SECONDS = 0.002

T = TypeVar("T")
_working: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def turn() -> None:
    """Wait for a turn. However many wait, the loop looks after its sockets between any two."""
    lock = _working.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with lock:
        await asyncio.sleep(0)


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items; whoever works on them for long is interrupted between two of them."""
    await turn()
    ends = time.perf_counter() + TURN_SECONDS
    for item in items:
        if time.perf_counter() > ends:
            await turn()
            ends = time.perf_counter() + TURN_SECONDS
        yield item
