"""What several instances on one PostgreSQL come to beyond the machine that was measured.

A discrete-event model of `db/postgres/store.py`. A writer takes the orders that wait as a batch and
sends it; in the database it waits for its log's head row, and holds that for the database's work.
Orders that arrive meanwhile are its next batch. Each instance has one writer for each log. Commits
that carry hints go one by one through the database, whichever log they are of.

The figures below were measured by `make bench ONLY=postgres`; round trips are what networks have.
`docs/scaling.md` shows what this prints.
"""

import heapq
import random
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

# Measured: what a batch takes beside its round trip, and each order of it. Some of that is the
# process's own work, without the row: the model is rather too slow than too fast.
BATCH_MS = 0.8
ORDER_MS = 0.03
# Measured: commits a second that carry a hint, all logs of a database together.
HINTED_COMMITS_PER_SECOND = 3800
# Measured: what an instance needs of its core to take an order over HTTP, and to answer it.
INSTANCE_ORDER_MS = 0.11
# Measured: one look at the head and the new entries, and the part of it that is the database's.
LOOK_MS = 0.8
LOOK_CPU_MS = 0.18

_BATCH_MAX_ORDERS = 500
_WARM_UP_MS = 1000.0
_MEASURED_MS = 4000.0
_COMMIT_MS = 1000 / HINTED_COMMITS_PER_SECOND
_SAME_SITE_MS = 0.5
_NETWORKS = (("one machine", 0.1), ("one site", _SAME_SITE_MS), ("two sites", 2.0))
_INSTANCES = (1, 2, 5, 10, 20, 50)
_RATES = (100, 1000, 5000, 10_000)
_LOGS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Outcome:
    """What callers see, in milliseconds, and how many batches were committed in a second."""

    p50: float
    p99: float
    batches_per_second: float
    keeps_up: bool


class Writer:
    """The orders of one log that come to one instance, at random, and one batch under way."""

    def __init__(self, log: "Log", core: "Core", dice: random.Random, per_ms: float) -> None:
        self.log = log
        self.core = core
        self._arrivals = _arrivals(dice, per_ms)
        self._next = next(self._arrivals)
        self.waiting: deque[float] = deque()
        self.batch: list[float] = []

    def next_start(self, free_at: float) -> float:
        """Return when it can begin with its next batch."""
        return free_at if self.waiting else max(free_at, self._next)

    def take_batch(self, now: float) -> None:
        """Take the orders that wait, by the times at which they came."""
        while self._next <= now:
            self.waiting.append(self._next)
            self._next = next(self._arrivals)
        size = min(len(self.waiting), _BATCH_MAX_ORDERS)
        self.batch = [self.waiting.popleft() for _ in range(size)]


class Log:
    """A head row, and the writers that wait for it."""

    def __init__(self) -> None:
        self.holder: Writer | None = None
        self.queue: deque[Writer] = deque()


class Core:
    """An instance's core: its writers' orders pass through it one by one."""

    def __init__(self) -> None:
        self.free_at = 0.0


