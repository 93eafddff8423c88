"""The command: run the scenarios round by round, say how it goes, write the results."""

import argparse
import gc
import os
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from time import perf_counter

import orjson
import psutil

from bench.chart import as_svg
from bench.load.loop import LoadError
from bench.report import as_markdown, as_text, figures_table, number, targets_table
from bench.results import Results
from bench.scenarios.catalogue import SCENARIOS
from bench.scenarios.plan import Plan, Scenario
from bench.server import DATA
from bench.systems import SYSTEMS, System

_OPEN_FILES = 8192
_FOLDER = Path(__file__).parent
_ROUNDS = 3
_BUSY_PERCENT = 10
# Node compiles what it sees often: in the first second it is far from its best.
_FULL = Plan(warm_up_seconds=2, window_seconds=2, checked=False)
_QUICK = Plan(warm_up_seconds=1, window_seconds=1, checked=False)


def main() -> None:
    """Run the benchmark."""
    arguments = _arguments()
    _prepare()
    results = Results(quick=arguments.quick)
    chosen = [scenario for scenario in SCENARIOS if arguments.only in (None, scenario.name)]
    _leave_out(results, chosen, quick=arguments.quick)
    started = perf_counter()
    try:
        _run_rounds(results, chosen)
    finally:
        rmtree(DATA, ignore_errors=True)
    _say(f"\n{as_text(targets_table(results))}\n\n{as_text(figures_table(results))}\n")
    _say("\n".join(results.remarks))
    _say(f"{perf_counter() - started:.0f} s")
    # A single scenario is for the developer at work: it must not replace a whole run's results.
    if arguments.only is None:
        _write(results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, in about a minute")
    parser.add_argument(
        "--only", choices=[scenario.name for scenario in SCENARIOS], help="run one scenario"
    )
    return parser.parse_args()


def _prepare() -> None:
    if (os.cpu_count() or 1) < 2:
        sys.exit("The benchmark needs two cores: one for the server, one for the load.")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_OPEN_FILES, hard), hard))
    # A collection in a measured window would be the client's pause, not the server's.
    gc.disable()


def _leave_out(results: Results, chosen: Sequence[Scenario], *, quick: bool) -> None:
    results.remarks += [
        f"{system.title} left out: {system.missing}" for system in SYSTEMS if system.missing
    ]
    results.remarks += [
        f"{scenario.name} left out: not in a quick run"
        for scenario in chosen
        if quick and not scenario.quick_systems
    ]
    results.remarks += [
        f"{scenario.name} left out: {scenario.missing}" for scenario in chosen if scenario.missing
    ]


def _run_rounds(results: Results, chosen: Sequence[Scenario]) -> None:
    for round_number in range(1 if results.quick else _ROUNDS):
        _look_at_others(results, round_number)
        for scenario in chosen:
            if not scenario.missing and (round_number == 0 or not scenario.once):
                _run(results, scenario, round_number)


def _look_at_others(results: Results, round_number: int) -> None:
    """Remark on a machine that is not ours alone: its figures compare nothing."""
    busy = psutil.cpu_percent(interval=1)
    if busy > _BUSY_PERCENT:
        remark = f"round {round_number + 1}: other programs used {busy:.0f} % of the processors"
        results.remarks.append(remark)
        _say(f"{remark}; don't trust what follows")


def _run(results: Results, scenario: Scenario, round_number: int) -> None:
    """Run one round of a scenario on each of its systems; the first round is checked."""
    base = _QUICK if results.quick else _FULL
    plan = Plan(base.warm_up_seconds, base.window_seconds, checked=round_number == 0)
    systems = scenario.quick_systems if results.quick else scenario.systems
    if systems:
        _say(f"round {round_number + 1}: {scenario.title}")
    for system in systems:
        if system.missing is None:
            _run_system(results, scenario, system, plan)


def _run_system(results: Results, scenario: Scenario, system: System, plan: Plan) -> None:
    try:
        figures = scenario.measure(system, plan)
    except LoadError as error:
        results.remarks.append(f"{scenario.name} on {system.title}, one round: {error}")
        _say(f"  {system.title:26} failed: {error}")
        return
    finally:
        gc.collect()
    results.add(scenario.name, system.name, figures)
    shown = ", ".join(f"{number(value)} {metric}" for metric, value in figures.items())
    _say(f"  {system.title:26} {shown}")


def _write(results: Results) -> None:
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    (_FOLDER / "results.json").write_bytes(orjson.dumps(results.as_json(), option=options))
    (_FOLDER / "results.md").write_text(as_markdown(results))
    (_FOLDER / "results.svg").write_text(as_svg(results))
    _say("written: bench/results.json, bench/results.md, bench/results.svg")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
