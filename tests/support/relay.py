"""What may go wrong between a service and its PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy import URL, make_url

from tests.support.databases import PostgresDatabase

# It is in the message that stores a batch, and in no other.
_STORING = b"order_created"


@dataclass
class Relay:
    """Passes bytes on, until one of its events is set."""

    url: str
    # From then on the answer to a batch is lost, and its connection with it.
    lose_answers: asyncio.Event = field(default_factory=asyncio.Event)
    # From then on nothing is passed on, and nothing is closed: the other machine has vanished.
    be_silent: asyncio.Event = field(default_factory=asyncio.Event)

    async def pass_requests(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while data := await source.read(65536):
            if self.lose_answers.is_set() and _STORING in data:
                lost.set()
            to.write(data)
        to.close()

    async def pass_answers(
        self, source: asyncio.StreamReader, to: asyncio.StreamWriter, lost: asyncio.Event
    ) -> None:
        while (data := await source.read(65536)) and not lost.is_set():
            if self.be_silent.is_set():
                await asyncio.Event().wait()
            to.write(data)
        to.close()


async def _connect(url: URL) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host = url.query.get("host") or url.host
    if isinstance(host, str) and host.startswith("/"):
        path = f"{host}/.s.PGSQL.{url.port or 5432}"
        return await asyncio.open_unix_connection(path, limit=65536)
    return await asyncio.open_connection(str(host), url.port or 5432, limit=65536)


@asynccontextmanager
async def open_relay(postgres: PostgresDatabase) -> AsyncIterator[Relay]:
    """Listen before a database."""
    url = make_url(postgres.url)
    tasks: list[asyncio.Task[None]] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        down, up = await _connect(url)
        writers.extend((writer, up))
        lost = asyncio.Event()
        tasks.append(asyncio.create_task(relay.pass_requests(reader, up, lost)))
        tasks.append(asyncio.create_task(relay.pass_answers(down, writer, lost)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    through = url.set(host="127.0.0.1", port=port).difference_update_query(["host"])
    relay = Relay(through.render_as_string(hide_password=False))
    try:
        yield relay
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in writers:
            writer.transport.abort()
