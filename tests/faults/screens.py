"""Screens that come back with their cursor, as the README's do, and note every order."""

import asyncio
import random
from typing import Any

import orjson
from websockets.exceptions import ConnectionClosed

from tests.faults.clients import GONE, SOCKET_OPTIONS
from tests.faults.ledger import Ledger, Sight
from tests.support.orders import FOLLOW
from tests.support.screen import Screen, open_screen

# The server pings each second here: a connection that is silent for longer is dead.
_SILENCE_SECONDS = 4.0


class ResumingScreen:
    """One screen. It ends when its task is cancelled."""

    def __init__(self, ledger: Ledger, url: str, cursor: str, start: int) -> None:
        self.sight: Sight = ledger.watch(start)
        self.connections = 0
        self.close_codes: list[int | None] = []
        self.is_connected = False
        self._ledger = ledger
        self._url = url.replace("http", "ws", 1)
        self.cursor = cursor

    async def follow(self) -> None:
        failures = 0
        while True:
            try:
                async with open_screen(self._url, **SOCKET_OPTIONS) as screen:
                    await screen.subscribe(FOLLOW, after=self.cursor)
                    self.connections += 1
                    self.is_connected = True
                    failures = 0
                    await self._watch(screen)
            except ConnectionClosed as error:
                self.close_codes.append(error.rcvd.code if error.rcvd else None)
            except GONE:
                pass
            finally:
                self.is_connected = False
            await asyncio.sleep(min(0.5, 0.02 * 2**failures) * random.uniform(0.5, 1))
            failures += 1

    async def _watch(self, screen: Screen) -> None:
        while True:
            async with asyncio.timeout(_SILENCE_SECONDS):
                message: dict[str, Any] = orjson.loads(await screen.socket.recv())
            match message:
                case {"type": "next", "payload": {"data": {"orderCreated": order}}}:
                    self.sight.see(int(order["id"]), order["table"])
                    self.cursor = order["cursor"]
                case {"type": "ping"}:
                    await screen.send({"type": "pong"})
                case _:  # nothing may end a screen's subscription
                    self._ledger.problems.append(f"a screen was told {message}")
                    await asyncio.sleep(1)


class Screens:
    """Screens that begin at the same place."""

    def __init__(self, ledger: Ledger, url: str, *, count: int, cursor: str, start: int) -> None:
        self.all = [ResumingScreen(ledger, url, cursor, start) for _ in range(count)]
        self._tasks = [asyncio.create_task(screen.follow(), name="screen") for screen in self.all]

    async def leave(self) -> None:
        """Close every socket. A screen that has failed fails here."""
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome
