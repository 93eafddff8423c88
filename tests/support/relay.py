"""Something between a service and its PostgreSQL that loses an answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import make_url

from tests.support.databases import PostgresDatabase


@asynccontextmanager
async def relay(postgres: PostgresDatabase, port: list[int]) -> AsyncIterator[asyncio.Event]:
    """Pass bytes on, until the event is set: from then on a batch's answer is lost."""
    lose_answers = asyncio.Event()
    url = make_url(postgres.url)
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host = url.query.get("host") or url.host
        if isinstance(host, str) and host.startswith("/"):
            down, up = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{url.port or 5432}")
        else:
            down, up = await asyncio.open_connection(str(host), url.port or 5432)
        writers.extend((writer, up))
        lost = asyncio.Event()

        async def pass_on(
            source: asyncio.StreamReader, to: asyncio.StreamWriter, request: bool
        ) -> None:
            while data := await source.read(65536):
                if request and lose_answers.is_set() and b"order_created" in data:
                    lost.set()
                if not request and lost.is_set():
                    break
                to.write(data)
            to.close()

        await asyncio.gather(pass_on(reader, up, True), pass_on(down, writer, False))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port.append(server.sockets[0].getsockname()[1])
    try:
        yield lose_answers
    finally:
        server.close()
        for writer in writers:
            writer.close()
