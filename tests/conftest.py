"""Fixtures: a service in this process, or a server of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from app import run_service
from resolvers.context import Service
from server.settings import Settings
from tests.support.databases import AnyDatabase, Cluster, PostgresDatabase, SqliteFile
from tests.support.server import ServerProcess

DATABASES = ["sqlite", "postgres"]
OpenService = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test that has a database on both, unless it is about one of them."""
    if "database_kind" in metafunc.fixturenames:
        marked = [kind for kind in DATABASES if metafunc.definition.get_closest_marker(kind)]
        metafunc.parametrize("database_kind", marked or DATABASES, scope="session")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server for all tests."""
    started = Cluster()
    yield started
    started.close()


@contextmanager
def new_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[AnyDatabase]:
    if request.getfixturevalue("database_kind") == "sqlite":
        yield SqliteFile(folder / "bistro92.db")
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    with cluster.database() as database:
        yield database


@pytest.fixture
def database(
    database_kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[AnyDatabase]:
    """A database of the test's own, without tables."""
    with new_database(request, tmp_path) as created:
        yield created


@pytest.fixture
def sqlite_file(database: AnyDatabase) -> Path:
    """The file of a test that is about SQLite only."""
    assert isinstance(database, SqliteFile), "mark the test: sqlite"
    return database.path


@pytest.fixture
def postgres(database: AnyDatabase) -> PostgresDatabase:
    """The database of a test that is about PostgreSQL only."""
    assert isinstance(database, PostgresDatabase), "mark the test: postgres"
    return database


def own_tasks() -> set[asyncio.Task[object]]:
    """Return the running tasks that are not the test runner's."""
    return {task for task in asyncio.all_tasks() if "TestRunner" not in repr(task.get_coro())}


@pytest.fixture
def open_service(database: AnyDatabase) -> OpenService:
    """Open the service on the test's database: the parts of `app`, without HTTP.

    Fails if anything of it is left behind: a task, or the thread of a connection.
    """

    @asynccontextmanager
    async def opened(**settings: object) -> AsyncIterator[Service]:
        tasks, threads = own_tasks(), set(threading.enumerate())
        async with run_service(
            Settings.model_validate({"database_url": database.url, **settings})
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
def server(tmp_path: Path, database: AnyDatabase) -> Iterator[ServerProcess]:
    """A server of the test's own."""
    with ServerProcess(tmp_path, database) as started:
        yield started


@pytest.fixture(scope="module")
def shared_server(
    database_kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server that the tests of a module share: other tests' orders may be there."""
    folder = tmp_path_factory.mktemp("shared")
    with new_database(request, folder) as created, ServerProcess(folder, created) as started:
        yield started
