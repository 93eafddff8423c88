"""One fault under load: what is measured before, what is caused, and what must hold after."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.faults.clients import Clients
from tests.faults.footprint import Footprint, at_rest
from tests.faults.ledger import Ledger, Verdict
from tests.faults.screens import ResumingScreen, Screens
from tests.faults.stage import Stage
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.waiting import until

_FINISH_SECONDS = 30.0
_WARNINGS_MAX = 300
# What a server must never have to say, whatever happens to its machine.
_ALARM = re.compile(r"Traceback|[Uu]nexpected error|never retrieved|Unclosed|Fatal")


@dataclass(frozen=True)
class Fault:
    """A fault, and the load that it meets. `cause` returns how often it was caused."""

    name: str
    cause: "Callable[[Trial], Awaitable[int]]"
    screens: int = 8
    pause: float = 0.04
    clients_each: int = 4
    needs_compiler: bool = False


@dataclass(frozen=True)
class Row:
    """A fault's line of the table. `problems` is empty if everything held."""

    fault: str
    times: int
    verdict: Verdict
    refused: int
    slowest_recovery: float
    before: Footprint
    after: Footprint
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Crowd:
    """Clients and screens that come the same way."""

    clients: Clients
    screens: Screens


class Trial:
    """The load while a fault is caused."""

    def __init__(self, stage: Stage, fault: Fault) -> None:
        self.stage = stage
        self.server = stage.server
        self.short = stage.short
        self.slowest_recovery = 0.0
        self.ledger = Ledger()
        first = self.server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
        self.start = int(first["id"])
        self.crowds: list[Crowd] = []
        self.cursor: str = first["cursor"]
        self._fault = fault

    def join(self, address: str) -> None:
        """Let clients and screens come to the server by this address."""
        url = f"{address}/graphql"
        fault = self._fault
        # Names are idempotency keys: never those of an earlier trial on this database.
        name = f"{fault.name} {self.start} {len(self.crowds)}"
        self.crowds.append(
            Crowd(
                Clients(self.ledger, url, each=fault.clients_each, pause=fault.pause, name=name),
                Screens(
                    self.ledger, url, count=fault.screens, cursor=self.cursor, start=self.start
                ),
            )
        )

    @property
    def screens(self) -> list[ResumingScreen]:
        return [screen for crowd in self.crowds for screen in crowd.screens.all]

    async def recovered(self, what: str) -> None:
        """Wait until every kind of client is served again, and every screen is up to date.

        Only what was asked from now on counts. Nobody helps the server.
        """
        since = time.monotonic()
        await until(
            lambda: all(crowd.clients.served_since(since) for crowd in self.crowds),
            f"orders after {what}",
        )
        await self._up_to_date(f"screens after {what}")
        self.slowest_recovery = max(self.slowest_recovery, time.monotonic() - since)

    async def finish(self) -> None:
        """Let the clients get their last answers and the screens their last orders."""
        async with asyncio.timeout(_FINISH_SECONDS):
            for crowd in self.crowds:
                await crowd.clients.finish()
        await self._up_to_date("the last orders on every screen")

    async def _up_to_date(self, what: str) -> None:
        place = max(self.ledger.acknowledged.values())
        await until(lambda: all(s.sight.place >= place for s in self.screens), what)

    async def leave(self) -> None:
        for crowd in self.crowds:
            crowd.clients.cancel()
            await crowd.screens.leave()


async def try_fault(stage: Stage, fault: Fault) -> Row:
    """Cause a fault under load and compare before and after."""
    before = await at_rest(stage.server)
    logged = len(stage.server.log)
    trial = Trial(stage, fault)
    trial.join(stage.server.url)
    times = 0
    problems: list[str] = []
    try:
        await trial.recovered("the beginning")
        trial.slowest_recovery = 0.0
        times = await fault.cause(trial)
        await trial.finish()
    except (AssertionError, TimeoutError) as error:
        problems.append(f"did not recover: {error}")
    finally:
        await trial.leave()
    verdict = trial.ledger.compare(stage.server.path, trial.start)
    after = await at_rest(stage.server, before)
    problems += [*verdict.problems, *after.problems_after(before)]
    problems += _problems_of_log(stage.server.log[logged:])
    if not verdict.holds:
        problems.append("orders were lost, doubled, unseen or repeated")
    return Row(
        fault.name,
        times,
        verdict,
        sum(trial.ledger.refusals.values()),
        trial.slowest_recovery,
        before,
        after,
        tuple(problems),
    )


def _problems_of_log(text: str) -> list[str]:
    lines = text.splitlines()
    alarms = [line for line in lines if _ALARM.search(line)]
    problems = [f"the log: {alarms[0]} ({len(alarms)} such lines)"] if alarms else []
    warnings = [line for line in lines if "[info " not in line]
    if len(warnings) > _WARNINGS_MAX:
        problems.append(f"the log: {len(warnings)} lines such as {warnings[0]}")
    return problems
