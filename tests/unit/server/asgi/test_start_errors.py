"""Whatever is expected to fail at the start is told in a sentence, not with a traceback."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette

from db.errors import StartError, UnavailableError
from server.asgi.start_errors import PlainStartErrors


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StartError("the file is gone."), "Bistro92 can't start: the file is gone."),
        # The database fails between having been checked and having been read.
        (UnavailableError("The database can't be read."), "Bistro92 can't start: The database"),
        (RuntimeError("a bug"), "Traceback"),
    ],
)
async def test_failed_start(error: Exception, told: str) -> None:
    async def fail() -> None:
        raise error

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await fail()
        yield

    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    app = PlainStartErrors(Starlette(lifespan=lifespan))
    with pytest.raises(type(error)):
        await app({"type": "lifespan", "app": app, "state": {}}, receive, send)
    (failed,) = sent
    assert failed["type"] == "lifespan.startup.failed"
    assert failed["message"].startswith(told)
