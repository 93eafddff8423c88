"""Whatever a client sends, nobody else waits for it, and no answer is a failure of the server."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.support.hostile import BODIES, DOCUMENTS
from tests.support.orders import CREATE_ORDER
from tests.support.screen import open_screen
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

# What another client may wait: the promise, not what the machine can do.
_WAIT_MAX_SECONDS = 0.25
_ATTEMPTS_MAX = 5
_LARGE_ORDERS = 200
_MESSAGE_MAX_BYTES = 120_000


@pytest.fixture(params=[True, False], ids=["compiled", "generic"], scope="module")
def busy_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server whose page of 200 orders has 20,000 items."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    items = [{"name": f"Dish {number}", "quantity": 1} for number in range(100)]
    with ServerProcess(folder, compiled_operations=request.param) as server:
        for _ in range(_LARGE_ORDERS):
            server.data(CREATE_ORDER, input={"table": "1", "items": items})
        yield server


@contextmanager
def another_client(server: ServerProcess) -> Iterator[list[float]]:
    """Keep asking for one order, and note how long each answer took."""
    waits: list[float] = []
    done = threading.Event()
    body = {"query": '{ order(id: "1") { id table } }'}

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            while not done.is_set():
                asked_at = time.perf_counter()
                client.post("/graphql", json=body).raise_for_status()
                waits.append(time.perf_counter() - asked_at)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield waits
    finally:
        done.set()
        asking.join()


def test_hostile_requests_hold_up_nobody(busy_server: ServerProcess) -> None:
    def attack(name: str) -> None:
        response = busy_server.post(BODIES[name])
        assert response.status_code < 500, name
        assert response.headers["content-type"] == "application/json; charset=utf-8", name
        for error in response.json().get("errors", []):
            assert error["extensions"]["code"] != "INTERNAL_SERVER_ERROR", (name, error)

    with another_client(busy_server) as waits:
        for name in BODIES:
            for _ in attempts(name, waits):
                attack(name)
    assert "Traceback" not in busy_server.log


@pytest.mark.parametrize("busy_server", [False], ids=["generic"], indirect=True)
async def test_hostile_operations_on_a_socket_end_alone(busy_server: ServerProcess) -> None:
    async with open_screen(busy_server.socket_url, max_size=None) as screen:

        async def attack(name: str) -> None:
            await screen.subscribe(DOCUMENTS[name], operation=name)
            message = await screen.receive()
            assert message["id"] == name
            if message["type"] == "next":
                assert (await screen.receive())["type"] == "complete"

        with another_client(busy_server) as waits:
            for name, text in DOCUMENTS.items():
                if len(json.dumps(text)) < _MESSAGE_MAX_BYTES:
                    for _ in attempts(name, waits):
                        await attack(name)
    assert "Traceback" not in busy_server.log


def attempts(name: str, waits: list[float]) -> Iterator[None]:
    """Allow several attempts: a machine that is busy is slow once, what holds the loop always."""
    for _ in range(_ATTEMPTS_MAX):
        before = len(waits)
        yield
        asked = len(waits)
        wait_until(lambda asked=asked: len(waits) > asked, "the other client")  # type: ignore[misc]
        waited = max(waits[before:])
        if waited <= _WAIT_MAX_SECONDS:
            return
    pytest.fail(f"{name}: another client waited {waited:.3f} seconds")
