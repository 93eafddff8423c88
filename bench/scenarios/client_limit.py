"""What limits every system alike: the load client itself, and the disk.

The client bears the same loads against a server that does nothing.
"""

import os
import sys
from time import perf_counter

from bench.load.http import ClosedLoop
from bench.load.loop import Loop
from bench.load.screen import Opening, Screen
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import delivered, measure_rate, order_requests
from bench.server import data_folder, running
from bench.systems import System

EMPTY = System("empty", "empty server", (sys.executable, "-m", "bench.load.responder", "{port}"))
_CONNECTIONS = 64
_SCREENS = 500
_PAGE = bytes(4096)


def measure(system: System, plan: Plan) -> Figures:
    """Measure requests per second and deliveries per second. The empty server may be the limit."""
    with running(system) as server:
        loop = Loop()
        writers = ClosedLoop(loop, server.port, _CONNECTIONS, order_requests(system.dialect))
        writers.start()
        requests = measure_rate(plan, lambda: writers.answered, loop.run)
        writers.stop()
        writers.close()
    with running(system) as server:
        loop = Loop()
        opening = Opening("/", None, None)
        screens = [Screen(loop, server.port, opening) for _ in range(_SCREENS)]
        deliveries = measure_rate(plan, lambda: delivered(screens), loop.run)
    syncs = _syncs_per_second(plan.window_seconds)
    return {"requests/s": requests, "deliveries/s": deliveries, "disk syncs/s": syncs}


def _syncs_per_second(seconds: float) -> float:
    """Append a page and wait for the disk, again and again: what one commit costs at the least."""
    with data_folder() as folder, (folder / "page").open("wb", buffering=0) as file:
        count, start = 0, perf_counter()
        while perf_counter() - start < seconds:
            file.write(_PAGE)
            os.fdatasync(file.fileno())
            count += 1
        return count / (perf_counter() - start)
