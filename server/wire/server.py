"""The uvicorn server as Bistro92 runs it."""

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from server.http.fast_path import FastPath
from server.wire.connections import ConnectionLimits, Connections
from server.wire.forwarded import Forwarded
from server.wire.http_protocol import LaneProtocol
from server.wire.websocket_protocol import FrameWritingProtocol

logger = logging.getLogger("bistro92.server")

_GRACEFUL_SHUTDOWN_SECONDS = 3
_BACKLOG = 2048
_COLLECT_AFTER_ALLOCATIONS = 10_000


def server_config(
    app: ASGIApp,
    fast_path: FastPath,
    limits: ConnectionLimits,
    *,
    message_max_bytes: int,
    log_config: dict[str, Any],
) -> uvicorn.Config:
    """Return uvicorn's options; each differs from its default for a reason."""
    account = Connections(limits)
    protocol = partial(
        LaneProtocol,
        account=account,
        fast_path=fast_path,
        forwarded=Forwarded(limits.proxies),
    )
    return uvicorn.Config(
        app,
        loop="uvloop",
        # uvicorn makes one for each connection; all of a server's share one account.
        http=cast("type[asyncio.Protocol]", protocol),
        # websockets-sansio, the implementation with flow control (a slow screen holds up only
        # itself), and ready frames.
        ws=cast("type[asyncio.Protocol]", partial(FrameWritingProtocol, account=account)),
        # Doubles the memory of a screen, and frames could not be shared between screens.
        ws_per_message_deflate=False,
        ws_max_size=message_max_bytes,
        # uvicorn closes with 1011, which graphql-ws clients take as final: the socket pings.
        ws_ping_interval=None,
        forwarded_allow_ips=list(limits.proxies),
        timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_SECONDS,
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=log_config,
    )


class Server(uvicorn.Server):
    """Stops in the order that loses nothing: accept no more, drain, then close the sockets.

    uvicorn alone closes WebSockets first, and the mutations running on them go unanswered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        client_timeout_seconds: float,
        drain: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(config)
        self._client_timeout_seconds = client_timeout_seconds
        self._drain = drain
        self._is_told_of_signals = False

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take note of signals: from here on they end what runs in good order.

        uvicorn would raise them again when it is done: in the midst of the event loop's end.
        """
        with super().capture_signals():
            self._is_told_of_signals = True
            try:
                yield
            finally:
                self._captured_signals.clear()

    async def on_tick(self, counter: int) -> bool:
        """Do what is done ten times a second; twice a second, look for slow clients."""
        if counter % 5 == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, (LaneProtocol, FrameWritingProtocol)):
                    connection.give_up_if_slow(self._client_timeout_seconds)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        try:
            await super().startup(sockets)
        except SystemExit:
            if not self.should_exit:
                raise
            return  # it was told to stop meanwhile, so there is nothing that failed
        _spare_the_collector()
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            logger.info("GraphiQL and the API: http://%s:%d/graphql (Ctrl+C stops)", shown, port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop the server."""
        for server in self.servers:
            server.close()
        try:
            await self._drain()
        finally:  # whatever went wrong, screens must be told to come back
            await super().shutdown(sockets)
            # After a second Ctrl+C uvicorn would leave the database open.
            if not self.lifespan.shutdown_event.is_set():
                await self.lifespan.shutdown()

    def run_until_stopped(self, sockets: Sequence[socket.socket]) -> None:
        """Serve until SIGTERM or SIGINT; a graceful stop leaves the exit status 0."""

        def stop(_signal: int, _frame: FrameType | None) -> None:
            # An exception would be raised wherever the program is: in the midst of an import, or
            # of the end, which then never comes, or comes with a traceback.
            if not self._is_told_of_signals:
                os._exit(0)  # nothing is open

        _take_all_descriptors()
        _handle_signals(stop)
        self.run(sockets=list(sockets))
        # Python's own end puts the default back in the place of a handler, which ends with 143.
        _handle_signals(signal.SIG_IGN)


def _handle_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


def _take_all_descriptors() -> None:
    """Allow as many open sockets as the system lets us have.

    The usual soft limit, 1,024, is there for programs that use `select`. Beyond the limit libuv
    accepts new connections and closes them at once, without a word.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # macOS: "unlimited" is more than it allows
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _spare_the_collector() -> None:
    """Take what exists at start out of the garbage collector's rounds, and make them rarer.

    Modules and schema are some hundred thousand objects: going through them takes 100 ms, again
    and again, in which no order is answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_ALLOCATIONS, 10, 10)


def bind(host: str, port: int) -> list[socket.socket]:
    """Listen on every address that `host` names. Raises `OSError`.

    Connections wait from here on until the service has started.
    """
    sockets = []
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in dict.fromkeys(found):
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
        sockets.append(bound)
    return sockets
