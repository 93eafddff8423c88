"""The memory of a running server: per idle screen, after many orders, and with stalled screens."""

from dataclasses import replace
from time import perf_counter

from bench.load.http import ClosedLoop
from bench.load.loop import Loop
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import connect_screens, order_requests, place_orders
from bench.server import Server, running
from bench.systems import System

_MIB = 1024 * 1024
_IDLE_SCREENS = 1000
_STALLED_SCREENS = 100
_WARM_UP_SCREENS = 20

_ALL_ORDERS = 200_000
_WARM_UP_ORDERS = 50_000
_ALL_ORDERS_SECONDS = 240.0
# By then the buffers of each screen, some megabytes in the kernel and 64 KiB in ours, are full.
_STALLED_WARM_UP_ORDERS = 50_000
_STALLED_ORDERS = 150_000
_STALLED_SECONDS = 120.0


def measure_screens(system: System, _plan: Plan) -> Figures:
    """Measure what a connected screen takes, in KiB."""
    with running(system) as server:
        loop = Loop()
        opening = system.dialect.screen()
        connect_screens(loop, server, [opening] * _WARM_UP_SCREENS)
        place_orders(loop, server, 1000)
        before = server.memory_bytes()
        connect_screens(loop, server, [opening] * _IDLE_SCREENS)
        loop.run(1)
        grown = server.memory_bytes() - before
    return {"KiB per screen": grown / 1024 / _IDLE_SCREENS}


def measure_orders(system: System, _plan: Plan) -> Figures:
    """Measure the memory after 50,000 and after 200,000 orders, in MiB."""
    with running(system) as server:
        loop = Loop()
        writers = ClosedLoop(loop, server.port, 64, order_requests(system.dialect))
        return _grow(loop, server, writers, (_WARM_UP_ORDERS, _ALL_ORDERS), _ALL_ORDERS_SECONDS)


def measure_stalled(system: System, _plan: Plan) -> Figures:
    """Measure the memory while 100 screens stop reading and orders go on, in MiB.

    Bistro92 would disconnect such a screen after 25 seconds: here it may not.
    """
    patient = {**system.environment, "BISTRO92_SILENCE_TIMEOUT_SECONDS": "3600"}
    with running(replace(system, environment=patient)) as server:
        loop = Loop()
        screens = connect_screens(loop, server, [system.dialect.screen()] * _STALLED_SCREENS)
        for screen in screens:
            screen.stop_reading()
        writers = ClosedLoop(loop, server.port, 64, order_requests(system.dialect))
        counts = (_STALLED_WARM_UP_ORDERS, _STALLED_ORDERS)
        return _grow(loop, server, writers, counts, _STALLED_SECONDS)


def _grow(
    loop: Loop, server: Server, writers: ClosedLoop, counts: tuple[int, int], seconds: float
) -> Figures:
    """Place orders up to both counts; a slow server stops at its share of the time instead."""
    warm_up, everything = counts
    deadline = perf_counter() + seconds
    writers.start()
    loop.reaches(lambda: writers.answered >= warm_up, seconds * warm_up / everything)
    before = server.memory_bytes()
    loop.reaches(lambda: writers.answered >= everything, deadline - perf_counter())
    after = server.memory_bytes()
    writers.stop()
    return {
        "MiB after warm-up": before / _MIB,
        "MiB at the end": after / _MIB,
        "orders placed": writers.answered,
    }
