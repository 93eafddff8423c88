"""Idempotency keys: one key is one order, in a batch, over batches and over restarts."""

import asyncio
import random

import pytest

from db.errors import IdempotencyKeyReusedError
from db.records import Order
from resolvers.context import Service
from tests.conftest import OpenService
from tests.support.databases import AnyDatabase, stored_ids
from tests.support.orders import soup


async def test_same_key_and_same_order_is_one_order(
    service: Service, database: AnyDatabase
) -> None:
    together = await asyncio.gather(
        *(service.writer.create_order(soup(key="k")) for _ in range(20))
    )
    later = await service.writer.create_order(soup(key="k"))
    assert {order.id for order in [*together, later]} == {1}
    assert later == together[0]
    assert stored_ids(database) == [1]
    assert service.log.head.seq == 1


async def test_same_key_and_different_order_is_refused(
    service: Service, database: AnyDatabase
) -> None:
    outcomes = await asyncio.gather(
        service.writer.create_order(soup(key="k")),
        service.writer.create_order(soup(key="k", quantity=2)),
        service.writer.create_order(soup("2")),
        return_exceptions=True,
    )
    assert isinstance(outcomes[1], IdempotencyKeyReusedError)
    with pytest.raises(IdempotencyKeyReusedError):
        await service.writer.create_order(soup("2", key="k"))
    assert stored_ids(database) == [1, 2]


async def test_old_new_and_repeated_keys_in_one_batch_get_the_numbers_that_are_stored(
    service: Service, database: AnyDatabase
) -> None:
    dice = random.Random(7)
    answered: dict[str, Order] = {}
    for number in range(40):
        keys = [dice.choice([None, *"abcdefghijklmnop"]) for _ in range(dice.randrange(1, 30))]
        together = await asyncio.gather(
            *(service.writer.create_order(soup(key or f"{number}", key=key)) for key in keys)
        )
        for key, order in zip(keys, together, strict=True):
            name = f"order {order.id}" if key is None else f"key {key}"
            assert answered.setdefault(name, order) == order
    orders = sorted(answered.values(), key=lambda order: order.id)
    assert [order.id for order in orders] == list(range(1, len(orders) + 1))
    rows = database.rows("SELECT id, seq, table_name FROM orders ORDER BY id")
    assert rows == [(order.id, order.seq, order.table) for order in orders]
    assert service.log.head.seq == len(orders)


async def test_key_holds_after_a_restart(open_service: OpenService, database: AnyDatabase) -> None:
    async with open_service() as service:
        first = await service.writer.create_order(soup(key="k"))
    async with open_service() as service:
        assert await service.writer.create_order(soup(key="k")) == first
        with pytest.raises(IdempotencyKeyReusedError):
            await service.writer.create_order(soup(key="k", quantity=2))
        assert (await service.writer.create_order(soup())).id == 2
    assert stored_ids(database) == [1, 2]
