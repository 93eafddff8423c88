"""An order's state as text: what each entry of the log carries, and the order's row as of now.

It is JSON: [version, table or null, notes, lines]. The table is null unless the order was moved; a
note is [line or null, text, time]; a line [state, queued, started, ready, served, voided quantity,
recalls] without the nulls and noughts at its end. Times are microseconds since it was placed.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson

from db.lifecycle.machine import state_of
from db.records import (
    Actor,
    ItemState,
    NewItem,
    Order,
    OrderItem,
    OrderNote,
    OrderState,
)

# Of a line: the state and four times.
_TIMES_END = 5
_MICROSECOND = timedelta(microseconds=1)


def placed_items(
    new: Iterable[NewItem], at: datetime, *, before_states: bool = False
) -> tuple[OrderItem, ...]:
    """Return the lines of an order as it was placed."""
    return tuple(
        [
            OrderItem(*item, line, ItemState.HELD, None)
            if item.held
            else OrderItem(*item, line, ItemState.SERVED if before_states else ItemState.QUEUED, at)
            for line, item in enumerate(new, 1)
        ]
    )


def placed_state(items: Sequence[OrderItem], *, before_states: bool = False) -> OrderState:
    """Return the state of an order as it was placed."""
    if before_states:
        return OrderState.CLOSED
    held = [item.held for item in items]
    return OrderState.QUEUED if not all(held) else OrderState.HELD


def encode_state(order: Order) -> str:
    """Return all that can change of an order, as text."""
    placed = order.created_at
    notes = [(note.line, note.text, _since(placed, note.at)) for note in order.notes]
    table = None if order.placed_table is None else order.table
    lines = [_encode_line(item, placed) for item in order.items]
    return orjson.dumps((order.version, table, notes, lines)).decode()


def _since(placed: datetime, at: datetime | None) -> int | None:
    return None if at is None else (at - placed) // _MICROSECOND


def _encode_line(item: OrderItem, placed: datetime) -> list[Any]:
    times = (item.queued_at, item.started_at, item.ready_at, item.served_at)
    line: list[Any] = [
        item.state.value,
        *[_since(placed, at) for at in times],
        item.voided_quantity,
        item.recalls,
    ]
    # A time of 0 stays: it was started in the batch that it was placed in.
    while line[-1] is None or (len(line) > _TIMES_END and line[-1] == 0):
        line.pop()
    return line


def apply_state(order: Order, text: str) -> Order:
    """Return an order that has been read as it was placed, in the state that the text tells."""
    version, table, notes, lines = orjson.loads(text)
    placed = order.created_at
    items = tuple(
        [_decode_line(item, placed, *line) for item, line in zip(order.items, lines, strict=True)]
    )
    return order._replace(
        version=version,
        items=items,
        state=state_of(items),
        notes=tuple(
            [OrderNote(line, note, placed + at * _MICROSECOND) for line, note, at in notes]
        ),
        table=order.table if table is None else table,
        placed_table=None if table is None else order.table,
    )


def _decode_line(
    item: OrderItem,
    placed: datetime,
    state: str,
    queued: int | None = None,
    started: int | None = None,
    ready: int | None = None,
    served: int | None = None,
    voided_quantity: int = 0,
    recalls: int = 0,
) -> OrderItem:
    times = [
        None if at is None else placed + at * _MICROSECOND
        for at in (queued, started, ready, served)
    ]
    return item._replace(
        state=ItemState(state),
        queued_at=times[0],
        started_at=times[1],
        ready_at=times[2],
        served_at=times[3],
        voided_quantity=voided_quantity,
        recalls=recalls,
    )


def encode_detail(lines: Sequence[int], by: str | None, reason: str | None) -> str:
    """Return what an entry tells of a change besides the state: [lines, who, why]."""
    return orjson.dumps((lines, by, reason)).decode()


def decode_detail(text: str, token_id: str | None) -> tuple[tuple[int, ...], Actor, str | None]:
    """Return the lines of a change, who made it, and why."""
    lines, by, reason = orjson.loads(text)
    return tuple(lines), Actor(by, token_id), reason
