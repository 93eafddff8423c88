"""One, two and three instances on PostgreSQL, beside one process on SQLite, on the same cores.

Ratios only: with a client, three servers and PostgreSQL's processes, two cores are the limit.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

from bench.check import WrongAnswerError, check_created, check_events
from bench.cluster import Cluster, postgres
from bench.load.http import ClosedLoop, Connection, Pool
from bench.load.loop import Loop
from bench.load.pace import Pace
from bench.load.screen import Screen
from bench.orders import order_of
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import connect_screens, delivered, measure_rate, order_requests
from bench.server import Server
from bench.systems import System
from bench.writers import (
    measure_batches,
    measure_logs,
    measure_looks,
    measure_reading,
    measure_round_trip,
    measure_writers,
)

_SETUPS = (("SQLite", 0), ("1 instance", 1), ("2 instances", 2), ("3 instances", 3))
_CONNECTIONS = 64
_SCREENS = 500
_SCREEN_WRITERS = 8
_WARM_UP_SECONDS, _WINDOW_SECONDS = 1.0, 1.5
_CATCH_UP_SECONDS = 20.0
_QUIET_SECONDS = 0.5
_ORDERS_PER_SECOND = 200
_FIRST_NUMBER = 100_000
_TABLE = re.compile(rb'"table": ?"(\d+)"')
_BATCH_SIZES = (1, 10, 100, 500)
_HINTS_SECONDS = 1.0


def measure(system: System, plan: Plan) -> Figures:
    """Measure everything about several instances, in one round of about 80 seconds."""
    figures: dict[str, float] = {}
    # No Node among them: they need no longer to be warm.
    plan = replace(plan, warm_up_seconds=_WARM_UP_SECONDS, window_seconds=_WINDOW_SECONDS)
    with postgres() as cluster:
        for name, number in _SETUPS:
            with cluster.instances(system, number) as servers:
                rate, core_ms = _take_orders(servers, plan)
                figures[f"orders/s, {name}"] = rate
                figures[f"ms of a core for an order, {name}"] = core_ms
                figures[f"deliveries/s, {name}"] = _deliveries_per_second(servers, plan)
        with cluster.instances(system, 2) as servers:
            figures |= _delays(servers, plan.window_seconds)
        figures |= _head_row(cluster, plan.window_seconds)
    return figures


def _take_orders(servers: Sequence[Server], plan: Plan) -> tuple[float, float]:
    """Return the orders per second, and the processor time that servers use for each."""
    loop = Loop()
    used = sum(server.processor_seconds() for server in servers)
    writers = _start_writers(loop, servers, _CONNECTIONS, recording=plan.checked)
    rate = measure_rate(plan, lambda: _answered(writers), loop.run)
    used = sum(server.processor_seconds() for server in servers) - used
    core_ms = used / _answered(writers) * 1000
    _stop(writers)
    if plan.checked:
        exchanges = [exchange for writer in writers for exchange in writer.exchanges]
        check_created(servers[0].system.dialect, exchanges)
    return rate, core_ms


def _deliveries_per_second(servers: Sequence[Server], plan: Plan) -> float:
    loop = Loop()
    opening = servers[0].system.dialect.screen()
    screens: list[Screen] = []
    for server in servers:
        screens += connect_screens(loop, server, [opening] * (_SCREENS // len(servers)))
    loop.run(_QUIET_SECONDS)
    for screen in screens:
        screen.deliveries = 0  # other instances' probes
        screen.recorded = [] if plan.checked else None
    writers = _start_writers(loop, servers, _SCREEN_WRITERS)
    loop.run(_WARM_UP_SECONDS)
    rate = measure_rate(plan, lambda: delivered(screens), loop.run)
    _stop(writers)
    _check_deliveries(loop, servers[0], screens, _answered(writers))
    return rate


def _check_deliveries(loop: Loop, server: Server, screens: Sequence[Screen], placed: int) -> None:
    """Each screen must have each order, whichever instance took it, exactly once."""
    due = placed * len(screens)
    loop.reaches(lambda: delivered(screens) >= due, _CATCH_UP_SECONDS)
    if delivered(screens) != due:
        raise WrongAnswerError(f"screens have {delivered(screens)} of {due} deliveries")
    if screens[0].recorded is not None:
        check_events(server.system.dialect, screens, None)
    for screen in screens:
        screen.close()


def _start_writers(
    loop: Loop, servers: Sequence[Server], connections: int, *, recording: bool = False
) -> list[ClosedLoop]:
    requests = order_requests(servers[0].system.dialect)
    share = connections // len(servers)
    writers = [ClosedLoop(loop, server.port, share, requests) for server in servers]
    for writer in writers:
        writer.recording = recording
        writer.start()
    return writers


def _answered(writers: Sequence[ClosedLoop]) -> int:
    return sum(writer.answered for writer in writers)


def _stop(writers: Sequence[ClosedLoop]) -> None:
    for writer in writers:
        writer.stop()
        writer.close()


class _Times(dict[int, float]):
    """When each order was seen, by its table's number."""

    def note(self, payload: bytes) -> None:
        if found := _TABLE.search(payload):
            self[int(found[1])] = perf_counter()