class Simulation:
    """So many instances on so many logs. The same arguments give the same outcome."""

    def __init__(
        self,
        instances: int,
        orders_per_second: float,
        round_trip_ms: float,
        *,
        logs: int = 1,
        hints: bool = True,
    ) -> None:
        dice = random.Random(92)  # noqa: S311
        self._round_trip_ms = round_trip_ms
        self._hints = hints
        self._orders_per_second = orders_per_second
        self._agenda: list[tuple[float, int, Callable[[Writer], None], Writer]] = []
        self._numbers = count()
        self._now = self._commits_free_at = 0.0
        self._taken: list[float] = []
        self._batches = 0
        rows, cores = [Log() for _ in range(logs)], [Core() for _ in range(instances)]
        per_ms = orders_per_second / instances / logs / 1000
        self._writers = [Writer(log, core, dice, per_ms) for core in cores for log in rows]

    def run(self) -> Outcome:
        """Let a few seconds pass."""
        for writer in self._writers:
            self._at(writer.next_start(0.0), self._begin, writer)
        while self._agenda[0][0] < _WARM_UP_MS + _MEASURED_MS:
            self._now, _, step, writer = heapq.heappop(self._agenda)
            step(writer)
        self._taken.sort()
        left = sum(len(writer.waiting) for writer in self._writers)
        return Outcome(
            p50=self._taken[len(self._taken) // 2],
            p99=self._taken[int(len(self._taken) * 0.99)],
            batches_per_second=self._batches / _MEASURED_MS * 1000,
            # Those that wait came a moment ago: nothing has piled up since the beginning.
            keeps_up=left < self._orders_per_second * 0.5,
        )

    def _at(self, time: float, step: Callable[[Writer], None], writer: Writer) -> None:
        heapq.heappush(self._agenda, (time, next(self._numbers), step, writer))

    def _begin(self, writer: Writer) -> None:
        writer.take_batch(self._now)
        self._at(self._now + self._round_trip_ms / 2, self._ask, writer)

    def _ask(self, writer: Writer) -> None:
        if writer.log.holder is None:
            self._grant(writer)
        else:
            writer.log.queue.append(writer)

    def _grant(self, writer: Writer) -> None:
        writer.log.holder = writer
        work = BATCH_MS - _COMMIT_MS + ORDER_MS * len(writer.batch)
        self._at(self._now + work, self._commit, writer)

    def _commit(self, writer: Writer) -> None:
        begins = max(self._now, self._commits_free_at) if self._hints else self._now
        self._commits_free_at = begins + _COMMIT_MS
        self._at(begins + _COMMIT_MS, self._release, writer)

    def _release(self, writer: Writer) -> None:
        writer.log.holder = None
        if writer.log.queue:
            self._grant(writer.log.queue.popleft())
        answered_at = self._now + self._round_trip_ms / 2
        if self._now >= _WARM_UP_MS:
            self._taken += [answered_at - arrived_at for arrived_at in writer.batch]
            self._batches += 1
        core = writer.core
        core.free_at = max(core.free_at, answered_at) + INSTANCE_ORDER_MS * len(writer.batch)
        self._at(writer.next_start(core.free_at), self._begin, writer)


def _arrivals(dice: random.Random, per_ms: float) -> Iterator[float]:
    now = 0.0
    while True:
        now += dice.expovariate(per_ms)
        yield now


def one_log() -> list[list[str]]:
    """Return how long an order takes, for each network and number of instances."""
    rows = [["round trip", "instances", *(f"{rate:,} orders/s" for rate in _RATES)]]
    for name, round_trip_ms in _NETWORKS:
        for instances in _INSTANCES:
            outcomes = [Simulation(instances, rate, round_trip_ms).run() for rate in _RATES]
            label = f"{round_trip_ms} ms ({name})"
            rows.append([label, str(instances), *map(_times, outcomes)])
    return rows


def looks() -> list[list[str]]:
    """Return what it costs the database that each instance looks for the others' orders."""
    rows = [["instances", "orders/s", "batches/s", "looks/s", "cores for looks"]]
    for instances in _INSTANCES[1:]:
        for rate in _RATES[1::2]:
            outcome = Simulation(instances, rate, _SAME_SITE_MS).run()
            if not outcome.keeps_up:
                continue
            batches = outcome.batches_per_second
            # A look takes in all that was hinted at before it: there is no point in two at once.
            each = min(batches * (instances - 1) / instances, 1000 / (LOOK_MS + 2 * _SAME_SITE_MS))
            cores = each * instances * LOOK_CPU_MS / 1000
            numbers = [f"{rate:,}", f"{batches:,.0f}", f"{each * instances:,.0f}", f"{cores:.1f}"]
            rows.append([str(instances), *numbers])
    return rows


def many_logs() -> list[list[str]]:
    """Return what more logs change, with hints through the database, and through a broker."""
    rows = [["logs", "instances", "orders/s", "hints by PostgreSQL", "by a broker", "batches/s"]]
    for instances, rate in ((20, 5000), (50, 10_000)):
        for logs in _LOGS:
            if logs * instances > rate:
                continue  # most writers would have nothing to do
            outcomes = [
                Simulation(instances, rate, _SAME_SITE_MS, logs=logs, hints=hints).run()
                for hints in (True, False)
            ]
            batches = f"{outcomes[1].batches_per_second:,.0f}"
            rows.append([str(logs), str(instances), f"{rate:,}", *map(_times, outcomes), batches])
    return rows


def _times(outcome: Outcome) -> str:
    return f"{outcome.p50:.0f}, {outcome.p99:.0f} ms" if outcome.keeps_up else "too many"


def as_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns are as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "".join(
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))} |\n"
        for line in lines
    )


def tables() -> list[str]:
    """Return everything that is printed, table by table."""
    return [as_markdown(table()) for table in (one_log, looks, many_logs)]


if __name__ == "__main__":
    sys.stdout.write("\n".join(tables()))
