"""The orders that are placed: table `n` always orders the same two items, so any can be checked."""

from bench.dialects import Json

_MENU = ("Onion soup", "Baguette", "Crème brûlée", "Café au lait", "Steak frites", "Tarte tatin")
PREPARED_ORDERS = 5000


def order_of(number: int) -> Json:
    """Return what table `number` orders."""
    first, second = _MENU[number % 6], _MENU[(number // 6 + 3) % 6]
    return {
        "table": str(number),
        "items": [
            {"name": first, "quantity": number % 9 + 1},
            {"name": second, "quantity": number % 4 + 1},
        ],
    }
