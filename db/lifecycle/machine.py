"""The state machine of orders: what a change makes of an order. Pure, and the only one.

    HELD ─fire─▶ QUEUED ─▶ STARTED ─▶ READY ─▶ SERVED     advance: any jump forward
                 QUEUED ◀─ STARTED ◀─ READY ◀─ SERVED     recall
    HELD ─void─▶ CLEARED;  QUEUED, STARTED, READY ─void─▶ VOIDED ─▶ CLEARED

In this order: a change that is so already is fine, whatever version it expects. One that expects
another version is a conflict. One that names a line to which it can't apply is refused, wholly.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from db.lifecycle.changes import (
    AddNote,
    AdvanceItems,
    Change,
    CloseOrder,
    MoveOrder,
    RecallItems,
    Refusal,
    RefusalCode,
    ServeReady,
    VoidItems,
)
from db.records import EntryKind, ItemState, Order, OrderItem, OrderNote, OrderState, to_datetime

NOTES_MAX = 20

_STAGES = (
    ItemState.HELD,
    ItemState.QUEUED,
    ItemState.STARTED,
    ItemState.READY,
    ItemState.SERVED,
)
_RANK = {state: rank for rank, state in enumerate(_STAGES)}
_TIMES = {
    ItemState.QUEUED: "queued_at",
    ItemState.STARTED: "started_at",
    ItemState.READY: "ready_at",
    ItemState.SERVED: "served_at",
}
_VOID = (ItemState.VOIDED, ItemState.CLEARED)
_FINAL = (ItemState.SERVED, ItemState.CLEARED)


class Changed(NamedTuple):
    """An order after a change, its next version; `lines` are those that the change was about."""

    order: Order
    kind: EntryKind
    lines: tuple[int, ...]
    reason: str | None = None


class _Step(NamedTuple):
    """What a change comes to, if nothing is against it: new lines by number, or other fields."""

    kind: EntryKind
    items: dict[int, OrderItem]
    refusal: Refusal | None = None
    fields: dict[str, Any] | None = None
    lines: tuple[int, ...] = ()
    reason: str | None = None


def state_of(items: Iterable[OrderItem]) -> OrderState:
    """Return the state of an order with these lines."""
    states = {item.state for item in items}
    left = states.difference(_FINAL)
    if not left:
        return OrderState.CLOSED
    if left == {ItemState.HELD}:
        return OrderState.HELD
    if left == {ItemState.VOIDED}:
        return OrderState.VOIDED
    cooking = left.difference((ItemState.HELD, ItemState.VOIDED))
    if cooking == {ItemState.READY}:
        return OrderState.READY
    if cooking == {ItemState.QUEUED} and ItemState.SERVED not in states:
        return OrderState.QUEUED
    return OrderState.STARTED


def decide(order: Order, change: Change, at: datetime) -> Changed | Refusal | None:
    """Return what a change makes of an order now; None if it is so already."""
    step = _STEPS[type(change)](order, change, at)
    refusal = step.refusal
    if refusal is not None and refusal.code is RefusalCode.LINE_NOT_FOUND:
        return refusal
    if refusal is None and not step.items and not step.fields:
        return None
    expected = getattr(change, "expected_version", None)
    if expected is not None and expected != order.version:
        return Refusal(
            RefusalCode.CONFLICT,
            f"The order is at version {order.version}, not {expected}: somebody else changed it.",
            "expectedVersion",
        )
    if refusal is not None:
        return refusal
    items = tuple(step.items.get(item.line, item) for item in order.items)
    changed = order._replace(
        items=items, version=order.version + 1, state=state_of(items), **step.fields or {}
    )
    return Changed(changed, step.kind, step.lines or tuple(sorted(step.items)), step.reason)


def _not_found(order: Order, line: int, field: str) -> Refusal:
    return Refusal(
        RefusalCode.LINE_NOT_FOUND,
        f"{field}: the order has the lines 1–{len(order.items)}, not {line}.",
        field,
    )


_Wanted = OrderItem | Refusal


def _each(
    order: Order,
    lines: Sequence[int] | None,
    kind: EntryKind,
    want: Callable[[OrderItem, str], _Wanted],
) -> _Step:
    """Ask for each named line what it is to be; without names, refused lines are passed over."""
    items: dict[int, OrderItem] = {}
    first: Refusal | None = None
    for index, line in enumerate(lines if lines is not None else range(1, len(order.items) + 1)):
        field = f"lines.{index}"
        if not 1 <= line <= len(order.items):
            return _Step(kind, {}, _not_found(order, line, field))
        item = order.items[line - 1]
        wanted = want(item, field)
        if isinstance(wanted, Refusal):
            first = first or (wanted if lines is not None else None)
        elif wanted is not item:
            items[line] = wanted
    return _Step(kind, items, first)


def _advance(order: Order, change: AdvanceItems, at: datetime) -> _Step:
    return _each(
        order,
        change.lines,
        EntryKind.ITEMS_ADVANCED,
        lambda item, field: _advanced(item, change.to, at, field),
    )


def _advanced(item: OrderItem, to: ItemState, at: datetime, field: str) -> _Wanted:
    if to is ItemState.CLEARED:
        if item.state is ItemState.VOIDED:
            return item._replace(state=to)
        return item if item.state is to else _wrong_state(item, to, field)
    if item.state in _VOID:
        return _refused(RefusalCode.ALREADY_VOIDED, item, field)
    if _RANK[item.state] >= _RANK[to]:
        return item
    times: dict[str, Any] = {_TIMES[to]: at}
    return item._replace(state=to, **times)


def _recall(order: Order, change: RecallItems, at: datetime) -> _Step:
    def want(item: OrderItem, field: str) -> _Wanted:
        if order.before_states:
            return _wrong_state(item, change.to, field)
        if change.only_served and item.state is not ItemState.SERVED and item.state != change.to:
            return _wrong_state(item, change.to, field)
        return _recalled(item, change.to, at, field)

    step = _each(order, change.lines, EntryKind.ITEMS_RECALLED, want)
    return step._replace(reason=change.reason)


def _recalled(item: OrderItem, to: ItemState, at: datetime, field: str) -> _Wanted:
    if item.state is to:
        return item
    if item.state in _VOID:
        return _refused(RefusalCode.ALREADY_VOIDED, item, field)
    if _RANK[item.state] < _RANK[to]:
        return _wrong_state(item, to, field)
    later: dict[str, Any] = {_TIMES[stage]: None for stage in _STAGES[_RANK[to] + 1 :]}
    if getattr(item, _TIMES[to]) is None:  # it was jumped over
        later[_TIMES[to]] = at
    return item._replace(state=to, recalls=item.recalls + 1, **later)


def _void(order: Order, change: VoidItems, _at: datetime) -> _Step:
    quantities = dict(change.lines) if change.lines is not None else None

    def want(item: OrderItem, field: str) -> _Wanted:
        quantity = item.quantity if quantities is None else quantities[item.line]
        return _voided(item, quantity, field, also_started=change.also_started)

    lines = None if quantities is None else tuple(quantities)
    step = _each(order, lines, EntryKind.ITEMS_VOIDED, want)
    if lines is None and not step.items and order.state is not OrderState.VOIDED:
        # Whoever cancels an order must hear that there is nothing that can be cancelled.
        refusals = [w for item in order.items if isinstance(w := want(item, "lines"), Refusal)]
        step = step._replace(refusal=refusals[0] if refusals else None)
    return step._replace(reason=change.reason)


def _voided(item: OrderItem, quantity: int, field: str, *, also_started: bool) -> _Wanted:
    if quantity == item.voided_quantity:
        return item
    if item.state in _VOID:
        return _refused(RefusalCode.ALREADY_VOIDED, item, field)
    if item.state is ItemState.SERVED:
        return _refused(RefusalCode.ALREADY_SERVED, item, field)
    if item.state in (ItemState.STARTED, ItemState.READY) and not also_started:
        return _refused(RefusalCode.ALREADY_STARTED, item, field)
    least = item.voided_quantity + 1
    if not least <= quantity <= item.quantity:
        field = f"{field}.voidedQuantity"
        return Refusal(
            RefusalCode.QUANTITY_OUT_OF_RANGE,
            f"{field} must be within {least}–{item.quantity}, not {quantity}.",
            field,
        )
    state = item.state
    if quantity == item.quantity:
        # What was held no kitchen has seen, so none has to see that it is not wanted.
        state = ItemState.CLEARED if state is ItemState.HELD else ItemState.VOIDED
    return item._replace(voided_quantity=quantity, state=state)


def _move(order: Order, change: MoveOrder, _at: datetime) -> _Step:
    if order.table == change.table:
        return _Step(EntryKind.ORDER_MOVED, {})
    placed = order.placed_table or order.table
    return _Step(EntryKind.ORDER_MOVED, {}, fields={"table": change.table, "placed_table": placed})


def _note(order: Order, change: AddNote, at: datetime) -> _Step:
    kind, line = EntryKind.NOTE_ADDED, change.line
    if line is not None and not 1 <= line <= len(order.items):
        return _Step(kind, {}, _not_found(order, line, "line"))
    if any((note.line, note.text) == (line, change.text) for note in order.notes):
        return _Step(kind, {})
    if len(order.notes) >= NOTES_MAX:
        message = f"The order has {NOTES_MAX} notes. That is the limit."
        return _Step(kind, {}, Refusal(RefusalCode.TOO_MANY, message, "text"))
    notes = (*order.notes, OrderNote(line, change.text, at))
    return _Step(kind, {}, fields={"notes": notes}, lines=() if line is None else (line,))


def _close(order: Order, _change: CloseOrder, at: datetime) -> _Step:
    def want(item: OrderItem, _field: str) -> _Wanted:
        if item.state in _FINAL:
            return item
        if item.state is ItemState.HELD:
            return item._replace(state=ItemState.CLEARED, voided_quantity=item.quantity)
        if item.state is ItemState.VOIDED:
            return item._replace(state=ItemState.CLEARED)
        return item._replace(state=ItemState.SERVED, served_at=at)

    return _each(order, None, EntryKind.ITEMS_ADVANCED, want)


def _serve_ready(order: Order, change: ServeReady, at: datetime) -> _Step:
    before = to_datetime(change.ready_before_us)

    def want(item: OrderItem, _field: str) -> _Wanted:
        is_due = item.state is ItemState.READY and item.ready_at and item.ready_at < before
        return item._replace(state=ItemState.SERVED, served_at=at) if is_due else item

    return _each(order, None, EntryKind.ITEMS_ADVANCED, want)


def _refused(code: RefusalCode, item: OrderItem, field: str) -> Refusal:
    what = f"line {item.line} is {item.state.name}"
    return Refusal(code, f"{field}: {what}.", field)


def _wrong_state(item: OrderItem, to: ItemState, field: str) -> Refusal:
    what = f"line {item.line} is {item.state.name} and can't become {to.name} this way"
    return Refusal(RefusalCode.WRONG_STATE, f"{field}: {what}.", field)


_STEPS: dict[type, Callable[[Order, Any, datetime], _Step]] = {
    AdvanceItems: _advance,
    RecallItems: _recall,
    VoidItems: _void,
    MoveOrder: _move,
    AddNote: _note,
    CloseOrder: _close,
    ServeReady: _serve_ready,
}
