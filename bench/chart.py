"""The picture of a run: bars, drawn by hand, that read on a light and on a dark page."""

from html import escape

from bench.report import number
from bench.results import Results
from bench.systems import BISTRO92, MERCURIUS, REST, STRAWBERRY

_GROUPS = (
    ("create", "orders/s", "createOrder, 64 connections: orders/s"),
    ("orders", "requests/s", "orders(first: 50), nothing written: requests/s"),
    ("orders-while-writing", "requests/s", "orders(first: 50), 200 orders/s placed: requests/s"),
    ("fan-out", "deliveries/s", "500 screens: deliveries/s"),
)
_COLOURS = {BISTRO92: "#c2410c", MERCURIUS: "#57758f", STRAWBERRY: "#8fa5b8", REST: "#b9c6d1"}
_WIDTH = 760
_LABEL_WIDTH = 190
_BAR_WIDTH = 470
_BAR_HEIGHT = 20
_GROUP_GAP = 34


def as_svg(results: Results) -> str:
    """Return the chart; each group of bars has its own scale."""
    parts: list[str] = []
    y = 16
    for scenario, metric, title in _GROUPS:
        values = {
            system: value
            for system in _COLOURS
            if (value := results.value((scenario, metric, system.name))) is not None
        }
        if not values:
            continue
        y += 22
        parts.append(f'<text x="16" y="{y}" font-weight="600">{escape(title)}</text>')
        y += 10
        for system, value in values.items():
            length = max(1, value / max(values.values()) * _BAR_WIDTH)
            parts.append(_bar(y, system.title, value, length, _COLOURS[system]))
            y += _BAR_HEIGHT + 4
        y += _GROUP_GAP - 22
    return _page(parts, y)


def _bar(y: int, title: str, value: float, length: float, colour: str) -> str:
    base = y + 15
    return (
        f'<text x="{_LABEL_WIDTH - 8}" y="{base}" text-anchor="end">{escape(title)}</text>'
        f'<rect x="{_LABEL_WIDTH}" y="{y}" width="{length:.1f}" height="{_BAR_HEIGHT}" rx="2" '
        f'fill="{colour}"/>'
        f'<text x="{_LABEL_WIDTH + length + 8:.1f}" y="{base}">{number(value)}</text>'
    )


def _page(parts: list[str], height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" role="img" '
        'aria-label="Bistro92 and its peers, measured" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#1f2933">\n'
        f'<rect width="{_WIDTH}" height="{height}" rx="6" fill="#ffffff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )
