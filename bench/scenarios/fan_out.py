"""500 screens, and orders as fast as 8 clients can place them."""

from collections.abc import Sequence
from itertools import cycle, islice

from bench.check import WrongAnswerError, check_events
from bench.dialects import SELECTIONS
from bench.load.http import ClosedLoop
from bench.load.loop import Loop
from bench.load.screen import Screen
from bench.scenarios.plan import Figures, Plan
from bench.scenarios.steps import connect_screens, delivered, measure_rate, order_requests
from bench.server import running
from bench.systems import System

_SCREENS = 500
_WRITERS = 8
# Node needs longer here than elsewhere until it is warm.
_FIRST_SECONDS = 1.0
_CATCH_UP_SECONDS = 20.0


def measure_one_selection(system: System, plan: Plan) -> Figures:
    """Measure deliveries per second when all screens want the same."""
    return _measure(system, plan, SELECTIONS[:1])


def measure_ten_selections(system: System, plan: Plan) -> Figures:
    """Measure deliveries per second with ten different selections."""
    return _measure(system, plan, SELECTIONS)


def _measure(system: System, plan: Plan, selections: Sequence[str]) -> Figures:
    with running(system) as server:
        loop = Loop()
        wanted = islice(cycle(selections), _SCREENS)
        openings = [system.dialect.screen(selection) for selection in wanted]
        screens = connect_screens(loop, server, openings)
        if plan.checked:
            for screen in screens:
                screen.recorded = []
        writers = ClosedLoop(loop, server.port, _WRITERS, order_requests(system.dialect))
        writers.start()
        loop.run(_FIRST_SECONDS)
        rate = measure_rate(plan, lambda: delivered(screens), loop.run)
        writers.stop()
        _check(system, loop, screens, writers.answered)
    return {"deliveries/s": rate}


def _check(system: System, loop: Loop, screens: Sequence[Screen], placed: int) -> None:
    """Let the screens catch up: each must have received each order, exactly once."""
    due = placed * len(screens)
    caught_up = loop.reaches(lambda: delivered(screens) >= due, _CATCH_UP_SECONDS)
    if caught_up and delivered(screens) > due:
        raise WrongAnswerError("screens have received more orders than were placed")
    if not caught_up and system.is_ours:
        raise WrongAnswerError(f"screens lack {due - delivered(screens)} of {due} deliveries")
    if screens[0].recorded is not None:
        check_events(system.dialect, screens, None)