class _TimedPool(Pool):
    """A pool that knows when each order was answered."""

    def __init__(self, loop: Loop, port: int) -> None:
        super().__init__(loop, port)
        self.answered_at = _Times()

    def _on_response(self, connection: Connection, request: bytes, response: bytes) -> None:
        self.answered_at.note(response)
        super()._on_response(connection, request, response)


def _delays(servers: Sequence[Server], seconds: float) -> Figures:
    """Place orders on the first instance; a screen on each tells when it has them."""
    loop = Loop()
    dialect = servers[0].system.dialect
    sent_at, here, elsewhere = _Times(), _Times(), _Times()
    for server, times in zip(servers, (here, elsewhere), strict=True):
        (screen,) = connect_screens(loop, server, [dialect.screen()])
        screen.on_event = times.note
    pool = _TimedPool(loop, servers[0].port)

    def send(count: int, _due: float) -> None:
        sent_at[_FIRST_NUMBER + count] = perf_counter()
        pool.send(dialect.create(order_of(_FIRST_NUMBER + count)))

    pace = Pace(loop, _ORDERS_PER_SECOND, send)
    pace.run(_WARM_UP_SECONDS)
    first = _FIRST_NUMBER + pace.sent
    pace.run(seconds)
    everywhere = (here, elsewhere, pool.answered_at)
    if not loop.reaches(
        lambda: all(sent_at.keys() <= times.keys() for times in everywhere), _CATCH_UP_SECONDS
    ):
        raise WrongAnswerError("orders of one instance are missing on another")
    pool.close()
    return {
        **_percentiles("ms from sending to delivery, same instance", sent_at, here, first),
        **_percentiles("ms from sending to delivery, another", sent_at, elsewhere, first),
        **_percentiles("ms from answer to delivery, another", pool.answered_at, elsewhere, first),
    }


def _percentiles(name: str, begun: _Times, ended: _Times, first: int) -> Figures:
    taken = sorted((ended[n] - at) * 1000 for n, at in begun.items() if n >= first)
    return {
        f"{name}, p50": taken[len(taken) // 2],
        f"{name}, p99": taken[int(len(taken) * 0.99)],
    }


def _head_row(cluster: Cluster, seconds: float) -> Figures:
    """Measure the writers alone, and what a batch is made of."""
    figures: dict[str, float] = {}
    for name, number in _SETUPS[1:]:
        rate, batch_ms = measure_writers([cluster.new_database()] * number, seconds)
        figures[f"writers alone: orders/s, {name}"] = rate
        figures[f"writers alone: ms for a batch, {name}"] = batch_ms
    own = [cluster.new_database() for _ in range(3)]
    rate, batch_ms = measure_writers(own, seconds)
    figures["writers alone: orders/s, 3 instances, a log each"] = rate
    figures["writers alone: ms for a batch, 3 instances, a log each"] = batch_ms
    url = cluster.new_database()
    for size, taken in asyncio.run(measure_batches(url, _BATCH_SIZES)).items():
        figures[f"one writer: ms for a batch of {size}"] = taken
    figures["ms for a round trip"] = asyncio.run(measure_round_trip(url))
    figures["ms to read an order of another instance"] = asyncio.run(measure_reading(url))
    figures["ms for a look"], figures["ms of it the database's"] = asyncio.run(measure_looks(url))
    for name, hints in (("without", False), ("with", True)):
        rate = asyncio.run(measure_logs(url, _HINTS_SECONDS, hints=hints))
        figures[f"8 logs in one database: commits/s {name} hints"] = rate
    return figures
