"""The same work as real clients send it, each against the plainest request, in the same server."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from bench.dialects import CREATE, PAGE
from bench.load.clients import CLIENTS, GET, PLAIN, Client
from bench.load.http import ClosedLoop
from bench.load.loop import LoadError, Loop
from bench.load.socket import SocketLoop
from bench.orders import PREPARED_ORDERS, order_of
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import measure_rate, place_orders
from bench.server import Server, running
from bench.systems import System

_WRITERS = 64
_READERS = 32
_PAGE_ORDERS = 200
# Short, and in turns: what the machine does meanwhile meets all alike.
_TURNS = 3
_SECONDS = 0.4
SOCKET = "socket"
_OPEN_TO_OTHERS = {"BISTRO92_ALLOW_ANONYMOUS": "true", "BISTRO92_RATE_LIMIT": "off"}


def measure(system: System, plan: Plan) -> Figures:
    """Measure orders and pages of 200 orders per second, for each client."""
    brief = replace(plan, warm_up_seconds=_SECONDS / 2, window_seconds=_SECONDS)
    figures: dict[str, list[float]] = {}
    # One of the clients is another machine's: it is behind a proxy.
    environment = {**system.environment, **_OPEN_TO_OTHERS}
    with running(replace(system, environment=environment)) as server:
        loop = Loop()
        place_orders(loop, server, 4_000)  # and warm up
        for _ in range(_TURNS):
            for client in (PLAIN, *CLIENTS):
                rate = _orders_per_second(loop, server, brief, client)
                figures.setdefault(f"orders/s {client.name}", []).append(rate)
        for _ in range(_TURNS):
            for client in (PLAIN, *CLIENTS, GET):
                rate = _pages_per_second(loop, server, brief, client)
                figures.setdefault(f"pages/s {client.name}", []).append(rate)
            rate = _pages_by_socket(loop, server, brief)
            figures.setdefault(f"pages/s {SOCKET}", []).append(rate)
    return {name: median(rates) for name, rates in figures.items()}


def _orders_per_second(loop: Loop, server: Server, plan: Plan, client: Client) -> float:
    numbers = range(0, PREPARED_ORDERS, 10)
    requests = [client.request(CREATE, {"input": order_of(number)}) for number in numbers]
    return _rate(loop, server, plan, _WRITERS, requests)


def _pages_per_second(loop: Loop, server: Server, plan: Plan, client: Client) -> float:
    request = client.request(PAGE, {"first": _PAGE_ORDERS})
    return _rate(loop, server, plan, _READERS, [request])


def _rate(
    loop: Loop, server: Server, plan: Plan, connections: int, requests: Sequence[bytes]
) -> float:
    clients = ClosedLoop(loop, server.port, connections, requests)
    clients.start()
    rate = measure_rate(plan, lambda: clients.answered, loop.run)
    clients.recording = True
    clients.stop()
    clients.close()
    if any(b'"errors":[{' in response for _, _, response in clients.exchanges):
        raise LoadError("a client was answered with errors")
    return rate


def _pages_by_socket(loop: Loop, server: Server, plan: Plan) -> float:
    payload = {"query": PAGE, "variables": {"first": _PAGE_ORDERS}}
    sockets = SocketLoop(loop, server.port, _READERS, payload)
    rate = measure_rate(plan, lambda: sockets.answered, loop.run)
    sockets.stop()
    if sockets.last.count(b'"cursor"') != _PAGE_ORDERS:
        raise LoadError("a page lacks orders")
    return rate
