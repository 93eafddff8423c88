"""`createOrder` with two items, from 64 connections."""

from bench.check import check_created
from bench.load.http import ClosedLoop
from bench.load.loop import Loop
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import measure_rate, order_requests
from bench.server import running
from bench.systems import BARE, System

_CONNECTIONS = 64


def measure(system: System, plan: Plan) -> Figures:
    """Measure orders per second."""
    with running(system) as server:
        loop = Loop()
        writers = ClosedLoop(loop, server.port, _CONNECTIONS, order_requests(system.dialect))
        # The bare route stores nothing: it has no ids to check.
        writers.recording = plan.checked and system is not BARE
        writers.start()
        rate = measure_rate(plan, lambda: writers.answered, loop.run)
        writers.stop()
        if writers.recording:
            check_created(system.dialect, writers.exchanges)
        writers.close()
    return {"orders/s": rate}
