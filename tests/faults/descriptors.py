"""The process may open no more files or sockets, while more clients come."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psutil

from tests.faults.trial import Trial
from tests.support.waiting import until

_SPARE = 6
_NEWCOMERS = 80
_CPU_SHARE_MAX = 0.9


async def descriptors_run_out(trial: Trial) -> int:
    """Sockets come until none can be accepted; then they leave, and the limit stays."""
    times = 1 if trial.short else 5
    for _ in range(times):
        with _limited_descriptors(trial.server.process):
            with ExitStack() as newcomers:
                for _ in range(_NEWCOMERS):
                    newcomers.enter_context(_connected(trial.server.port))
                await until(lambda: _has_none_left(trial.server.process), "no descriptor left")
                share = await _cpu_share(trial.server.process, 1 if trial.short else 5)
            assert share < _CPU_SHARE_MAX, f"{share:.0%} of a core while out of descriptors"
            await trial.recovered("running out of descriptors")
    return times


@contextmanager
def _limited_descriptors(process: psutil.Process) -> Iterator[None]:
    soft, hard = process.rlimit(psutil.RLIMIT_NOFILE)
    process.rlimit(psutil.RLIMIT_NOFILE, (process.num_fds() + _SPARE, hard))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def _connected(port: int) -> Iterator[None]:
    with socket.socket() as newcomer:
        newcomer.connect(("127.0.0.1", port))
        yield


def _has_none_left(process: psutil.Process) -> bool:
    return process.num_fds() >= process.rlimit(psutil.RLIMIT_NOFILE)[0] - 1


async def _cpu_share(process: psutil.Process, seconds: float) -> float:
    began = process.cpu_times()
    await asyncio.sleep(seconds)
    ended = process.cpu_times()
    return (ended.user + ended.system - began.user - began.system) / seconds
