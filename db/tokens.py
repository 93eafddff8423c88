"""Tokens: a random secret for each device, of which only the hash is stored.

On SQLite they are in a database of their own beside the orders (`<file>.tokens`), because commands
write it while a server runs, and the orders' file has exactly one process that commits: see
docs/decisions/0010. On PostgreSQL they are a table like the others.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import RowMapping, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.driver_errors import DRIVER_ERRORS
from db.tables import access_tokens

_NAME_MAX_CHARACTERS = 64
_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)
_TOKEN = re.compile(r"b92_([0-9a-f]{8})_[0-9a-f]{40}", re.ASCII)
# Never the hash of a token: that a token's id is unknown takes as long to say as anything else.
_NO_HASH = "0" * 64


class Role(StrEnum):
    """What a device is for."""

    FLOOR = "floor"
    KITCHEN = "kitchen"
    MANAGER = "manager"


class TokenError(Exception):
    """Something about tokens can't be done; the message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is stored of a token. `id` is the token's own public part, safe to show and to log."""

    id: str
    name: str
    role: Role
    token_sha256: str
    created_at_us: int
    revoked_at_us: int | None


class Tokens:
    """The tokens of one moment."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.all = tuple(tokens)
        self._active = {token.id: token for token in tokens if token.revoked_at_us is None}

    def is_active(self, token_id: str) -> bool:
        """Tell whether a token exists and is not revoked."""
        return token_id in self._active

    def verify(self, text: str) -> Token | None:
        """Return the active token whose secret this is. Hashes are compared in constant time."""
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        token = self._active.get(match[1])
        expected = _NO_HASH if token is None else token.token_sha256
        return token if hmac.compare_digest(_sha256(text), expected) else None


def _to_nobody_else(_token: str) -> None:
    """Leave a new token to whoever called."""


class TokenStore:
    """The stored tokens. Every method raises `TokenError` if their database can't be used.

    `creating` has transactions of more than one statement, if the engine has none.
    """

    def __init__(
        self, engine: AsyncEngine, name: str, *, creating: AsyncEngine | None = None
    ) -> None:
        self._engine = engine
        self._creating = creating or engine
        self._name = name

    async def load(self) -> Tokens:
        """Read all tokens, revoked ones included, the oldest first."""
        query = select(access_tokens).order_by(access_tokens.c.created_at_us)
        with self._telling():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(query)).mappings().all()
        return Tokens([_token(row) for row in rows])

    async def create(
        self, role: Role, name: str, hand_over: Callable[[str], None] = _to_nobody_else
    ) -> str:
        """Create a token and return it: nobody can read it again.

        It is handed over before it is stored for good: if that fails, there is no token. Raises
        `TokenError` for a name that can't be one, or that another active token has.
        """
        if not name.strip() or len(name) > _NAME_MAX_CHARACTERS or not name.isprintable():
            raise TokenError(f"A name must have 1–{_NAME_MAX_CHARACTERS} printable characters.")
        if _ID.fullmatch(name):
            raise TokenError(f"{name!r} looks like the id of a token. Use another name.")
        token_id = secrets.token_hex(4)
        # 160 random bits: nothing that could be guessed, so a plain hash of it is enough.
        text = f"b92_{token_id}_{secrets.token_hex(20)}"
        row = {
            "id": token_id,
            "name": name,
            "role": role.value,
            "token_sha256": _sha256(text),
            "created_at_us": _now_us(),
        }
        try:
            with self._telling():
                async with self._creating.begin() as connection:
                    await connection.execute(insert(access_tokens), row)
                    hand_over(text)
        except IntegrityError:
            raise TokenError(
                f"There is a token named {name!r}. Revoke it first, or use another name."
            ) from None
        return text

    async def revoke(self, name_or_id: str) -> Token:
        """Revoke a token for ever and return it; raises `TokenError` if there is none."""
        is_meant = or_(access_tokens.c.id == name_or_id, access_tokens.c.name == name_or_id)
        statement = (
            update(access_tokens)
            .where(is_meant, access_tokens.c.revoked_at_us.is_(None))
            .values(revoked_at_us=_now_us())
            .returning(access_tokens)
        )
        with self._telling():
            async with self._engine.begin() as connection:
                rows = (await connection.execute(statement)).mappings().all()
        if not rows:
            raise TokenError(f"There is no token {name_or_id!r} that could be revoked.")
        return _token(rows[0])

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except DRIVER_ERRORS as error:
            reason = getattr(error, "orig", None) or error
            raise TokenError(f"The tokens in {self._name} can't be used: {reason}.") from error


def _token(row: RowMapping) -> Token:
    return Token(**{**row, "role": Role(row["role"])})


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _now_us() -> int:
    return time.time_ns() // 1000
