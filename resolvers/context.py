"""What every resolver is handed: the running service and who asks."""

import asyncio
from dataclasses import dataclass, field

from db.order_log import OrderLog
from db.reader import OrderReader
from db.tokens import Role
from db.writer import Writer
from resolvers.screens import Screens


@dataclass(slots=True)
class Service:
    """The running parts behind the API; `answering` are tasks that stopping must wait for."""

    writer: Writer
    log: OrderLog
    reader: OrderReader
    draining: bool = False
    answering: set[asyncio.Task[object]] = field(default_factory=set)
    screens: Screens = field(default_factory=Screens)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a role, and the token that it is from; None if no token is needed."""

    role: Role
    token_id: str | None


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one HTTP request, or of one WebSocket and all its operations.

    Without a caller nothing is allowed: a socket before `connection_init`.
    """

    service: Service
    request_id: str
    caller: Caller | None
    # One page is read for a client at a time: with twenty in one operation, everybody else
    # would wait for a connection until all of them have been read.
    reading: asyncio.Lock = field(default_factory=asyncio.Lock, compare=False, repr=False)

    def may_use(self, roles: frozenset[Role]) -> bool:
        """Tell whether the caller has one of the roles."""
        return self.caller is not None and self.caller.role in roles
