"""The input types."""

import strawberry

from resolvers.limits import (
    IDEMPOTENCY_KEY_MAX_CHARACTERS,
    ITEM_NAME_MAX_CHARACTERS,
    ORDER_MAX_ITEMS,
    QUANTITY_MAX,
    TABLE_MAX_CHARACTERS,
)

_TEXT = "any Unicode but control characters and lone surrogates"


@strawberry.input(description="One line of an order.")
class OrderItemInput:
    """What to make, and how many."""

    name: str = strawberry.field(
        description=f"1–{ITEM_NAME_MAX_CHARACTERS} characters after trimming, {_TEXT}."
    )
    quantity: int = strawberry.field(description=f"1–{QUANTITY_MAX}.")


@strawberry.input(description="An order to be placed.")
class CreateOrderInput:
    """What `createOrder` takes."""

    table: str = strawberry.field(
        description=f"1–{TABLE_MAX_CHARACTERS} characters after trimming, {_TEXT}."
    )
    items: list[OrderItemInput] = strawberry.field(description=f"1–{ORDER_MAX_ITEMS} items.")
    idempotency_key: str | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            f"1–{IDEMPOTENCY_KEY_MAX_CHARACTERS} characters, {_TEXT}; compared exactly. Sending "
            "the same order again with the same key returns the first order and writes nothing, "
            "so a client may retry safely; a different order with the key is refused."
        ),
    )
