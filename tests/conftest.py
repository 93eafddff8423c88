"""Fixtures: a service in this process, or a server of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from app import run_service
from execution.settings import Settings
from resolvers.context import Service
from tests.support.server import ServerProcess

OpenService = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "bistro92.db"


def own_tasks() -> set[asyncio.Task[object]]:
    """Return the running tasks that are not the test runner's."""
    return {task for task in asyncio.all_tasks() if "TestRunner" not in repr(task.get_coro())}


@pytest.fixture
def open_service(database: Path) -> OpenService:
    """Open the service on the test's database: the parts of `app`, without HTTP.

    Fails if anything of it is left behind: a task, or the thread of a connection.
    """

    @asynccontextmanager
    async def opened(**settings: object) -> AsyncIterator[Service]:
        tasks, threads = own_tasks(), set(threading.enumerate())
        url = f"sqlite+aiosqlite:///{database}"
        async with run_service(
            Settings.model_validate({"database_url": url, **settings})
        ) as service:
            yield service
        assert own_tasks() <= tasks
        left = {thread for thread in set(threading.enumerate()) - threads if thread.is_alive()}
        for thread in left:
            thread.join(timeout=5)
        assert not any(thread.is_alive() for thread in left)

    return opened


@pytest.fixture
async def service(open_service: OpenService) -> AsyncIterator[Service]:
    async with open_service() as opened:
        yield opened


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own."""
    with ServerProcess(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that the tests of a module share: other tests' orders may be there."""
    with ServerProcess(tmp_path_factory.mktemp("shared")) as started:
        yield started
