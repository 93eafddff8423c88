"""Long work on the event loop is done in short turns, one at a time: what is short overtakes it."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar
from weakref import WeakKeyDictionary

# Answering a read takes some fifteen rounds of the loop, and each may have to wait for a turn.
TURN_SECONDS = 0.002
# A read also takes some eighty times the interpreter's lock, on the thread of its connection: with
# no pause it would get the lock once a turn.
# uvloop counts in milliseconds.
PAUSE_SECONDS = 0.001

T = TypeVar("T")
_working: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


async def turn() -> None:
    """Wait for a turn. However many wait, sockets and other threads come between any two."""
    lock = _working.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    async with lock:
        await asyncio.sleep(PAUSE_SECONDS)


async def in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items; whoever works on them for long is interrupted between two of them."""
    await turn()
    ends = time.perf_counter() + TURN_SECONDS
    for item in items:
        if time.perf_counter() > ends:
            await turn()
            ends = time.perf_counter() + TURN_SECONDS
        yield item
