"""Changes of orders: validate, ask who may, hand on to the writer, answer when it is on disk."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

import strawberry

from db.lifecycle.changes import (
    AddNote,
    AdvanceItems,
    Change,
    CloseOrder,
    MoveOrder,
    RecallItems,
    Refusal,
    VoidItems,
)
from db.lifecycle.machine import NOTES_MAX
from db.records import Actor, ItemState, Order
from db.stats import rejections
from db.tokens import Role
from resolvers.context import Caller, Context, ForbiddenError
from resolvers.limits import (
    NOTE_MAX_CHARACTERS,
    ORDER_MAX_ITEMS,
    REASON_MAX_CHARACTERS,
    TABLE_MAX_CHARACTERS,
)
from resolvers.text import trimmed
from resolvers.validation import BadUserInputError, order_id_of, text_errors

logger = logging.getLogger("bistro92.changes")

_CLOSED_AT_ONCE = 100


class ChangeErrorCode(Enum):
    """Why an order was not changed."""

    ORDER_NOT_FOUND = strawberry.enum_value("ORDER_NOT_FOUND", description="No such order.")
    LINE_NOT_FOUND = strawberry.enum_value(
        "LINE_NOT_FOUND", description="The order has no such line."
    )
    CONFLICT = strawberry.enum_value(
        "CONFLICT",
        description="Somebody else changed the order since `expectedVersion`: look at `order`.",
    )
    WRONG_STATE = strawberry.enum_value(
        "WRONG_STATE", description="A line can't become that from the state in which it is."
    )
    ALREADY_STARTED = strawberry.enum_value(
        "ALREADY_STARTED", description="The kitchen has begun: only a manager may void it."
    )
    ALREADY_SERVED = strawberry.enum_value("ALREADY_SERVED", description="The line was served.")
    ALREADY_VOIDED = strawberry.enum_value("ALREADY_VOIDED", description="The line was voided.")
    BLANK = strawberry.enum_value(
        "BLANK", description="The text is empty after trimming, or shows nothing."
    )
    TOO_LONG = strawberry.enum_value(
        "TOO_LONG", description="The text has more characters than the limit."
    )
    TOO_MANY = strawberry.enum_value(
        "TOO_MANY",
        description=f"More than {NOTES_MAX} notes or {ORDER_MAX_ITEMS} lines, or a line twice.",
    )
    INVALID_CHARACTER = strawberry.enum_value(
        "INVALID_CHARACTER",
        description="The text contains a control character or a lone surrogate.",
    )
    QUANTITY_OUT_OF_RANGE = strawberry.enum_value(
        "QUANTITY_OUT_OF_RANGE",
        description="The voided quantity is not between what is voided already and the quantity.",
    )


@dataclass(frozen=True, slots=True)
class ChangeError:
    """Why a change was not made; `field` is its path within the input."""

    code: ChangeErrorCode
    message: str
    field: str | None


@dataclass(frozen=True, slots=True)
class ChangeOrderResult:
    """The order as it is now, whether this changed it, and everything that was against it."""

    order: Order | None
    changed: bool = False
    errors: Sequence[ChangeError] = ()


class VoidedLine(Protocol):
    """A line of a void as a client gives it."""

    @property
    def line(self) -> int:
        """Which."""

    @property
    def voided_quantity(self) -> int:
        """How many of it, altogether."""


async def advance_items(
    context: Context,
    order_id: str,
    lines: Sequence[int] | None,
    to: ItemState,
    expected_version: int | None,
) -> ChangeOrderResult:
    """Move lines forward. Raises `ForbiddenError`, and what the writer raises."""
    caller = _caller(context)
    if to in (ItemState.HELD, ItemState.VOIDED):
        raise BadUserInputError("to must be QUEUED, STARTED, READY, SERVED or CLEARED.")
    _check_stage(caller, to)
    errors = _line_errors(lines)
    change = AdvanceItems(_id(order_id), to, _lines(lines), expected_version, caller.actor)
    return await _change(context, change, errors)


def _check_stage(caller: Caller, to: ItemState) -> None:
    if caller.role is Role.FLOOR and to not in (ItemState.QUEUED, ItemState.SERVED):
        raise ForbiddenError("The role floor may fire (QUEUED) and serve only.")
    if caller.role is Role.KITCHEN and to is ItemState.QUEUED:
        raise ForbiddenError("The role kitchen may not fire.")


async def recall_items(
    context: Context,
    order_id: str,
    lines: Sequence[int] | None,
    to: ItemState,
    expected_version: int,
    reason: str | None,
) -> ChangeOrderResult:
    """Take lines back. Raises `ForbiddenError`, and what the writer raises."""
    caller = _caller(context)
    if to not in (ItemState.QUEUED, ItemState.STARTED, ItemState.READY):
        raise BadUserInputError("to must be QUEUED, STARTED or READY.")
    is_floor = caller.role is Role.FLOOR
    if is_floor and to is not ItemState.READY:
        raise ForbiddenError("The role floor may recall to READY only.")
    reason, errors = _text("reason", reason, REASON_MAX_CHARACTERS)
    errors += _line_errors(lines)
    change = RecallItems(
        *(_id(order_id), to, expected_version, _lines(lines), reason, caller.actor),
        only_served=is_floor,
    )
    return await _change(context, change, errors)


async def void_items(
    context: Context,
    order_id: str,
    lines: Sequence[VoidedLine] | None,
    reason: str,
    expected_version: int,
) -> ChangeOrderResult:
    """Cancel lines, wholly or in part. Raises what the writer raises."""
    caller = _caller(context)
    kept, errors = _text("reason", reason, REASON_MAX_CHARACTERS)
    errors += _line_errors(None if lines is None else [each.line for each in lines])
    voided = None if lines is None else tuple([(e.line, e.voided_quantity) for e in lines])
    change = VoidItems(
        *(_id(order_id), kept or "", expected_version, voided),
        also_started=caller.role is Role.MANAGER,
        by=caller.actor,
    )
    return await _change(context, change, errors)


async def move_order(
    context: Context, order_id: str, table: str, expected_version: int
) -> ChangeOrderResult:
    """Take an order to another table. Raises what the writer raises."""
    kept, errors = _text("table", table, TABLE_MAX_CHARACTERS)
    by = _caller(context).actor
    return await _change(
        context, MoveOrder(_id(order_id), kept or "", expected_version, by), errors
    )


async def add_note(
    context: Context, order_id: str, line: int | None, text: str
) -> ChangeOrderResult:
    """Say something about an order. Raises what the writer raises."""
    kept, errors = _text("text", text, NOTE_MAX_CHARACTERS)
    by = _caller(context).actor
    return await _change(context, AddNote(_id(order_id), kept or "", line, by), errors)


async def close_orders(context: Context, placed_before: datetime) -> int:
    """Close what is open and was placed before a time; return how many orders were closed.

    Safe to repeat. Raises what the writer and the reader raise: what was closed by then stays so.
    """
    if placed_before.tzinfo is None:
        raise BadUserInputError("placedBefore must say its time zone, for example …T04:00:00Z.")
    service, by = context.service, _caller(context).actor
    before_us = int(placed_before.timestamp() * 1_000_000)
    closed, newest = 0, 0
    while True:
        ids = await service.reader.open_before(before_us, newer_than=newest, count=_CLOSED_AT_ONCE)
        if not ids:
            return closed
        # Together: they are one batch of the writer, or few.
        results = await asyncio.gather(
            *[_change(context, CloseOrder(order_id, by), []) for order_id, _ in ids]
        )
        closed += sum(result.changed for result in results)
        newest = ids[-1][1]


def _caller(context: Context) -> Caller:
    if context.caller is None:  # the field's roles have let somebody in
        raise ForbiddenError("Nobody may do this.")
    return context.caller


def _id(order_id: str) -> int:
    return order_id_of(order_id) or 0


def _lines(lines: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if lines is None else tuple(dict.fromkeys(lines))


def _line_errors(lines: Sequence[int] | None) -> list[ChangeError]:
    if lines is None:
        return []
    if len(lines) > ORDER_MAX_ITEMS:
        message = f"lines must have at most {ORDER_MAX_ITEMS} lines, not {len(lines)}."
        return [ChangeError(ChangeErrorCode.TOO_MANY, message, "lines")]
    twice = [index for index, line in enumerate(lines) if line in lines[:index]]
    return [
        ChangeError(
            ChangeErrorCode.TOO_MANY, f"lines.{index}: line {lines[index]} again.", f"lines.{index}"
        )
        for index in twice
    ]


def _text(
    field: str, text: str | None, max_characters: int
) -> tuple[str | None, list[ChangeError]]:
    if text is None:
        return None, []
    text = trimmed(text)
    return text, [
        ChangeError(ChangeErrorCode[error.code.name], error.message, error.field)
        for error in text_errors(field, text, max_characters)
    ]


async def _change(
    context: Context, change: Change, errors: Sequence[ChangeError]
) -> ChangeOrderResult:
    service = context.service
    if errors:
        rejections.update({error.code.name for error in errors})
        head = service.log.head
        order = await service.reader.order(change.order_id, epoch=head.epoch, up_to=head.seq)
        return ChangeOrderResult(order, errors=errors)
    outcome = await service.writer.change_order(change)
    if outcome.refusal is not None:
        rejections[outcome.refusal.code.name] += 1
        return ChangeOrderResult(outcome.order, errors=[_error_of(outcome.refusal)])
    if outcome.changed and outcome.order is not None:
        _log(change, outcome.order, change.by, context.request_id)
    return ChangeOrderResult(outcome.order, outcome.changed)


def _error_of(refusal: Refusal) -> ChangeError:
    return ChangeError(ChangeErrorCode[refusal.code.name], refusal.message, refusal.field)


def _log(change: Change, order: Order, by: Actor, request_id: str) -> None:
    """Say who changed what, without what was ordered or said."""
    logger.info(
        "%s of order %d, now version %d and %s, by %s",
        *(type(change).__name__, order.id, order.version, order.state.name, by.name),
        extra={"request_id": request_id},
    )
