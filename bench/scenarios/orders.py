"""`orders(first: 50)` with items, from 32 connections."""

from bench.check import check_created, check_pages
from bench.load.http import ClosedLoop, Pool
from bench.load.loop import Loop
from bench.load.pace import Pace
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import measure_rate, order_requests, place_orders
from bench.server import Server, running
from bench.systems import System

_CONNECTIONS = 32
_PAGE_ORDERS = 50
_STORED_ORDERS = 200
_WRITTEN_PER_SECOND = 200
_SETTLE_SECONDS = 10.0


def measure_unchanged(system: System, plan: Plan) -> Figures:
    """Measure pages per second while nothing is written."""
    with running(system) as server:
        loop = Loop()
        readers = _start_readers(loop, server, plan)
        rate = measure_rate(plan, lambda: readers.answered, loop.run)
        _finish(system, readers)
    return {"requests/s": rate}


def measure_while_writing(system: System, plan: Plan) -> Figures:
    """Measure pages per second while 200 orders a second are placed."""
    with running(system) as server:
        loop = Loop()
        readers = _start_readers(loop, server, plan)
        pool = Pool(loop, server.port)
        requests = order_requests(system.dialect)
        pace = Pace(
            loop, _WRITTEN_PER_SECOND, lambda number, _: pool.send(requests[number % len(requests)])
        )
        rate = measure_rate(plan, lambda: readers.answered, pace.run)
        in_time = len(pool.exchanges) / pace.sent
        _finish(system, readers)
        pool.settles(_SETTLE_SECONDS)
        if plan.checked:
            check_created(system.dialect, pool.exchanges)
        pool.close()
    return {"requests/s": rate, "orders written, of 200/s": in_time * _WRITTEN_PER_SECOND}


def _start_readers(loop: Loop, server: Server, plan: Plan) -> ClosedLoop:
    place_orders(loop, server, _STORED_ORDERS)
    request = server.system.dialect.page(_PAGE_ORDERS)
    readers = ClosedLoop(loop, server.port, _CONNECTIONS, [request])
    readers.recording = plan.checked
    readers.start()
    return readers


def _finish(system: System, readers: ClosedLoop) -> None:
    readers.stop()
    check_pages(system.dialect, readers.exchanges, _PAGE_ORDERS)
    readers.close()
