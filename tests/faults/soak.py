"""The soak: steady orders, screens that come and go, and a process that must stay as it is."""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.causes import NOTHING
from tests.faults.footprint import Footprint, at_rest
from tests.faults.ledger import Ledger, Verdict
from tests.faults.report import aligned
from tests.faults.screens import ResumingScreen
from tests.faults.stage import WAL_MAX_BYTES, Stage, open_stage
from tests.faults.trial import Fault, Trial

_SAMPLE_SECONDS = 5.0
_PRINT_SECONDS = 30.0
_VISITORS = 20
_SCREENS = 15
_STAY_SECONDS = (0.5, 8.0)
_FILLING_ORDERS = 40_000
# Between the medians of the first and of the last quarter.
_RSS_GROWTH_MAX_BYTES = 8 * 2**20
_CONNECTIONS_SLACK = 6
# One batch may be written after the limit was reached.
_WAL_MAX_BYTES = WAL_MAX_BYTES + 2**20


@dataclass(frozen=True)
class Sample:
    """The process while it works. `descriptors` are those that are not connections."""

    rss_bytes: int
    descriptors: int
    threads: int
    wal_bytes: int
    orders: int


async def soak(minutes: float) -> bool:
    """Run for so long, print a table, and tell whether everything stayed flat and held."""
    with (
        tempfile.TemporaryDirectory(prefix="bistro92-soak-") as folder,
        open_stage(Path(folder), short=False, small_disk=False) as stage,
    ):
        await _fill_caches(stage)
        before = await at_rest(stage.server)
        trial = Trial(stage, Fault("soak", NOTHING.cause, screens=_SCREENS))
        trial.join(stage.server.url)
        try:
            samples, visits = await _observe(trial, minutes * 60)
            await trial.finish()
        finally:
            await trial.leave()
        verdict = trial.ledger.compare(stage.server.path, trial.start)
        after = await at_rest(stage.server, before)
    problems = [*verdict.problems, *after.problems_after(before), *not_flat(samples)]
    print(_table(samples, verdict, before, after, visits))
    print("\n".join(f"FAILED {problem}" for problem in problems) or "everything held")
    return verdict.holds and not problems


async def _fill_caches(stage: Stage) -> None:
    """Place so many orders that every bounded cache is at its bound: SQLite's pages, events."""
    trial = Trial(stage, Fault("filling", NOTHING.cause, screens=1, pause=0, clients_each=16))
    trial.join(stage.server.url)
    try:
        while len(trial.ledger.acknowledged) < _FILLING_ORDERS:
            assert trial.server.is_running
            await asyncio.sleep(1)
        await trial.finish()
    finally:
        await trial.leave()


async def _observe(trial: Trial, seconds: float) -> tuple[list[Sample], int]:
    samples: list[Sample] = []
    visits = [asyncio.create_task(_come_and_go(trial)) for _ in range(_VISITORS)]
    ends = time.monotonic() + seconds
    printed = 0.0
    try:
        while time.monotonic() < ends:
            await asyncio.sleep(min(_SAMPLE_SECONDS, max(0.0, ends - time.monotonic())))
            samples.append(_sample(trial.stage, trial.ledger))
            if time.monotonic() > printed + _PRINT_SECONDS:
                printed = time.monotonic()
                left = max(0.0, ends - printed)
                print(f"{left / 60:5.1f} minutes left: {samples[-1]}", file=sys.stderr, flush=True)
            for visit in visits:
                if visit.done():
                    visit.result()
    finally:
        for visit in visits:
            visit.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
    return samples, len(trial.ledger.sights) - _SCREENS


async def _come_and_go(trial: Trial) -> None:
    """Be one screen after another: each stays a while, and resumes from where the last stopped."""
    cursor, place = trial.cursor, trial.start
    while True:
        screen = ResumingScreen(trial.ledger, f"{trial.server.url}/graphql", cursor, place)
        try:
            async with asyncio.timeout(random.uniform(*_STAY_SECONDS)):
                await screen.follow()
        except TimeoutError:
            pass
        finally:
            # What a screen has not seen when it is switched off, the next one is shown.
            screen.sight.ended = True
        cursor, place = screen.cursor, screen.sight.place
        await asyncio.sleep(random.uniform(0, 1))


def _sample(stage: Stage, ledger: Ledger) -> Sample:
    process = stage.server.process
    wal = Path(f"{stage.server.path}-wal")
    with process.oneshot():
        connections = len(process.net_connections("tcp")) - 1
        return Sample(
            rss_bytes=process.memory_info().rss,
            descriptors=process.num_fds() - connections,
            threads=process.num_threads(),
            wal_bytes=wal.stat().st_size if wal.exists() else 0,
            orders=len(ledger.acknowledged),
        )


def not_flat(samples: Sequence[Sample]) -> list[str]:
    """Say what has grown from the first quarter of the samples to the last."""
    quarter = max(1, len(samples) // 4)
    first, last = samples[:quarter], samples[-quarter:]

    def median(of: str, samples: Sequence[Sample]) -> float:
        return float(statistics.median(getattr(sample, of) for sample in samples))

    def growth(of: str) -> float:
        return median(of, last) - median(of, first)

    problems = []
    if (grown := growth("rss_bytes")) > _RSS_GROWTH_MAX_BYTES:
        problems.append(f"memory grew by {grown:.0f} bytes")
    if (grown := growth("descriptors")) > _CONNECTIONS_SLACK:
        problems.append(f"{grown:.0f} descriptors more")
    if (grown := growth("threads")) > 0:
        problems.append(f"{grown:.0f} threads more")
    if (largest := max(sample.wal_bytes for sample in samples)) > _WAL_MAX_BYTES:
        problems.append(f"the WAL grew to {largest} bytes")
    return problems


def _table(
    samples: Sequence[Sample], verdict: Verdict, before: Footprint, after: Footprint, visits: int
) -> str:
    shown = [samples[len(samples) * part // 8] for part in range(8)] + [samples[-1]]
    head = ("sample", "orders", "RSS MiB", "descriptors", "threads", "WAL KiB")
    lines = [
        (
            str(samples.index(sample) + 1),
            str(sample.orders),
            f"{sample.rss_bytes / 2**20:.1f}",
            str(sample.descriptors),
            str(sample.threads),
            str(sample.wal_bytes // 1024),
        )
        for sample in shown
    ]
    rest = (
        f"at rest: RSS {before.rss_bytes / 2**20:.1f} → {after.rss_bytes / 2**20:.1f} MiB, "
        f"descriptors {before.descriptors} → {after.descriptors}, "
        f"threads {before.threads} → {after.threads}"
    )
    told = (
        f"acknowledged {verdict.acknowledged}, lost {verdict.lost}, doubled {verdict.doubled}, "
        f"unseen {verdict.unseen}, repeated {verdict.repeated}; {visits} screens came and went"
    )
    return "\n".join([aligned([head, *lines]), rest, told])
