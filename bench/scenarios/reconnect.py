"""1,000 screens come back at once, each 200 orders behind."""

from collections.abc import Sequence
from time import perf_counter

from bench.check import check_events
from bench.load.http import Pool
from bench.load.loop import Loop
from bench.load.screen import Screen
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import connect_screens, delivered, order_requests
from bench.server import Server, running
from bench.systems import System

_SCREENS = 1000
_ORDERS_BEHIND = 200
_WRITERS = 8
_PATIENCE_SECONDS = 120.0


def measure(system: System, plan: Plan) -> Figures:
    """Measure the seconds from the first connection until every screen is live again.

    Beside it, the seconds that the same deliveries take when the screens never left.
    """
    with running(system) as server:
        loop = Loop()
        screens = connect_screens(loop, server, [system.dialect.screen()] * _SCREENS)
        alone = _place_missed(loop, server, screens)
        for screen in screens:
            screen.close()
        cursor = _last_cursor(loop, server)
        _place_missed(loop, server, [])
        back = _come_back(loop, server, cursor, checked=plan.checked)
    return {"s until all are live": back, "s of the deliveries alone": alone}


def _place_missed(loop: Loop, server: Server, screens: Sequence[Screen]) -> float:
    """Place the orders; return the seconds until each of these screens has them all."""
    pool = Pool(loop, server.port)
    requests = order_requests(server.system.dialect)
    start = perf_counter()
    for first in range(0, _ORDERS_BEHIND, _WRITERS):
        for request in requests[first : first + _WRITERS]:
            pool.send(request)
        if not pool.settles(_PATIENCE_SECONDS):
            break
    due = _ORDERS_BEHIND * len(screens)
    loop.run_until(lambda: delivered(screens) >= due, "the deliveries", _PATIENCE_SECONDS)
    pool.close()
    return perf_counter() - start


def _last_cursor(loop: Loop, server: Server) -> str:
    pool = Pool(loop, server.port)
    dialect = server.system.dialect
    order = dialect.created(pool.ask(order_requests(dialect)[0]))
    pool.close()
    return str(order["cursor"])


def _come_back(loop: Loop, server: Server, cursor: str, *, checked: bool) -> float:
    """Connect all at once; a screen is live when it has what it missed."""
    opening = server.system.dialect.screen(after=cursor)
    start = perf_counter()
    screens = [Screen(loop, server.port, opening) for _ in range(_SCREENS)]
    for screen in screens:
        screen.recorded = [] if checked else None
    due = _ORDERS_BEHIND * _SCREENS
    loop.run_until(lambda: delivered(screens) >= due, "all to be live", _PATIENCE_SECONDS)
    seconds = perf_counter() - start
    if checked:
        check_events(server.system.dialect, screens, None)
    return seconds
