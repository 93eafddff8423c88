"""The same work at 1,000 and at 1,000,000 stored orders."""

import shutil
from collections.abc import Iterable
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter

from bench.check import WrongAnswerError
from bench.database import cursors, make_database
from bench.load.http import ClosedLoop, Pool
from bench.load.loop import Loop
from bench.orders import PREPARED_ORDERS
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import measure_rate, order_requests
from bench.server import DATA, Server, data_folder, running
from bench.systems import System

_SIZES = (1_000, 1_000_000)
# Of a large restaurant; and so many that each order is a page of the tables' index of its own.
_TABLES = (200, PREPARED_ORDERS)
_CONNECTIONS = 64
_PAGE_ORDERS = 50
_PAGES = 400
_NEAR_THE_MIDDLE = 200


def measure(system: System, plan: Plan) -> Figures:
    """Measure orders per second, and the milliseconds of page 1 and of one half-way down."""
    figures: dict[str, float] = {}
    for size in _SIZES:
        for metric, value in _measure_size(system, plan, size).items():
            figures[f"{metric} at {size:,}"] = value
    return figures


def _measure_size(system: System, plan: Plan, size: int) -> Figures:
    with data_folder() as folder:
        database = folder / "orders.db"
        shutil.copyfile(_database(size), database)
        middle = cursors(database, size // 2, _NEAR_THE_MIDDLE)
        Random(size).shuffle(middle)  # noqa: S311 - the same shuffle in every run
        with running(system, database) as server:
            return _measure_server(server, plan, middle, size)


def _measure_server(server: Server, plan: Plan, middle: list[str], size: int) -> Figures:
    loop, dialect = Loop(), server.system.dialect
    page_1 = _page_ms(loop, server, [dialect.page(_PAGE_ORDERS)])
    half_way = _page_ms(
        loop, server, [dialect.page(_PAGE_ORDERS, after=cursor) for cursor in middle]
    )
    rates = {
        f"orders/s of {tables:,} tables": _orders_per_second(loop, server, plan, tables)
        for tables in _TABLES
    }
    return {**rates, "page 1 ms": page_1, "page half-way ms": half_way}


def _orders_per_second(loop: Loop, server: Server, plan: Plan, tables: int) -> float:
    requests = order_requests(server.system.dialect)[:tables]
    writers = ClosedLoop(loop, server.port, _CONNECTIONS, requests)
    writers.start()
    rate = measure_rate(plan, lambda: writers.answered, loop.run)
    writers.stop()
    writers.close()
    return rate


def _page_ms(loop: Loop, server: Server, requests: Iterable[bytes]) -> float:
    """Ask for pages one by one, each after an order was placed: no answer is an old one."""
    dialect = server.system.dialect
    pool = Pool(loop, server.port)
    order = order_requests(dialect)[0]
    times = []
    for request in islice(cycle(requests), _PAGES):
        pool.ask(order)
        start = perf_counter()
        body = pool.ask(request)
        times.append(perf_counter() - start)
        if len(dialect.orders(body)) != _PAGE_ORDERS:
            raise WrongAnswerError("a page lacks orders")
    pool.close()
    return median(times) * 1000


@cache
def _database(size: int) -> Path:
    """Make a database once for all rounds; scenarios work on copies of it."""
    path = DATA / f"{size}-orders.db"
    for old in DATA.glob(f"{path.name}*"):
        old.unlink()
    make_database(path, size)
    return path
