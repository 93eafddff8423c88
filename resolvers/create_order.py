"""`createOrder`: validate, hand the order to the writer, answer when it is on disk."""

from collections.abc import Sequence
from dataclasses import dataclass

from db.errors import IdempotencyKeyReusedError
from db.records import Order
from db.stats import rejections
from resolvers.context import Service
from resolvers.validation import ItemInput, OrderError, OrderErrorCode, validate_order


@dataclass(frozen=True, slots=True)
class CreateOrderResult:
    """The stored order, or everything that is wrong with it."""

    order: Order | None
    errors: Sequence[OrderError] = ()


async def create_order(
    service: Service, table: str, items: Sequence[ItemInput], idempotency_key: str | None
) -> CreateOrderResult:
    """Store an order. What is wrong with it comes back as data, what is wrong with us is raised.

    Raises `OverloadedError` and `UnavailableError`.
    """
    new = validate_order(table, items, idempotency_key)
    if isinstance(new, list):
        return _rejected(new)
    try:
        return CreateOrderResult(await service.writer.create_order(new))
    except IdempotencyKeyReusedError as error:
        code = OrderErrorCode.IDEMPOTENCY_KEY_REUSED
        return _rejected([OrderError(code, str(error), "idempotencyKey")])


def _rejected(errors: Sequence[OrderError]) -> CreateOrderResult:
    rejections.update({error.code.name for error in errors})
    return CreateOrderResult(None, errors)
