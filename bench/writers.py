"""Writers without a service around them: what the head row costs, and where they begin to queue.

`python -m bench.writers CALLERS SECONDS URL` is one such process: it says when it is ready, begins
when it is told to, and prints what it has done.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from time import perf_counter

import asyncpg
import orjson
import psutil
from sqlalchemy import make_url

from bench.cluster import all_cores
from bench.load.loop import LoadError
from bench.orders import order_of
from bench.systems import ROOT
from db.database import Database, nothing_to_do
from db.opening import open_database
from db.order_log import OrderLog
from db.records import LogEntry, LogHead, NewItem, NewOrder
from db.store import Request, Store, Stored
from db.writer import Writer
from server.settings import Settings

_CALLERS = 64
_WARM_UP_SECONDS = 0.5
_BATCHES_EACH = 25
_LOGS = 8
_LOOKS = 1000
_READ_ORDERS = 5000
_MAKE_LOGS = """
CREATE TABLE head (id integer PRIMARY KEY, last_seq bigint NOT NULL) WITH (fillfactor = 10);
INSERT INTO head SELECT n, 0 FROM generate_series(1, 8) AS n
"""
_COMMIT = "UPDATE head SET last_seq = last_seq + 1 WHERE id = $1"
_COMMIT_AND_HINT = f"WITH moved AS ({_COMMIT} RETURNING id) SELECT pg_notify('log', '') FROM moved"  # noqa: S608


def new_order(number: int) -> NewOrder:
    """Return what table `number` orders, validated."""
    order = order_of(number)
    return NewOrder(order["table"], tuple(NewItem(**item) for item in order["items"]))


class TimedStore:
    """A store that knows how many batches it has stored, and how long that took."""

    def __init__(self, store: Store) -> None:
        self.batches = 0
        self.orders = 0
        self.seconds = 0.0
        self._store = store

    async def store(self, requests: Sequence[Request], published: LogHead) -> Stored:
        """Store a batch: see `Store`."""
        start = perf_counter()
        stored = await self._store.store(requests, published)
        self.seconds += perf_counter() - start
        self.batches += 1
        self.orders += len(requests)
        return stored


class UnreadLog(OrderLog):
    """A log without readers: what other processes commit is passed over."""

    async def publish(self, entries: Sequence[LogEntry], head: LogHead) -> None:
        """Move the head, and keep nothing."""
        self._head = head


def measure_writers(urls: Sequence[str], seconds: float) -> tuple[float, float]:
    """Let a process write to each database; return orders/s, and the ms that a batch took.

    Those that are given the same one queue for its head row.
    """
    arguments = [sys.executable, "-m", "bench.writers", str(_CALLERS // len(urls)), str(seconds)]
    with all_cores():
        processes = [
            subprocess.Popen(  # noqa: S603
                [*arguments, url],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for url in urls
        ]
    for process in processes:
        _ = process.stdout and process.stdout.readline()
    for process in processes:
        _ = process.stdin and (process.stdin.write("go\n"), process.stdin.flush())
    printed = [process.communicate()[0] for process in processes]
    if not all(printed):
        raise LoadError("a writer has failed")
    results = [orjson.loads(text) for text in printed]
    batches = sum(result["batches"] for result in results)
    orders_per_second = sum(result["orders"] / result["lasted"] for result in results)
    return orders_per_second, sum(result["seconds"] for result in results) / batches * 1000


async def _write(url: str, callers: int, seconds: float) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(_open(url, is_deaf=True))
        store = TimedStore(database.store)
        writer = await stack.enter_async_context(
            Writer(
                store,
                UnreadLog(database.reader, database.log.head, memory_max_entries=1),
                batch_max_orders=500,
                queue_max_orders=2000,
                after_commit=nothing_to_do,
            )
        )
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        end = perf_counter() + _WARM_UP_SECONDS + seconds

        async def call(number: int) -> None:
            while perf_counter() < end:
                await writer.create_order(new_order(number))

        calling = asyncio.gather(*(call(number) for number in range(callers)))
        await asyncio.sleep(_WARM_UP_SECONDS)
        before = (store.batches, store.orders, store.seconds)
        start = perf_counter()
        await asyncio.sleep(seconds)
        lasted = perf_counter() - start
        now = (store.batches, store.orders, store.seconds)
        await calling
    batches, orders, spent = (new - old for new, old in zip(now, before, strict=True))
    return {"batches": batches, "orders": orders, "seconds": spent, "lasted": lasted}


async def measure_batches(url: str, sizes: Sequence[int]) -> dict[int, float]:
    """Return the milliseconds that one writer alone needs for a batch, by its size."""
    taken = {}
    async with _open(url) as database:
        for _ in range(_BATCHES_EACH):  # connect, prepare, plan
            await database.store.store([new_order(0)], database.log.head)
        for size in sizes:
            batch = [new_order(number) for number in range(size)]
            store = TimedStore(database.store)
            for _ in range(_BATCHES_EACH):
                await store.store(batch, database.log.head)
            taken[size] = store.seconds / store.batches * 1000
    return taken


async def measure_logs(url: str, seconds: float, *, hints: bool) -> float:
    """Return the commits per second of eight connections that share no row, only the server."""
    connections = [await _connect(url) for _ in range(_LOGS)]
    await connections[0].execute(f"DROP TABLE IF EXISTS head; {_MAKE_LOGS}")
    statement = _COMMIT_AND_HINT if hints else _COMMIT
    commits, end = 0, perf_counter() + seconds

    async def commit(connection: asyncpg.Connection, log: int) -> None:
        nonlocal commits
        prepared = await connection.prepare(statement)
        while perf_counter() < end:
            await prepared.fetch(log)
            commits += 1

    await asyncio.gather(*(commit(one, log) for log, one in enumerate(connections, start=1)))
    for connection in connections:
        await connection.close()
    return commits / seconds


async def measure_looks(url: str) -> tuple[float, float]:
    """Return the milliseconds of a look at the head and ten entries, and the database's own part.

    Its own part is processor time of all connections together.
    """
    async with _open(url) as database:
        head = await database.reader.head()
        connection = await _connect(url)
        pids = await connection.fetch("SELECT pid FROM pg_stat_activity WHERE datid IS NOT NULL")
        before, start = _processor_seconds(pids), perf_counter()
        for number in range(_LOOKS):
            await database.reader.head()
            await database.reader.entries(
                epoch=head.epoch, after=number % 100, up_to=head.seq, count=10
            )
        seconds, used = perf_counter() - start, _processor_seconds(pids) - before
        await connection.close()
    return seconds / _LOOKS * 1000, used / _LOOKS * 1000


def _processor_seconds(pids: Sequence[asyncpg.Record]) -> float:
    times = [psutil.Process(row["pid"]).cpu_times() for row in pids]
    return sum(one.user + one.system for one in times)


async def _connect(url: str) -> asyncpg.Connection:
    _, arguments = make_url(url).get_dialect()().create_connect_args(make_url(url))
    return await asyncpg.connect(**arguments)


async def measure_reading(url: str) -> float:
    """Return the milliseconds that an instance needs to read an order of another one."""
    async with _open(url) as database:
        head = await database.reader.head()
        start = perf_counter()
        for after in range(0, _READ_ORDERS, 100):
            await database.reader.entries(epoch=head.epoch, after=after, up_to=head.seq, count=100)
        return (perf_counter() - start) / _READ_ORDERS * 1000


async def measure_round_trip(url: str) -> float:
    """Return the milliseconds of a statement that does nothing."""
    connection = await _connect(url)
    prepared = await connection.prepare("SELECT 1")
    start = perf_counter()
    for _ in range(_BATCHES_EACH * 10):
        await prepared.fetchval()
    seconds = perf_counter() - start
    await connection.close()
    return seconds / (_BATCHES_EACH * 10) * 1000


def _open(url: str, *, is_deaf: bool = False) -> AbstractAsyncContextManager[Database]:
    """Open a database; a deaf process hears no hints, and looks for nothing."""
    hearing = Settings(database_url=url, reader_connections=2).database()
    elsewhere = make_url(url).set(database="postgres").render_as_string(hide_password=False)
    deaf = replace(hearing, listen_url=elsewhere, poll_seconds=3600)
    return open_database(deaf if is_deaf else hearing)


if __name__ == "__main__":
    written = asyncio.run(_write(sys.argv[3], int(sys.argv[1]), float(sys.argv[2])))
    sys.stdout.write(orjson.dumps(written).decode())
