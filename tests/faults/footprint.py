"""What a server process takes up, measured when nobody uses it."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx2 as httpx

from tests.support.server import ServerProcess

# The allocator keeps some of what a fault needed for the moment.
RSS_TOLERANCE_BYTES = 12 * 2**20
# A reader's connection may be opened late: the database and its WAL.
DESCRIPTORS_TOLERANCE = 2
THREADS_TOLERANCE = 1
_READS = 24
_QUIET_SECONDS = 8.0
_CPU_WINDOW_SECONDS = 0.25
_CPU_SHARE_MAX = 0.4
_READ = '{ orders(first: 200, table: "nobody %d") { nodes { id } } }'


@dataclass(frozen=True)
class Footprint:
    rss_bytes: int
    descriptors: int
    threads: int
    cpu_share: float

    def problems_after(self, before: "Footprint") -> list[str]:
        """Say what is more than before."""
        problems = []
        if self.rss_bytes > before.rss_bytes + RSS_TOLERANCE_BYTES:
            problems.append(f"memory grew: {before.rss_bytes} to {self.rss_bytes} bytes")
        if self.descriptors > before.descriptors + DESCRIPTORS_TOLERANCE:
            problems.append(f"descriptors: {before.descriptors}, then {self.descriptors}")
        if self.threads > before.threads + THREADS_TOLERANCE:
            problems.append(f"threads: {before.threads}, then {self.threads}")
        if self.cpu_share > _CPU_SHARE_MAX:
            problems.append(f"{self.cpu_share:.0%} of a core with nothing to do")
        return problems


async def at_rest(server: ServerProcess, before: Footprint | None = None) -> Footprint:
    """Measure when every reader's connection has been opened and nobody is connected.

    What the server lets go of by itself, it may take some seconds for: `before` is waited for.
    """
    await asyncio.to_thread(_use_all_readers, server)
    deadline = time.monotonic() + _QUIET_SECONDS
    while True:
        found = await _measure(server)
        quiet = not server.process.net_connections("tcp")[1:]  # the first one listens
        back = before is None or not found.problems_after(before)
        if (quiet and back) or time.monotonic() > deadline:
            return found


def _use_all_readers(server: ServerProcess) -> None:
    def read(number: int) -> None:
        assert "errors" not in client.post("/graphql", json={"query": _READ % number}).json()

    with httpx.Client(base_url=server.url) as client, ThreadPoolExecutor(_READS) as pool:
        list(pool.map(read, range(_READS)))


async def _measure(server: ServerProcess) -> Footprint:
    process = server.process
    began = process.cpu_times()
    await asyncio.sleep(_CPU_WINDOW_SECONDS)
    ended = process.cpu_times()
    spent = ended.user + ended.system - began.user - began.system
    return Footprint(
        rss_bytes=process.memory_info().rss,
        descriptors=process.num_fds(),
        threads=process.num_threads(),
        cpu_share=spent / _CPU_WINDOW_SECONDS,
    )
