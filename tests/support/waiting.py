"""Wait for a condition, never for a time."""

import asyncio
import time
from collections.abc import Callable

DEADLINE_SECONDS = 20.0
_POLL_SECONDS = 0.01


def wait_until(
    condition: Callable[[], bool], what: str, deadline_seconds: float = DEADLINE_SECONDS
) -> None:
    """Block until the condition holds."""
    deadline = time.monotonic() + deadline_seconds
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for: {what}"
        time.sleep(_POLL_SECONDS)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait in a task until the condition holds."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for: {what}"
        await asyncio.sleep(_POLL_SECONDS)
