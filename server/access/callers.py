"""Who is asking: the caller behind a request or a socket, as of the tokens that are stored now.

As long as no token has been created the service is open, to this machine only unless settings say
otherwise. The first token closes it for good, also while it is running: callers without a token
are refused from then on, and their sockets closed.
"""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import lru_cache

from starlette.types import Scope

from db.errors import StartError
from db.tokens import Role, TokenError, Tokens, TokenStore
from execution.bounded import BoundedMap
from resolvers.context import Caller

logger = logging.getLogger("bistro92.access")

ANONYMOUS = Caller(Role.MANAGER, None)
_READ_SECONDS = 0.5
_VERIFIED_MAX = 4096
_VERIFIED_MAX_BYTES = 256  # of one header: spaces around a token are its client's to choose
_ADDRESS_MAX_CHARACTERS = 64
_BEARER = b"bearer "
_MARKS_OF_PROXIES = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-real-ip",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-forwarded-server",
    }
)


OpenTokens = Callable[[], AbstractAsyncContextManager[TokenStore]]


class Access:
    """Tells who asks. Before it is opened, nobody is let in.

    `host` is the address that is listened on; `open_tokens` opens those that are stored.
    """

    def __init__(self, open_tokens: OpenTokens, *, host: str, allow_anonymous: bool) -> None:
        self._open_tokens = open_tokens
        self._host = host
        self._allows_anonymous = allow_anonymous
        self._tokens = Tokens(())
        self._is_closed = True
        # By the bytes of the header, so that a token is hashed once and not for each request.
        self._verified: BoundedMap[bytes, Caller] = BoundedMap(max_entries=_VERIFIED_MAX)
        self._watching: dict[str | None, set[Callable[[], None]]] = {}

    def caller_of(self, scope: Scope, authorization: bytes | None) -> Caller | None:
        """Return who asks on a connection, by an `Authorization` header; None if refused."""
        if not self._is_closed:
            return ANONYMOUS if self._allows_anonymous or is_local(scope) else None
        if authorization is None:
            return None
        return self._verified.get(authorization) or self._verify(authorization)

    def _verify(self, authorization: bytes) -> Caller | None:
        if authorization[: len(_BEARER)].lower() != _BEARER:
            return None
        token = self._tokens.verify(authorization[len(_BEARER) :].strip(b" ").decode("latin-1"))
        if token is None:
            return None
        caller = Caller(token.role, token.id, token.name)
        if len(authorization) <= _VERIFIED_MAX_BYTES:
            self._verified.keep(authorization, caller)
        return caller

    def watch(self, caller: Caller, dismiss: Callable[[], None]) -> None:
        """Call `dismiss`, once, when the caller may no longer come in; until `unwatch`."""
        self._watching.setdefault(caller.token_id, set()).add(dismiss)

    def unwatch(self, caller: Caller, dismiss: Callable[[], None]) -> None:
        """Forget what `watch` was told."""
        watching = self._watching.get(caller.token_id, set())
        watching.discard(dismiss)
        if not watching:
            self._watching.pop(caller.token_id, None)

    def why_refused(self) -> str:
        """Return what to tell those who are refused."""
        if self._is_closed:
            return "A valid token is needed, as authorization: Bearer …"
        return "No token has been created, so only the service's own machine is served."

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Know the tokens that belong to the database, within a second of every change.

        Raises `StartError` if they can't be read, and if the service would be open to others
        without being told to.
        """
        async with self._open_tokens() as store:
            try:
                tokens = await store.load()
            except TokenError as error:
                raise StartError(str(error)) from error
            self._is_closed = bool(tokens.all)
            if not self._is_closed:
                await self._say_open()
            self._update(tokens)
            following = asyncio.create_task(self._follow(store), name="bistro92-tokens")
            try:
                yield
            finally:
                following.cancel()
                await asyncio.wait({following})

    async def _say_open(self) -> None:
        if self._allows_anonymous:
            logger.warning(
                "no token has been created: EVERYONE who reaches %s may do everything",
                self._host,
            )
        elif await _is_loopback_name(self._host):
            logger.warning("no token has been created: everyone on this machine may do everything")
        else:
            raise StartError(
                f"no token has been created, and BISTRO92_HOST {self._host!r} can be reached "
                "from other machines. Create a token with: python app.py token create --role "
                "manager --name NAME. Or, to let everyone in, set BISTRO92_ALLOW_ANONYMOUS=true."
            )

    async def _follow(self, store: TokenStore) -> None:
        """Read the tokens again and again. While they can't be read, the last known count."""
        problem = None
        while True:
            await asyncio.sleep(_READ_SECONDS)
            try:
                self._update(await store.load())
                problem = None
            except TokenError as error:
                if problem != str(error):
                    problem = str(error)
                    logger.warning("changes of tokens are not noticed: %s", error)
            except Exception:
                logger.exception("changes of tokens are not noticed")

    def _update(self, tokens: Tokens) -> None:
        if tokens.all == self._tokens.all:
            return
        self._tokens = tokens
        self._verified.clear()
        if not self._is_closed:
            self._is_closed = True
            logger.warning("the first token has been created: from now on every client needs one")
        for token_id, watching in list(self._watching.items()):
            if token_id is None or not tokens.is_active(token_id):
                del self._watching[token_id]
                logger.info("%d sockets of token %s are closed", len(watching), token_id)
                for dismiss in watching:
                    dismiss()


def is_local(scope: Scope) -> bool:
    """Tell whether a connection is from this machine to this machine.

    Both ends count: behind a proxy on this machine `client` is whom the proxy serves, and a
    server that was told to listen everywhere doesn't know it before somebody connects.
    """
    server, client = scope.get("server"), scope.get("client")
    if not server or not client:  # a Unix socket: whoever is behind it
        return False
    # A proxy may forward a name of any length; those are kept that may be addresses.
    is_short = len(client[0]) <= _ADDRESS_MAX_CHARACTERS
    return is_short and _are_loopback(server[0], client[0]) and _is_direct(scope.get("headers", ()))


def _is_direct(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Tell whether no proxy says that it brings a request from another machine."""
    by_name = dict(headers)
    if b"x-forwarded-for" in by_name:
        # Each of several proxies may have written a line of its own.
        lines = [value for name, value in headers if name == b"x-forwarded-for"]
        addresses = b",".join(lines).decode("latin-1").split(",")
        return all(is_loopback(address.strip()) for address in addresses)
    return _MARKS_OF_PROXIES.isdisjoint(by_name)


@lru_cache(maxsize=1024)
def _are_loopback(server: str, client: str) -> bool:
    return is_loopback(server) and is_loopback(client)


def is_loopback(address: str) -> bool:
    """Tell whether an IP address can be reached from the same machine only."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return (mapped or parsed).is_loopback


async def _is_loopback_name(host: str) -> bool:
    """Tell whether every address that a host name stands for is a loopback address."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(is_loopback(str(address[0])) for *_, address in found)
