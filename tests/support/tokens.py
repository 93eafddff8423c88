"""Tokens, made in the test's process: quicker than the command, in the same place."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import httpx2 as httpx

from db.opening import open_tokens
from db.tokens import Role, TokenStore
from server.access.callers import Access
from server.access.gate import Gate
from server.access.rate_limit import Limiter
from server.access.sites import Sites
from server.settings import Settings
from tests.support.databases import AnyDatabase, SqliteFile
from tests.support.server import ServerProcess

LIST = "{ orders { nodes { id } } }"
_SOUP = '{table: "1", items: [{name: "Soup", quantity: 1}]}'
CREATE = f"mutation {{ createOrder(input: {_SOUP}) {{ order {{ id }} }} }}"


def tokens_of(
    database: AnyDatabase | Path, *, read_only: bool = False
) -> AbstractAsyncContextManager[TokenStore]:
    known = SqliteFile(database) if isinstance(database, Path) else database
    settings = Settings(database_url=known.url, busy_timeout_ms=2000)
    return open_tokens(settings.database(), read_only=read_only)


def gate_of(database: AnyDatabase) -> Gate:
    """Return the gate of a service with this database and no other settings."""
    settings = Settings(database_url=database.url)
    return Gate(
        Access(
            partial(tokens_of, database, read_only=True), host="127.0.0.1", allow_anonymous=False
        ),
        Sites(settings.sites()),
        Limiter(settings.rate_limit, allow_anonymous=False),
    )


async def create_tokens(database: AnyDatabase | Path) -> Mapping[Role, str]:
    """Create a token of each role, named like it."""
    async with tokens_of(database) as store:
        return {role: await store.create(role, role.value) for role in Role}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def post(server: ServerProcess, query: str, headers: Mapping[str, str]) -> httpx.Response:
    return server.http.post("/graphql", json={"query": query}, headers=headers)


def codes(answer: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in answer.json().get("errors", [])]


def placed(server: ServerProcess) -> int:
    ((count,),) = server.database.rows("SELECT count(*) FROM orders")
    assert isinstance(count, int)
    return count
