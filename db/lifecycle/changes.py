"""The changes of an order that can be asked for, and why one is refused: plain values.

Each names a target, not a step, so that one that is repeated changes nothing.
"""

from enum import StrEnum
from typing import NamedTuple

from db.records import NOBODY, Actor, ItemState, Order

# Of an order: `lines` None means every line that it can apply to.
Lines = tuple[int, ...] | None


class AdvanceItems(NamedTuple):
    """Move lines forward, any number of stages at once. Commutes with others of its kind."""

    order_id: int
    to: ItemState
    lines: Lines = None
    expected_version: int | None = None
    by: Actor = NOBODY


class RecallItems(NamedTuple):
    """Move lines back to QUEUED, STARTED or READY."""

    order_id: int
    to: ItemState
    expected_version: int
    lines: Lines = None
    reason: str | None = None
    by: Actor = NOBODY
    only_served: bool = False


class VoidItems(NamedTuple):
    """Cancel so many of each line, altogether; `lines` are (line, voided quantity).

    None means all of every line that can be voided. Without `also_started` only what nobody has
    started can be.
    """

    order_id: int
    reason: str
    expected_version: int
    lines: tuple[tuple[int, int], ...] | None = None
    also_started: bool = False
    by: Actor = NOBODY


class MoveOrder(NamedTuple):
    """Take an order to another table."""

    order_id: int
    table: str
    expected_version: int
    by: Actor = NOBODY


class AddNote(NamedTuple):
    """Say something about an order, or about one line of it."""

    order_id: int
    text: str
    line: int | None = None
    by: Actor = NOBODY


class CloseOrder(NamedTuple):
    """Close what was left: what was held is cleared, everything else counts as served."""

    order_id: int
    by: Actor = NOBODY


class ServeReady(NamedTuple):
    """Serve the lines that have been ready since before a time, in microseconds."""

    order_id: int
    ready_before_us: int
    by: Actor = NOBODY


Change = AdvanceItems | RecallItems | VoidItems | MoveOrder | AddNote | CloseOrder | ServeReady


class RefusalCode(StrEnum):
    """Why a change was not made."""

    ORDER_NOT_FOUND = "ORDER_NOT_FOUND"
    LINE_NOT_FOUND = "LINE_NOT_FOUND"
    CONFLICT = "CONFLICT"
    WRONG_STATE = "WRONG_STATE"
    ALREADY_STARTED = "ALREADY_STARTED"
    ALREADY_SERVED = "ALREADY_SERVED"
    ALREADY_VOIDED = "ALREADY_VOIDED"
    TOO_MANY = "TOO_MANY"
    QUANTITY_OUT_OF_RANGE = "QUANTITY_OUT_OF_RANGE"


class Refusal(NamedTuple):
    """Why a change was not made; `field` is its path within the input."""

    code: RefusalCode
    message: str
    field: str | None = None


class Outcome(NamedTuple):
    """What a change came to: the order as it is now, and whether this changed it."""

    order: Order | None
    changed: bool = False
    refusal: Refusal | None = None
