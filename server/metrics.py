"""Prometheus metrics on a port of their own.

The parts count in plain attributes; they are turned into metrics when somebody asks, on a thread
of the metrics' own: a scrape doesn't hold up the event loop, and one that is stuck is seen.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from db.errors import StartError
from db.stats import Histogram, rejections
from resolvers.context import Service

_BEAT_SECONDS = 0.1

WalSize = Callable[[], int]


class LoopLag:
    """How late the event loop runs what is due: one beat after the other, each measured."""

    def __init__(self) -> None:
        self.seconds = Histogram(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
        self._due = time.monotonic()

    async def measure(self) -> None:
        """Measure without end."""
        while True:
            self._due = time.monotonic() + _BEAT_SECONDS
            await asyncio.sleep(_BEAT_SECONDS)
            self.seconds.observe(self.now())

    def now(self) -> float:
        """Return how late the next beat is. For any thread."""
        return max(0.0, time.monotonic() - self._due)


class ServiceCollector(Collector):
    """Reads the running service; called on the thread of a scrape."""

    def __init__(self, service: Service, lag: LoopLag, wal_size: WalSize | None) -> None:
        self._service = service
        self._lag = lag
        self._wal_size = wal_size

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        yield from self._writing()
        yield from self._screens()
        yield from self._service_itself()

    def _writing(self) -> Iterator[Metric]:
        writer, head = self._service.writer, self._service.log.head
        yield CounterMetricFamily("bistro92_orders", "Orders in the database", head.order_id)
        yield GaugeMetricFamily("bistro92_log_head", "Newest place in the order log", head.seq)
        yield GaugeMetricFamily(
            "bistro92_queue_orders", "Orders that wait for the writer", writer.waiting_orders
        )
        stats = writer.stats
        yield _histogram("bistro92_batch_orders", "Orders in a transaction", stats.batch_orders)
        yield _histogram(
            "bistro92_commit_seconds", "Time of a transaction, fsync included", stats.commit_seconds
        )
        yield CounterMetricFamily(
            "bistro92_failed_batches", "Transactions that failed", stats.failed_batches
        )
        yield GaugeMetricFamily("bistro92_writer_up", "1 while orders are accepted", writer.alive)
        if self._wal_size is not None:
            yield GaugeMetricFamily(
                "bistro92_wal_bytes", "Size of the write-ahead log", self._wal_size()
            )

    def _screens(self) -> Iterator[Metric]:
        screens = self._service.screens
        place = screens.slowest_place()
        # After the places: a head that is read first may be passed by one of them.
        head = self._service.log.head.seq
        behind = 0 if place is None else max(0, head - place)
        yield GaugeMetricFamily("bistro92_sockets", "Open WebSockets", screens.sockets)
        yield GaugeMetricFamily(
            "bistro92_subscriptions", "Running subscriptions", len(screens.following)
        )
        yield GaugeMetricFamily(
            "bistro92_slowest_screen_entries",
            "Log entries that the slowest screen has not been sent",
            behind,
        )
        yield CounterMetricFamily(
            "bistro92_deliveries", "Orders sent to screens", screens.deliveries
        )

    def _service_itself(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "bistro92_rejections", "What was refused, by reason", labels=["code"]
        )
        for code, count in dict(rejections).items():
            refused.add_metric([code], count)
        yield refused
        yield _histogram(
            "bistro92_event_loop_lag_seconds", "How late due work runs", self._lag.seconds
        )
        yield GaugeMetricFamily(
            "bistro92_event_loop_late_seconds", "How late it is at this moment", self._lag.now()
        )


def _histogram(name: str, meaning: str, values: Histogram) -> HistogramMetricFamily:
    bounds = [*map(floatToGoString, values.bounds), "+Inf"]
    cumulated = list(zip(bounds, accumulate(values.counts), strict=True))
    return HistogramMetricFamily(name, meaning, buckets=cumulated, sum_value=values.total)


@asynccontextmanager
async def serve_metrics(
    service: Service, wal_size: WalSize | None, *, host: str, port: int
) -> AsyncIterator[None]:
    """Serve metrics until the end of the block; port 0 serves none. SQLite has a `wal_size`.

    Raises `StartError` if the address can't be used.
    """
    if port == 0:
        yield
        return
    lag = LoopLag()
    registry = CollectorRegistry()
    registry.register(ServiceCollector(service, lag, wal_size))
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise StartError(
            f"metrics: {host}:{port} can't be used: {error.strerror}. Set BISTRO92_METRICS_PORT "
            "or BISTRO92_METRICS_HOST."
        ) from error
    measuring = asyncio.create_task(lag.measure(), name="bistro92-loop-lag")
    try:
        yield
    finally:
        measuring.cancel()
        await asyncio.wait({measuring})
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
