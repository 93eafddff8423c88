"""Several server processes on one database, with clients and screens that go to another."""

import asyncio
import itertools
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import httpx2 as httpx
from websockets.exceptions import InvalidHandshake, WebSocketException

from tests.support.databases import PostgresDatabase
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import open_screen
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

GONE = (OSError, TimeoutError, WebSocketException, InvalidHandshake, httpx.TransportError)
_PAUSE_SECONDS = 0.02


class Instances:
    """Servers on one database, started together."""

    def __init__(
        self, folder: Path, database: PostgresDatabase, count: int, **settings: object
    ) -> None:
        self.servers = [ServerProcess(folder, database, **settings) for _ in range(count)]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    def __enter__(self) -> list[ServerProcess]:
        processes = [server.begin() for server in self.servers]
        for server, process in zip(self.servers, processes, strict=True):
            wait_until(
                lambda s=server, p=process: s.is_ready() or p.poll() is not None,  # type: ignore[misc]
                "all instances",
            )
            assert process.poll() is None, server.log
        return self.servers

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self.servers:
            server.http.close()
            if server.is_running:
                server.kill()


class Guests:
    """Clients that place each order until it is acknowledged, by whichever instance."""

    def __init__(self, urls: Sequence[str], *, table: str = "1") -> None:
        self.acknowledged: dict[str, int] = {}
        self.codes: set[str] = set()
        self._urls = urls
        self._table = table

    async def place_all(self, client: int, count: int) -> None:
        urls = itertools.cycle(
            [*self._urls[client:], *self._urls[:client]] if client else self._urls
        )
        async with httpx.AsyncClient(timeout=10) as http:
            for number in range(count):
                key = f"{client}-{number}"
                self.acknowledged[key] = await self._place(http, urls, key)

    async def _place(self, http: httpx.AsyncClient, urls: "itertools.cycle[str]", key: str) -> int:
        body = {"query": CREATE_ORDER, "variables": {"input": soup_input(self._table, key)}}
        while True:
            try:
                answer = (await http.post(f"{next(urls)}/graphql", json=body)).json()
            except (*GONE, ValueError):  # a proxy's own error page is no JSON
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            if "errors" not in answer:
                assert answer["data"]["createOrder"]["errors"] == []
                return int(answer["data"]["createOrder"]["order"]["id"])
            self.codes.add(answer["errors"][0]["extensions"]["code"])
            await asyncio.sleep(_PAUSE_SECONDS)


async def watch(urls: Sequence[str], cursor: str, last: int, seen: list[int]) -> None:
    """Follow to the last order, each time on the next instance, with the cursor from before."""
    for url in itertools.cycle(urls):
        try:
            async with open_screen(f"{url.replace('http', 'ws', 1)}/graphql") as screen:
                await screen.subscribe(FOLLOW, after=cursor)
                while True:
                    message = await screen.receive()
                    if message["type"] != "next":
                        assert message["payload"][0]["extensions"]["code"] == "UNAVAILABLE", message
                        break
                    order = message["payload"]["data"]["orderCreated"]
                    seen.append(int(order["id"]))
                    cursor = order["cursor"]
                    if seen[-1] >= last:
                        return
        except GONE:
            pass
        await asyncio.sleep(_PAUSE_SECONDS)


def first_cursor(server: ServerProcess) -> str:
    """Place order 1 and return its cursor."""
    cursor: str = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]["cursor"]
    return cursor
