"""The steps that scenarios share: placing orders, connecting screens, measuring a rate."""

from collections.abc import Callable, Sequence
from functools import cache

from bench.dialects import Dialect
from bench.load.http import ClosedLoop, Pool
from bench.load.loop import Loop
from bench.load.screen import Opening, Screen
from bench.orders import PREPARED_ORDERS, order_of
from bench.scenarios.plan import Plan
from bench.server import Server

_SCREENS_AT_ONCE = 100


@cache
def order_requests(dialect: Dialect) -> list[bytes]:
    """Encode the requests that place orders."""
    return [dialect.create(order_of(number)) for number in range(PREPARED_ORDERS)]


def place_orders(loop: Loop, server: Server, count: int) -> None:
    """Place at least so many orders."""
    writers = ClosedLoop(loop, server.port, 16, order_requests(server.system.dialect))
    writers.start()
    loop.run_until(lambda: writers.answered >= count, f"{count} orders", seconds=600)
    writers.stop()
    writers.close()


def measure_rate(plan: Plan, count: Callable[[], int], run: Callable[[float], float]) -> float:
    """Warm up, then return how much `count` grows in a second. `run` handles events."""
    run(plan.warm_up_seconds)
    before = count()
    seconds = run(plan.window_seconds)
    return (count() - before) / seconds


def connect_screens(loop: Loop, server: Server, openings: Sequence[Opening]) -> list[Screen]:
    """Connect screens and place probe orders until each has received one.

    The protocol doesn't acknowledge a subscription: only an order shows that it is there.
    """
    screens: list[Screen] = []
    for start in range(0, len(openings), _SCREENS_AT_ONCE):
        screens += _connect(loop, server, openings[start : start + _SCREENS_AT_ONCE])
    _probe(loop, server, screens)
    return screens


def _connect(loop: Loop, server: Server, openings: Sequence[Opening]) -> list[Screen]:
    screens = [Screen(loop, server.port, opening) for opening in openings]
    loop.run_until(lambda: all(screen.subscribed for screen in screens), "screens to connect")
    return screens


def _probe(loop: Loop, server: Server, screens: Sequence[Screen]) -> None:
    pool = Pool(loop, server.port)
    request = order_requests(server.system.dialect)[0]
    while not all(screen.deliveries for screen in screens):
        pool.ask(request)
        loop.run(0.2)
    _wait_until_quiet(loop, screens)
    for screen in screens:
        screen.deliveries = 0
    pool.close()


def _wait_until_quiet(loop: Loop, screens: Sequence[Screen]) -> None:
    known = -1
    while known != (known := delivered(screens)):
        loop.run(0.3)


def delivered(screens: Sequence[Screen]) -> int:
    """Return how many orders the screens have received together."""
    return sum(screen.deliveries for screen in screens)
