"""Bistro92: start and stop of everything, and routes. The only place that joins the parts."""

import asyncio
import logging.config
import os
import signal
import socket
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

if __name__ == "__main__" and len(sys.argv) == 1:
    # What follows takes a second: a service that is stopped meanwhile has stopped as it should.
    # At once: an exception in the midst of an import may be swallowed, or become another.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute

from db.errors import StartError
from db.opening import open_database, open_tokens, wal_size_of
from db.order_log import OrderLog
from db.writer import Writer
from execution.engine import build_engine
from execution.operations import Operations
from resolvers.context import Service
from server.access.callers import Access
from server.access.gate import Gate
from server.access.open_routes import API
from server.access.rate_limit import Limiter
from server.access.sites import Sites
from server.asgi.body_limit import BodyLimit
from server.asgi.gates import gates
from server.asgi.not_found import REFUSALS_BY_STATUS, refuse_other_sockets
from server.asgi.request_ids import RequestIds
from server.asgi.socket_limit import SocketLimit
from server.asgi.start_errors import PlainStartErrors
from server.asgi.state import Run, State, state_of_run
from server.commands import backup, move, tokens
from server.environment import load_settings
from server.health import healthz, readyz
from server.http.fast_path import Application, FastPath
from server.http.graphql_over_http import GraphQLOverHTTP
from server.logs import log_config
from server.metrics import serve_metrics
from server.settings import Settings
from server.streams import keep_standard_streams
from server.websocket.endpoint import GraphQLSockets
from server.wire.log_filter import hide_tokens
from server.wire.server import Server, bind, server_config
from server.wire.starting import ended_by_signals

logger = logging.getLogger("bistro92.app")


@asynccontextmanager
async def run_service(settings: Settings) -> AsyncIterator[Service]:
    """Open the database and begin to write."""
    async with (
        open_database(settings.database()) as database,
        Writer(
            database.store,
            database.log,
            batch_max_orders=settings.writer_batch_max_orders,
            queue_max_orders=settings.writer_queue_max_orders,
            after_commit=database.after_commit,
        ) as writer,
    ):
        head = database.log.head
        logger.info("database %s: %d orders, log at %d", database.name, head.order_id, head.seq)
        yield Service(writer=writer, log=database.log, reader=database.reader)


async def drain(service: Service, timeout_seconds: float) -> None:
    """Commit what is queued, and wait until it has been answered."""
    service.draining = True
    try:
        async with asyncio.timeout(timeout_seconds):
            await service.writer.close()
            if service.answering:
                await asyncio.wait(service.answering)
    except TimeoutError:
        logger.warning("%d orders were not answered in time", len(service.answering))


@asynccontextmanager
async def _stop_if_replaced(log: OrderLog) -> AsyncIterator[None]:
    """End the process once the database is another: only a new start helps.

    Its screens come back, here or on other instances, and are told what has become of their place.
    """

    async def stop() -> None:
        await log.replaced.wait()
        signal.raise_signal(signal.SIGTERM)

    task = asyncio.create_task(stop(), name="bistro92-replaced")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _to_graphiql(_request: Request) -> Response:
    return RedirectResponse(API)


def create_app(settings: Settings) -> Application:
    """Build the application. Nothing is opened before its lifespan starts."""
    hide_tokens()
    engine = build_engine(settings.engine_limits())
    sites = Sites(settings.sites())

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, State]]:
        with ended_by_signals() as has_started:
            # Whatever remembers is of this run: another may have another database.
            gate = _gate(settings, sites)
            wal_size = wal_size_of(settings.database())
            host, port = settings.metrics_host, settings.metrics_port
            async with (
                gate.access.opened(),
                run_service(settings) as service,
                serve_metrics(service, wal_size, host=host, port=port),
                _stop_if_replaced(service.log),
            ):
                has_started()
                app.state.service = service
                operations = Operations(engine, service, compiled=settings.compiled_operations)
                yield state_of_run(Run(service, gate, operations))

    return Application(
        FastPath(API, body_max_bytes=settings.http_body_max_bytes),
        routes=[
            *([Route("/", _to_graphiql)] if settings.graphiql else []),
            Route(API, GraphQLOverHTTP(graphiql=settings.graphiql)),
            WebSocketRoute(API, GraphQLSockets(engine.vocabulary, settings.sockets())),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            WebSocketRoute("/{path:path}", refuse_other_sockets),
        ],
        middleware=[
            Middleware(PlainStartErrors),
            Middleware(RequestIds),
            *gates(sites, pages=settings.graphiql),
            Middleware(
                SocketLimit,
                max_sockets=settings.max_websockets,
                max_per_client=settings.max_websockets_per_client,
            ),
            Middleware(BodyLimit, max_bytes=settings.http_body_max_bytes),
        ],
        exception_handlers=REFUSALS_BY_STATUS,
        lifespan=lifespan,
    )


def _gate(settings: Settings, sites: Sites) -> Gate:
    anonymous = settings.allow_anonymous
    open_stored = partial(open_tokens, settings.database(), read_only=True)
    return Gate(
        Access(open_stored, host=settings.host, allow_anonymous=anonymous),
        sites,
        Limiter(settings.rate_limit, allow_anonymous=anonymous),
    )


def __getattr__(name: str) -> Starlette:
    """Make `app:app` work with the uvicorn command without reading settings at every import."""
    if name != "app":
        raise AttributeError(name)
    keep_standard_streams()
    try:
        settings = load_settings()
        # uvicorn has configured its own loggers only: ours would lose their fields.
        logging.config.dictConfig(log_config(settings.log_level, settings.log_format))
        return create_app(settings)
    except StartError as error:
        sys.exit(f"Bistro92 can't start: {error}")


def _parse_arguments() -> Namespace:
    parser = ArgumentParser(description="Serve Bistro92, or run one of the commands.")
    subparsers = parser.add_subparsers(metavar="command")
    backup.add_commands(subparsers)
    tokens.add_commands(subparsers)
    move.add_commands(subparsers)
    return parser.parse_args()


def main() -> None:
    """Run a command, or serve until SIGTERM or SIGINT."""
    keep_standard_streams()
    arguments = _parse_arguments()
    try:
        settings = load_settings()
    except StartError as error:
        sys.exit(f"Bistro92 can't start: {error}")
    if run := getattr(arguments, "run", None):
        sys.exit(run(settings, arguments))
    _serve(settings)


def _serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        sockets = bind(settings.host, settings.port)
    except socket.gaierror as error:
        sys.exit(f"Bistro92 can't start: BISTRO92_HOST {settings.host!r}: {error.strerror}.")
    except OSError as error:
        sys.exit(
            f"Bistro92 can't start: {settings.host}:{settings.port} can't be used: "
            f"{error.strerror}. Stop the program that uses it, or set BISTRO92_PORT."
        )
    app = create_app(settings)
    config = server_config(
        app,
        app.fast_path,
        settings.connection_limits(),
        message_max_bytes=settings.websocket_message_max_bytes,
        log_config=log_config(settings.log_level, settings.log_format),
    )

    async def drain_service() -> None:
        await drain(app.state.service, settings.drain_timeout_seconds)

    server = Server(
        config, client_timeout_seconds=settings.client_timeout_seconds, drain=drain_service
    )
    try:
        server.run_until_stopped(sockets)
    finally:
        service: Service | None = getattr(app.state, "service", None)
        if service is not None and service.log.replaced.is_set():
            sys.exit(f"Bistro92 has ended: {service.log.why_replaced}")


if __name__ == "__main__":
    main()
