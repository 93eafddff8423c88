"""Orders as tests place them."""

from db.records import NewItem, NewOrder

CREATE_ORDER = """
mutation ($input: CreateOrderInput!) {
  createOrder(input: $input) {
    order { id table items { name quantity } createdAt cursor }
    errors { code message field }
  }
}
"""
FOLLOW = """
subscription ($after: String, $last: Int) {
  orderCreated(after: $after, last: $last) { id table items { name quantity } cursor }
}
"""


def soup(table: str = "1", key: str | None = None, quantity: int = 1) -> NewOrder:
    """An order of soup."""
    return NewOrder(table, (NewItem("Soup", quantity), NewItem("Bread", 2)), key)


def soup_input(table: str = "1", key: str | None = None, quantity: int = 1) -> dict[str, object]:
    """The same order as a client gives it."""
    items = [{"name": "Soup", "quantity": quantity}, {"name": "Bread", "quantity": 2}]
    return {"table": table, "items": items, "idempotencyKey": key}
