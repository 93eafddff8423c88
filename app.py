"""Bistro92: settings, start and stop of everything, routes. The only place that joins the parts."""

import asyncio
import difflib
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from db.checkpoint import Checkpointer
from db.engines import (
    create_migration_engine,
    create_reader_engine,
    create_writer_engine,
    open_writer,
    sqlite_path,
)
from db.errors import Bistro92Error, StartError
from db.lock import exclusive_lock
from db.log import OrderLog
from db.migrate import migrate
from db.reader import OrderReader
from db.writer import Writer
from execution.lane import Application, FastLane
from execution.operations import Operations
from execution.requests import BodyLimit, PlainStartErrors, RequestIds
from execution.server import Server, bind, server_config
from execution.view import GraphQLView
from resolvers.context import Service
from schema import build_schema

logger = logging.getLogger("bistro92.app")

_PATH = "/graphql"
ENV_PREFIX = "BISTRO92_"
# Read by the tests, not by the service.
_TEST_PREFIX = "BISTRO92_TEST_"


class Settings(BaseSettings):
    """Every setting; each is read from the environment with the prefix `BISTRO92_`."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, frozen=True)

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one")
    database_url: str = Field(
        "sqlite+aiosqlite:///bistro92.db",
        description="The database file, relative to the folder the service is started in",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much is logged: `debug`, `info`, `warning` or `error`"
    )
    writer_queue_max_orders: int = Field(
        2000, ge=1, description="Orders that may wait for the writer; more get `OVERLOADED`"
    )
    writer_batch_max_orders: int = Field(
        500, ge=1, le=5000, description="Orders committed in one transaction at the most"
    )
    log_memory_max_entries: int = Field(
        5000, ge=1, description="Newest log entries kept in memory; older ones are read from disk"
    )
    reader_connections: int = Field(4, ge=1, le=64, description="Database connections for reading")
    busy_timeout_ms: int = Field(
        2000, ge=1, le=2500, description="Wait for a lock or a free connection this long"
    )
    wal_max_bytes: int = Field(
        8_388_608, ge=65_536, description="The write-ahead log is checkpointed beyond this size"
    )
    document_cache_max_documents: int = Field(
        256, ge=1, description="Parsed and validated GraphQL documents kept"
    )
    compiled_operations: bool = Field(
        True, description="Run operations compiled where possible; `False` uses graphql-core only"
    )
    http_body_max_bytes: int = Field(
        131_072, ge=1024, description="Largest body of an HTTP request; a larger one gets 413"
    )
    websocket_message_max_bytes: int = Field(
        131_072, ge=1024, description="Largest message that a WebSocket may send to the service"
    )
    connection_init_timeout_seconds: float = Field(
        5, gt=0, description="A WebSocket must send `connection_init` within this time"
    )
    ping_interval_seconds: float = Field(10, gt=0, description="Between pings to each WebSocket")
    silence_timeout_seconds: float = Field(
        25, gt=0, description="A WebSocket that says nothing for this long is closed with 4408"
    )
    drain_timeout_seconds: float = Field(
        4, gt=0, le=5, description="For committing and answering what is queued when stopping"
    )

    @model_validator(mode="after")
    def _ping_before_giving_up(self) -> Self:
        if self.silence_timeout_seconds <= self.ping_interval_seconds:
            raise ValueError(
                "BISTRO92_SILENCE_TIMEOUT_SECONDS must be more than BISTRO92_PING_INTERVAL_SECONDS"
            )
        return self


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises `StartError` for a value that is not allowed, and for an unknown name with the prefix:
    a misspelt setting would otherwise be a default that nobody asked for.
    """
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields}
    for name in os.environ:
        given = name.upper()
        if (
            given.startswith(ENV_PREFIX)
            and not given.startswith(_TEST_PREFIX)
            and given not in known
        ):
            near = difflib.get_close_matches(given, known, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise StartError(f"{name} is not a setting of Bistro92.{hint}")
    try:
        return Settings()
    except ValidationError as error:
        raise StartError(" ".join(map(_problem_of_setting, error.errors()))) from None


def _problem_of_setting(problem: ErrorDetails) -> str:
    if not problem["loc"]:  # of several settings together: the message names them
        return f"{problem['msg']}."
    name = f"{ENV_PREFIX}{'.'.join(map(str, problem['loc'])).upper()}"
    return f"{name}: {problem['msg']}, not {problem['input']!r}."


@asynccontextmanager
async def run_service(settings: Settings) -> AsyncIterator[Service]:
    """Acquire everything in the order in which an order travels; release in reverse."""
    path = sqlite_path(settings.database_url)
    async with AsyncExitStack() as stack:
        stack.enter_context(exclusive_lock(path))
        migration_engine = create_migration_engine(path, busy_timeout_ms=settings.busy_timeout_ms)
        try:
            await migrate(migration_engine, str(path))
        finally:
            await migration_engine.dispose()
        writer_engine = create_writer_engine(path, busy_timeout_ms=settings.busy_timeout_ms)
        # The writer's connection closes last: the last one to close checkpoints.
        stack.push_async_callback(writer_engine.dispose)
        await open_writer(writer_engine, path)
        checkpointer = Checkpointer(writer_engine, path, wal_max_bytes=settings.wal_max_bytes)
        stack.push_async_callback(checkpointer.run)
        reader_engine = create_reader_engine(
            path,
            connections=settings.reader_connections,
            busy_timeout_ms=settings.busy_timeout_ms,
        )
        stack.push_async_callback(reader_engine.dispose)
        reader = OrderReader(reader_engine)
        log = await OrderLog.load(reader, memory_max_entries=settings.log_memory_max_entries)
        writer = await stack.enter_async_context(
            Writer(
                writer_engine,
                log,
                batch_max_orders=settings.writer_batch_max_orders,
                queue_max_orders=settings.writer_queue_max_orders,
                after_commit=checkpointer.run_if_due,
            )
        )
        logger.info("database %s: %d orders, log at %d", path, log.head.order_id, log.head.seq)
        yield Service(writer=writer, log=log, reader=reader)


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


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _readyz(request: Request) -> Response:
    service: Service | None = getattr(request.state, "service", None)
    if service is None:
        return JSONResponse({"status": "starting"}, status_code=503)
    if service.draining:
        return JSONResponse({"status": "draining"}, status_code=503)
    if not service.writer.alive:
        return JSONResponse({"status": "the writer has stopped"}, status_code=503)
    try:
        await service.reader.head()
    except Bistro92Error as error:
        return JSONResponse({"status": str(error)}, status_code=503)
    return JSONResponse({"status": "ok"})


async def _to_graphiql(_request: Request) -> Response:
    return RedirectResponse(_PATH)


def create_app(settings: Settings) -> Starlette:
    """Build the application. Nothing is opened before its lifespan starts."""
    schema = build_schema(document_cache_max_documents=settings.document_cache_max_documents)
    operations = Operations(schema, compiled=settings.compiled_operations)
    view = GraphQLView(
        schema,
        operations,
        connection_init_timeout_seconds=settings.connection_init_timeout_seconds,
        ping_interval_seconds=settings.ping_interval_seconds,
        silence_timeout_seconds=settings.silence_timeout_seconds,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Service]]:
        async with run_service(settings) as service:
            app.state.service = service
            yield {"service": service}

    def with_fast_lane(app: ASGIApp) -> ASGIApp:
        body_max_bytes = settings.http_body_max_bytes
        return FastLane(app, path=_PATH, operations=operations, body_max_bytes=body_max_bytes)

    return Application(
        outermost=with_fast_lane,
        routes=[
            Route("/", _to_graphiql),
            Route(_PATH, view),
            WebSocketRoute(_PATH, view),
            Route("/healthz", _healthz),
            Route("/readyz", _readyz),
        ],
        middleware=[
            Middleware(PlainStartErrors),
            Middleware(RequestIds),
            Middleware(BodyLimit, max_bytes=settings.http_body_max_bytes),
        ],
        lifespan=lifespan,
    )


def __getattr__(name: str) -> Starlette:
    """Make `app:app` work with the uvicorn command without reading settings at every import."""
    if name != "app":
        raise AttributeError(name)
    try:
        return create_app(load_settings())
    except StartError as error:
        sys.exit(f"Bistro92 can't start: {error}")


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = load_settings()
        sockets = bind(settings.host, settings.port)
    except StartError as error:
        sys.exit(f"Bistro92 can't start: {error}")
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
        log_level=settings.log_level,
        websocket_message_max_bytes=settings.websocket_message_max_bytes,
    )

    async def drain_service() -> None:
        await drain(app.state.service, settings.drain_timeout_seconds)

    Server(config, drain=drain_service).run_until_stopped(sockets)


if __name__ == "__main__":
    main()
