"""A PostgreSQL database that can't hold every character is refused; one that holds bytes isn't."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app import run_service
from db.errors import StartError
from db.move.copying import move
from db.records import NewItem, NewOrder
from db.tokens import Role
from resolvers.orders import list_orders
from server.settings import Settings
from tests.support.databases import Cluster, PostgresDatabase, SqliteFile
from tests.support.orders import soup
from tests.support.server import ServerProcess
from tests.support.tokens import tokens_of

pytestmark = pytest.mark.postgres

PIZZA = NewOrder("día 🍕", (NewItem("Crème brûlée 🍮", 1),), "🔑")


def with_encoding(cluster: Cluster, encoding: str) -> Iterator[PostgresDatabase]:
    options = f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    with cluster.database(options) as database:
        yield database


@pytest.fixture(params=["LATIN1", "WIN1252"])
def narrow(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[PostgresDatabase]:
    yield from with_encoding(cluster, request.param)


@pytest.fixture
def of_bytes(cluster: Cluster) -> Iterator[PostgresDatabase]:
    yield from with_encoding(cluster, "SQL_ASCII")


def tables(database: PostgresDatabase) -> list[tuple[object, ...]]:
    return database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")


async def test_narrow_encoding_is_refused_before_anything_is_made(
    narrow: PostgresDatabase,
) -> None:
    message = r"encoding.*(LATIN1|WIN1252).*UTF8"
    with pytest.raises(StartError, match=message):
        async with run_service(Settings.model_validate({"database_url": narrow.url})):
            pass
    with pytest.raises(StartError, match=message):
        async with tokens_of(narrow):
            pass
    assert tables(narrow) == []


async def test_nothing_is_moved_to_a_narrow_encoding(
    narrow: PostgresDatabase, tmp_path: Path
) -> None:
    """Not even what would fit: the next order may not."""
    source = SqliteFile(tmp_path / "source.db")
    async with run_service(Settings.model_validate({"database_url": source.url})) as service:
        await service.writer.create_order(soup())
    with pytest.raises(StartError, match="encoding"):
        await move(source.path, narrow.url, prepared_statements=True)
    assert tables(narrow) == []


def test_server_and_command_say_so_and_end(narrow: PostgresDatabase, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, narrow)
    assert "can't start: The encoding of" in server.refusal()
    refused = server.command("token", "create", "--role", "floor", "--name", "bar")
    assert refused.returncode == 1
    assert "The encoding of" in refused.stderr


async def test_database_of_bytes_holds_every_character(of_bytes: PostgresDatabase) -> None:
    settings = Settings.model_validate({"database_url": of_bytes.url, "log_memory_max_entries": 1})
    async with run_service(settings) as service, tokens_of(of_bytes) as tokens:
        created = await service.writer.create_order(PIZZA)
        await service.writer.create_order(soup())
        assert await service.writer.create_order(PIZZA) == created
        found = await list_orders(
            service, first=5, after=None, last=None, before=None, table=PIZZA.table
        )
        assert found.nodes == [created]
        await tokens.create(Role.FLOOR, "Küche 🍳")
        assert [token.name for token in (await tokens.load()).all] == ["Küche 🍳"]
