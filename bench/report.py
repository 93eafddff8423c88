"""The tables of a run, as Markdown: the ratios beside their targets, and every figure."""

from collections.abc import Iterable, Sequence

from bench.results import Key, Results, machine
from bench.scenarios.catalogue import SCENARIOS
from bench.systems import SYSTEMS
from bench.targets import TARGETS

_TITLES = {system.name: system.title for system in SYSTEMS}


def number(value: float | None) -> str:
    """Write a figure with as many digits as matter."""
    if value is None:
        return "not measured"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def targets_table(results: Results) -> list[list[str]]:
    """Return a row for each target, under a head."""
    marks = {True: "met", False: "missed", None: "–"}
    rows = [["work", "target", "measured", ""]]
    for target in TARGETS:
        measured = target.measured(results)
        shown = number(measured) + (f" {target.unit}" if measured is not None else "")
        rows.append([target.work, target.text(), shown, marks[target.is_met(results)]])
    return rows


def figures_table(results: Results) -> list[list[str]]:
    """Return a row for each scenario's metric, with a column for each system, under a head."""
    rows = [["scenario", "figure", *_TITLES.values()]]
    titles = {scenario.name: scenario.title for scenario in SCENARIOS}
    metrics = dict.fromkeys((scenario, metric) for scenario, metric, _ in results.rounds)
    for scenario, metric in metrics:
        keys: list[Key] = [(scenario, metric, system) for system in _TITLES]
        cells = [number(results.value(key)) if key in results.rounds else "" for key in keys]
        if any(cells):
            rows.append([titles[scenario], metric, *cells])
    return rows


def as_markdown(results: Results) -> str:
    """Return `results.md`."""
    facts = [f"- {name}: {value}" for name, value in machine().items()]
    limits = [
        f"- {who} reaches {number(results.value(('client', metric, 'empty')))} {metric}"
        for who, metric in (
            ("the load client, against an empty server,", "requests/s"),
            ("the load client, against an empty server,", "deliveries/s"),
            ("the disk", "disk syncs/s"),
        )
    ]
    remarks = [f"- {sentence}" for sentence in results.remarks]
    length = "One short round" if results.quick else "Medians of three rounds"
    return "\n".join(
        [
            "# Results of the benchmark",
            "",
            f"{length}; every server alone on one core, fresh, on a fresh database with "
            "`synchronous=FULL`; the load client on the other core. (PostgreSQL and its instances "
            "share both cores with the client, and so does SQLite beside them: two cores hold so "
            "many processes poorly, and more instances are slower there.) In the first round every "
            "order, page and delivery was compared with what was asked for, and each screen's "
            "deliveries were counted: once each, in order, no gap (growth, latency and memory "
            "only measure).",
            "",
            *_markdown(targets_table(results)),
            "",
            *_markdown(figures_table(results)),
            "",
            *facts,
            *limits,
            *remarks,
            "",
        ]
    )


def as_text(rows: Sequence[Sequence[str]]) -> str:
    """Return a table for the terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _markdown(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return (f"| {' | '.join(line)} |" for line in lines)
