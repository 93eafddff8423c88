"""Clients that place orders and never give up: one idempotency key for each, however often sent."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
import orjson
from websockets.exceptions import WebSocketException

from tests.faults.ledger import Ledger
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.screen import Screen, open_screen

# What a client takes for "not there": it comes back with the same order and the same key.
GONE = (aiohttp.ClientError, WebSocketException, OSError, TimeoutError, EOFError)
ATTEMPT_SECONDS = 2.0
# Leaving must not wait for a server that is frozen or gone.
SOCKET_OPTIONS: dict[str, Any] = {"open_timeout": 3, "close_timeout": 0.2}
_RETRYABLE = frozenset({"OVERLOADED", "UNAVAILABLE"})
_AGAIN_SHARE = 0.02


class _RefusedError(Exception):
    """The service said that it can't now."""


class Clients:
    """Some over kept HTTP connections, some with a connection for each order, some on sockets.

    `pause` is the mean time between a client's orders; `each` says how many there are of a kind.
    """

    def __init__(self, ledger: Ledger, url: str, *, each: int, pause: float, name: str) -> None:
        self._ledger = ledger
        self._pause = pause
        self._name = name
        self._number = count(1)
        self._placing = True
        kinds = {"kept": self._kept, "fresh": self._fresh, "socket": self._socket}
        self._newest_attempt = dict.fromkeys(kinds, 0.0)
        self._tasks = [
            asyncio.create_task(place(kind, url), name=f"client-{kind}")
            for kind, place in kinds.items()
            for _ in range(each)
        ]

    def served_since(self, moment: float) -> bool:
        """Tell whether every kind of client has asked since then, and was answered."""
        return all(newest > moment for newest in self._newest_attempt.values())

    async def finish(self) -> None:
        """Begin no more orders, and wait until those begun are acknowledged."""
        self._placing = False
        await asyncio.gather(*self._tasks)

    def cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _orders(self) -> AsyncIterator[tuple[str, bytes]]:
        """Yield orders to place, some of them a second time."""
        while self._placing:
            table = f"{self._name}-{next(self._number)}"
            body = {"query": CREATE_ORDER, "variables": {"input": soup_input(table, table)}}
            encoded = orjson.dumps(body)
            yield table, encoded
            if random.random() < _AGAIN_SHARE:  # a client that has lost the answer
                yield table, encoded
            await asyncio.sleep(random.uniform(0, 2 * self._pause))

    def _note(self, kind: str, began: float, table: str, response: dict[str, Any]) -> None:
        if errors := response.get("errors"):
            codes = {error.get("extensions", {}).get("code") for error in errors}
            self._ledger.refusals.update(map(str, codes))
            if not codes <= _RETRYABLE:
                self._ledger.problems.append(f"{kind}: {errors}")
            raise _RefusedError
        payload = response["data"]["createOrder"]
        if payload["errors"] or payload["order"]["table"] != table:
            self._ledger.problems.append(f"{kind}: {payload}")
        self._ledger.acknowledge(table, int(payload["order"]["id"]))
        self._newest_attempt[kind] = max(began, self._newest_attempt[kind])

    async def _kept(self, kind: str, url: str) -> None:
        async with _session(force_close=False) as session:
            await self._post_all(kind, url, session)

    async def _fresh(self, kind: str, url: str) -> None:
        async with _session(force_close=True) as session:
            await self._post_all(kind, url, session)

    async def _post_all(self, kind: str, url: str, session: aiohttp.ClientSession) -> None:
        async for table, body in self._orders():
            while True:
                began = time.monotonic()
                try:
                    async with session.post(url, data=body) as response:
                        answer = orjson.loads(await response.read())
                        if response.status != 200:
                            self._ledger.problems.append(f"{response.status} {answer}")
                    self._note(kind, began, table, answer)
                    break
                except (*GONE, _RefusedError):
                    await _breathe()

    async def _socket(self, kind: str, url: str) -> None:
        orders = self._orders()
        order = await anext(orders, None)
        while order is not None:
            try:
                async with open_screen(url.replace("http", "ws", 1), **SOCKET_OPTIONS) as socket:
                    while order is not None:
                        began = time.monotonic()
                        async with asyncio.timeout(ATTEMPT_SECONDS):
                            answer = await _ask(socket, *order)
                        self._note(kind, began, order[0], answer)
                        order = await anext(orders, None)
            except (*GONE, _RefusedError):
                await _breathe()


async def _ask(socket: Screen, operation: str, body: bytes) -> dict[str, Any]:
    await socket.send({"id": operation, "type": "subscribe", "payload": orjson.loads(body)})
    answer: dict[str, Any] = {}
    while True:
        message = await socket.receive()
        match message["type"]:
            case "error":
                return {"errors": message["payload"]}
            case "complete":
                return answer
            case "next":
                answer = message["payload"]


@asynccontextmanager
async def _session(*, force_close: bool) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=force_close),
        timeout=aiohttp.ClientTimeout(total=ATTEMPT_SECONDS),
        headers={"content-type": "application/json"},
    ) as session:
        yield session


async def _breathe() -> None:
    await asyncio.sleep(random.uniform(0.02, 0.2))
