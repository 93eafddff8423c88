"""Tokens, made in the test's process: quicker than the command, on the same file."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from db.tokens import Role, TokenStore, open_tokens


def tokens_of(database: Path) -> AbstractAsyncContextManager[TokenStore]:
    return open_tokens(database, busy_timeout_ms=2000, read_only=False)


async def create_tokens(database: Path) -> Mapping[Role, str]:
    """Create a token of each role, named like it."""
    async with tokens_of(database) as store:
        return {role: await store.create(role, role.value) for role in Role}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}
