"""`createOrder`: validate, hand the order to the writer, answer when it is on disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.errors import IdempotencyKeyReusedError
from db.records import Order
from db.stats import rejections
from resolvers.context import Service
from resolvers.validation import (
    ItemInput,
    OrderError,
    OrderErrorCode,
    order_id_of,
    validate_order,
)


@dataclass(frozen=True, slots=True)
class CreateOrderResult:
    """The stored order, or everything that is wrong with it."""

    order: Order | None
    errors: Sequence[OrderError] = ()


async def create_order(
    service: Service,
    table: str,
    items: Sequence[ItemInput],
    idempotency_key: str | None,
    note: str | None = None,
    adds_to: str | None = None,
) -> CreateOrderResult:
    """Store an order. What is wrong with it comes back as data, what is wrong with us is raised.

    Raises `OverloadedError` and `UnavailableError`.
    """
    known_id = None if adds_to is None else order_id_of(adds_to)
    new = validate_order(table, items, idempotency_key, note, known_id)
    if adds_to is not None and not await _exists(service, known_id):
        message = f"addsTo: there is no order {adds_to!r}."
        missing = OrderError(OrderErrorCode.ORDER_NOT_FOUND, message, "addsTo")
        new = [*new, missing] if isinstance(new, list) else [missing]
    if isinstance(new, list):
        return _rejected(new)
    try:
        return CreateOrderResult(await service.writer.create_order(new))
    except IdempotencyKeyReusedError as error:
        code = OrderErrorCode.IDEMPOTENCY_KEY_REUSED
        return _rejected([OrderError(code, str(error), "idempotencyKey")])


async def _exists(service: Service, order_id: int | None) -> bool:
    """Tell whether there is such an order: ids have no gaps."""
    if order_id is None:
        return False
    if order_id > service.log.head.order_id:
        await service.log.refresh()
    return order_id <= service.log.head.order_id


def _rejected(errors: Sequence[OrderError]) -> CreateOrderResult:
    rejections.update({error.code.name for error in errors})
    return CreateOrderResult(None, errors)
