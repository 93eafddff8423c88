"""What every resolver is handed: the running service and who asks."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from db.errors import Bistro92Error
from db.order_log import OrderLog
from db.reader import OrderReader
from db.records import Actor
from db.tokens import Role
from db.writer import Writer
from resolvers.screens import Screens

if TYPE_CHECKING:
    from resolvers.order_changed import ChangeFeed


@dataclass(slots=True)
class Service:
    """The running parts behind the API; `answering` are tasks that stopping must wait for."""

    writer: Writer
    log: OrderLog
    reader: OrderReader
    draining: bool = False
    answering: set[asyncio.Task[object]] = field(default_factory=set)
    screens: Screens = field(default_factory=Screens)


class ForbiddenError(Bistro92Error):
    """The caller's role may not use this field, or not in this way."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: a role, and the token that it is from; None if no token is needed."""

    role: Role
    token_id: str | None
    name: str | None = None

    @property
    def actor(self) -> Actor:
        """Who a change is by."""
        return Actor(self.name, self.token_id)


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
    # The feed of a subscription to changes, for whoever pings its screen.
    feeds: "list[ChangeFeed]" = field(default_factory=list, compare=False, repr=False)

    def may_use(self, roles: frozenset[Role]) -> bool:
        """Tell whether the caller has one of the roles."""
        return self.caller is not None and self.caller.role in roles
