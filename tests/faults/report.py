"""The table that a run ends with."""

from collections import Counter
from collections.abc import Sequence

from tests.faults.trial import Row

_HEAD = (
    "fault",
    "times",
    "acknowledged",
    "lost",
    "doubled",
    "unseen",
    "repeated",
    "refused",
    "recovered s",
    "RSS MiB",
    "descriptors",
    "threads",
)


def table(rows: Sequence[Row]) -> str:
    """Return the table of a run, and below it what did not hold."""
    lines = [_HEAD, *(_cells(row) for row in rows)]
    return "\n".join([aligned(lines), *_problems(rows)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return cells as columns, the first to the left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    verdict, before, after = row.verdict, row.before, row.after
    counts = (verdict.acknowledged, verdict.lost, verdict.doubled, verdict.unseen, verdict.repeated)
    return (
        row.fault,
        str(row.times),
        *map(str, counts),
        str(row.refused),
        f"{row.slowest_recovery:.1f}",
        f"{before.rss_bytes / 2**20:.0f} → {after.rss_bytes / 2**20:.0f}",
        f"{before.descriptors} → {after.descriptors}",
        f"{before.threads} → {after.threads}",
    )


def _problems(rows: Sequence[Row]) -> list[str]:
    counted = [(row.fault, Counter(row.problems)) for row in rows]
    return [
        f"FAILED {fault}: {problem}" + (f" ({times} times)" if times > 1 else "")
        for fault, problems in counted
        for problem, times in problems.items()
    ]
