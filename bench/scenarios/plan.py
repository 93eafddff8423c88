"""What every scenario is told, and what it answers with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bench.systems import System

# A metric's name, unit included ("orders/s"), and its value.
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Plan:
    """How long to measure, and whether to inspect every answer."""

    warm_up_seconds: float
    window_seconds: float
    checked: bool


@dataclass(frozen=True)
class Scenario:
    """One kind of load, and the systems that bear it.

    `quick_systems` do so in a quick run: none leaves the scenario out. `once`: a single round.
    `missing` says what it lacks, if anything.
    """

    name: str
    title: str
    systems: tuple[System, ...]
    measure: Callable[[System, Plan], Figures]
    once: bool = False
    quick_systems: tuple[System, ...] = ()
    missing: str | None = None
