"""200 orders a second in an open loop, 100 screens: from sending to the last screen's delivery."""

import re
from collections import defaultdict
from collections.abc import Sequence
from time import perf_counter

from bench.load.http import ClosedLoop, Pool
from bench.load.loop import Loop
from bench.load.pace import Pace
from bench.load.screen import Screen
from bench.orders import order_of
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import connect_screens, delivered, order_requests
from bench.server import Server, running
from bench.systems import System

_SCREENS = 100
_ORDERS_PER_SECOND = 200
_WARM_UP_WRITERS = 2
_SETTLING_SECONDS = 0.5
_CATCH_UP_SECONDS = 5.0
_TABLE = re.compile(rb'"table": ?"(\d+)"')
# Probe orders have small numbers.
_FIRST_NUMBER = 100_000


class Stopwatch:
    """Knows when each order was due, and when the last screen received it."""

    def __init__(self) -> None:
        self.due_at: dict[int, float] = {}
        self.last_at: dict[int, float] = {}
        self._received: dict[int, int] = defaultdict(int)

    def on_event(self, payload: bytes) -> None:
        """Note a delivery."""
        found = _TABLE.search(payload)
        number = int(found[1]) if found else -1
        self._received[number] += 1
        if self._received[number] == _SCREENS:
            self.last_at[number] = perf_counter()

    def latencies_ms(self, first: int) -> list[float]:
        """Return the latencies from order `first` on, sorted; what is still missing counts too."""
        now = perf_counter()
        return sorted(
            (self.last_at.get(number, now) - due) * 1000
            for number, due in self.due_at.items()
            if number >= first
        )


def measure(system: System, plan: Plan) -> Figures:
    """Measure the median and the 99th percentile, in milliseconds."""
    with running(system) as server:
        loop, watch = Loop(), Stopwatch()
        screens = connect_screens(loop, server, [system.dialect.screen()] * _SCREENS)
        _warm_up(loop, server, screens, plan.warm_up_seconds)
        for screen in screens:
            screen.on_event = watch.on_event
        pool = Pool(loop, server.port)

        def send(count: int, due: float) -> None:
            number = _FIRST_NUMBER + count
            watch.due_at[number] = due
            pool.send(system.dialect.create(order_of(number)))

        pace = Pace(loop, _ORDERS_PER_SECOND, send)
        pace.run(_SETTLING_SECONDS)
        first = _FIRST_NUMBER + pace.sent
        pace.run(plan.window_seconds)
        loop.reaches(lambda: len(watch.last_at) >= pace.sent, _CATCH_UP_SECONDS)
        latencies = watch.latencies_ms(first)
    return {"p50 ms": _percentile(latencies, 0.5), "p99 ms": _percentile(latencies, 0.99)}


def _warm_up(loop: Loop, server: Server, screens: Sequence[Screen], seconds: float) -> None:
    """Place orders no faster than they are delivered, or a cold server begins with a backlog."""
    writers = ClosedLoop(loop, server.port, _WARM_UP_WRITERS, order_requests(server.system.dialect))
    writers.start()
    loop.run(seconds)
    writers.stop()
    due = writers.answered * len(screens)
    loop.run_until(lambda: delivered(screens) >= due, "the warm-up's deliveries")
    writers.close()


def _percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
