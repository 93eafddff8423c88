"""The faults. Each is caused again and again, and the server must recover by itself each time."""

import asyncio
import random
import signal
from collections.abc import Callable

from tests.faults.descriptors import descriptors_run_out
from tests.faults.halves import send_halves
from tests.faults.proxy import CuttingProxy
from tests.faults.trial import Fault, Trial
from tests.support.waiting import until


async def nothing(trial: Trial) -> int:
    """Nothing: what the measurements are like without a fault."""
    await asyncio.sleep(1 if trial.short else 5)
    await trial.recovered("nothing")
    return 0


async def kill(trial: Trial) -> int:
    """SIGKILL at any moment, now and then also while the server starts; a supervisor restarts."""
    times = 0
    for number in range(3 if trial.short else 20):
        await asyncio.sleep(random.uniform(0.05, 0.5))
        trial.server.kill()
        times += 1
        if number % 3 == 1:
            trial.server.spawn()
            await asyncio.sleep(random.uniform(0.1, 1.0))
            trial.server.kill()
            times += 1
        await asyncio.to_thread(trial.server.start)
        await trial.recovered("a kill")
    return times


async def disk_full(trial: Trial) -> int:
    """The disk is full, in an append to the WAL or in a checkpoint, and is freed."""
    times = 1 if trial.short else 5
    for _ in range(times):
        await _refused_during(trial, trial.stage.disk.fill, "the disk to be full")
        await asyncio.sleep(0.3 if trial.short else 2)
        trial.stage.disk.free()
        await trial.recovered("a full disk")
    return times


async def slow_commits(trial: Trial) -> int:
    """Each `fsync` takes 300 ms."""
    trial.stage.commits.slow(300)
    await asyncio.sleep(1 if trial.short else 10)
    await until(lambda: trial.stage.commits.affected >= 2, "slow commits")
    times = trial.stage.commits.affected
    trial.stage.commits.sound()
    await trial.recovered("slow commits")
    return times


async def failing_commits(trial: Trial) -> int:
    """`fsync` fails with EIO."""
    times = 0
    for _ in range(1 if trial.short else 5):
        await _refused_during(trial, trial.stage.commits.failing, "failing commits")
        await asyncio.sleep(0.3 if trial.short else 2)
        times += trial.stage.commits.affected
        trial.stage.commits.sound()
        await trial.recovered("failing commits")
    return times


async def failing_commits_and_kill(trial: Trial) -> int:
    """SIGKILL while `fsync` fails: what was refused may be on disk after all."""
    times = 1 if trial.short else 5
    for _ in range(times):
        await _refused_during(trial, trial.stage.commits.failing, "failing commits")
        trial.server.kill()
        trial.stage.commits.sound()
        await asyncio.to_thread(trial.server.start)
        await trial.recovered("failing commits and a kill")
    return times


async def freeze(trial: Trial) -> int:
    """SIGSTOP for longer than clients wait, and than the server waits for its screens."""
    times = 1 if trial.short else 3
    for _ in range(times):
        trial.server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(3 if trial.short else 10)
        trial.server.process.send_signal(signal.SIGCONT)
        await trial.recovered("a freeze")
    return times


async def cut_sockets(trial: Trial) -> int:
    """Requests, handshakes and frames end half-way; so do deliveries."""
    times = 0
    async with CuttingProxy(trial.server.port) as proxy:
        trial.join(proxy.url)
        await trial.recovered("joining behind the proxy")
        for _ in range(4 if trial.short else 40):
            proxy.cut()
            times += await send_halves(trial.server.port)
            await asyncio.sleep(random.uniform(0.1, 0.3))
        await trial.recovered("cut sockets")
        await trial.finish()
        return times + proxy.cuts


async def restart(trial: Trial) -> int:
    """SIGTERM and a new start while 200 screens are connected."""
    times = 1 if trial.short else 5
    for _ in range(times):
        await until(lambda: all(s.is_connected for s in trial.screens), "every screen")
        assert await asyncio.to_thread(trial.server.stop) == 0
        await asyncio.to_thread(trial.server.start)
        await trial.recovered("a restart")
    codes = {code for screen in trial.screens for code in screen.close_codes}
    assert codes == {1012}, f"screens were closed with {codes}"
    return times


async def _refused_during(trial: Trial, cause: Callable[[], None], what: str) -> None:
    before = trial.ledger.refusals["UNAVAILABLE"]
    cause()
    await until(lambda: trial.ledger.refusals["UNAVAILABLE"] > before, f"refusals for {what}")


NOTHING = Fault("nothing", nothing)
FAULTS = (
    NOTHING,
    Fault("kill -9", kill),
    Fault("disk full", disk_full),
    Fault("slow commits", slow_commits, needs_compiler=True),
    Fault("failing commits", failing_commits, needs_compiler=True),
    Fault("failing commits, kill -9", failing_commits_and_kill, needs_compiler=True),
    Fault("frozen", freeze),
    Fault("sockets cut", cut_sockets),
    Fault("restart, 200 screens", restart, screens=200, pause=0.4),
    Fault("out of descriptors", descriptors_run_out),
)
