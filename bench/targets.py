"""The targets: which two figures are compared, and what their ratio must be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from bench.load.clients import CLIENTS, GET, PLAIN, Client
from bench.scenarios.clients import SOCKET

Key = tuple[str, str, str]


class Figures(Protocol):
    """Where the medians come from."""

    def value(self, key: Key) -> float | None:
        """Return a median, if it was measured."""


@dataclass(frozen=True)
class Target:
    """`top`, divided by `bottom` if there is one, against a limit."""

    work: str
    top: Key
    bottom: Key | None
    limit: float
    at_least: bool = True
    unit: str = "×"

    def measured(self, figures: Figures) -> float | None:
        """Return the ratio, or None if one of its sides was not measured."""
        top = figures.value(self.top)
        if top is None or self.bottom is None:
            return top
        bottom = figures.value(self.bottom)
        return top / bottom if bottom else None

    def is_met(self, figures: Figures) -> bool | None:
        """Tell whether the target is met; None if it was not measured."""
        measured = self.measured(figures)
        if measured is None:
            return None
        return measured >= self.limit if self.at_least else measured <= self.limit

    def text(self) -> str:
        """Return the target as it is shown: "≥ 3 ×"."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"


def _against(system: str) -> Callable[[str, str, str, float], Target]:
    def target(work: str, scenario: str, metric: str, limit: float) -> Target:
        return Target(
            f"{work}, against {system}",
            (scenario, metric, "bistro92"),
            (scenario, metric, system.lower().replace(" ", "_")),
            limit,
        )

    return target


_mercurius = _against("Mercurius")
_strawberry = _against("plain Strawberry")

TARGETS = (
    _mercurius("`createOrder`, 64 connections", "create", "orders/s", 3),
    _strawberry("`createOrder`, 64 connections", "create", "orders/s", 40),
    _mercurius("`orders(first: 50)`, nothing written", "orders", "requests/s", 2),
    _mercurius(
        "`orders(first: 50)` while 200 orders/s are placed",
        "orders-while-writing",
        "requests/s",
        0.8,
    ),
    _mercurius("fan-out to 500 screens", "fan-out", "deliveries/s", 3),
    Target(
        "200 orders/s, 100 screens: p99 to the last delivery, against Mercurius",
        ("latency", "p99 ms", "bistro92"),
        ("latency", "p99 ms", "mercurius"),
        1,
        at_least=False,
    ),
    Target(
        "10 selections among 500 screens, against one selection",
        ("ten-selections", "deliveries/s", "bistro92"),
        ("fan-out", "deliveries/s", "bistro92"),
        0.8,
    ),
    Target(
        "1,000,000 stored orders against 1,000: `createOrder` rate, 200 tables",
        ("growth", "orders/s of 200 tables at 1,000,000", "bistro92"),
        ("growth", "orders/s of 200 tables at 1,000", "bistro92"),
        0.9,
    ),
    Target(
        "1,000,000 stored orders against 1,000: `createOrder` rate, 5,000 tables",
        ("growth", "orders/s of 5,000 tables at 1,000,000", "bistro92"),
        ("growth", "orders/s of 5,000 tables at 1,000", "bistro92"),
        0.9,
    ),
    Target(
        "1,000,000 stored orders against 1,000: time of page 1",
        ("growth", "page 1 ms at 1,000,000", "bistro92"),
        ("growth", "page 1 ms at 1,000", "bistro92"),
        1.2,
        at_least=False,
    ),
    Target(
        "1,000,000 stored orders against 1,000: time of a page half-way down",
        ("growth", "page half-way ms at 1,000,000", "bistro92"),
        ("growth", "page half-way ms at 1,000", "bistro92"),
        1.2,
        at_least=False,
    ),
    Target(
        "memory per connected screen",
        ("memory-screens", "KiB per screen", "bistro92"),
        None,
        40,
        at_least=False,
        unit="KiB",
    ),
    Target(
        "memory after 200,000 orders, against 50,000 (flat)",
        ("memory-orders", "MiB at the end", "bistro92"),
        ("memory-orders", "MiB after warm-up", "bistro92"),
        1.05,
        at_least=False,
    ),
    Target(
        "memory while 100 screens do not read, end against beginning (flat)",
        ("memory-stalled", "MiB at the end", "bistro92"),
        ("memory-stalled", "MiB after warm-up", "bistro92"),
        1.05,
        at_least=False,
    ),
    Target(
        "1,000 screens come back, 200 orders behind: time against that of the deliveries alone",
        ("reconnect", "s until all are live", "bistro92"),
        ("reconnect", "s of the deliveries alone", "bistro92"),
        3,
        at_least=False,
    ),
    Target(
        "ceiling: `createOrder`, against a bare Starlette route",
        ("create", "orders/s", "bistro92"),
        ("create", "orders/s", "bare"),
        0.45,
    ),
    *(
        Target(
            f"{client.name}: {work}, against the plainest request",
            ("clients", f"{metric} {client.name}", "bistro92"),
            ("clients", f"{metric} {PLAIN.name}", "bistro92"),
            0.85,
        )
        for work, metric, clients in (
            ("`createOrder`", "orders/s", CLIENTS),
            ("pages of 200 orders", "pages/s", (*CLIENTS, GET, Client(SOCKET, ()))),
        )
        for client in clients
    ),
)
