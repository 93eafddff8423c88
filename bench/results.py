"""The figures of a run: each metric of each system in each round, and their medians."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from bench.targets import TARGETS

# (scenario, metric, system)
Key = tuple[str, str, str]

_PACKAGES = ("uvicorn", "starlette", "strawberry-graphql", "graphql-core", "fastapi", "aiosqlite")


@dataclass
class Results:
    """What was measured, round by round, and what a reader must know: what was left out, why."""

    quick: bool
    rounds: dict[Key, list[float]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def add(self, scenario: str, system: str, figures: Mapping[str, float]) -> None:
        """Add the figures of one round."""
        for metric, value in figures.items():
            self.rounds.setdefault((scenario, metric, system), []).append(value)

    def value(self, key: Key) -> float | None:
        """Return the median over the rounds, if there is any."""
        values = self.rounds.get(key)
        return median(values) if values else None

    def as_json(self) -> dict[str, Any]:
        """Return everything, for `results.json`."""
        return {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "quick": self.quick,
            "machine": machine(),
            "figures": [
                {
                    "scenario": scenario,
                    "metric": metric,
                    "system": system,
                    "median": round(median(values), 3),
                    "rounds": [round(value, 3) for value in values],
                }
                for (scenario, metric, system), values in self.rounds.items()
            ],
            "targets": [
                {
                    "work": target.work,
                    "target": target.text(),
                    "measured": None
                    if (ratio := target.measured(self)) is None
                    else round(ratio, 3),
                    "met": target.is_met(self),
                }
                for target in TARGETS
            ],
            "remarks": self.remarks,
        }


def machine() -> dict[str, str]:
    """Return what the figures depend on."""
    models = (
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return {
        "processor": next(models, platform.machine()),
        "python": platform.python_version(),
        "packages": packages,
    }
