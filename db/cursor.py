"""Cursors: a place in the order log as opaque text.

A cursor is the log's epoch (8 bytes), a sequence number (8 bytes) and the mark of its entry
(4 bytes), big-endian, in unpadded base64url: always 27 characters. Clients store and return it;
they must not look inside. Those of the first version have no mark, and 22 characters.
"""

import base64
import binascii
import struct
from typing import NamedTuple

from db.errors import BadCursorError, CursorExpiredError
from db.records import LogHead

EPOCH_BYTES = 8
_LAYOUT = struct.Struct(f">{EPOCH_BYTES}sQI")
_UNMARKED = struct.Struct(f">{EPOCH_BYTES}sQ")


class Place(NamedTuple):
    """What a cursor names: the place after an entry of a log. Only the oldest have no mark."""

    epoch: bytes
    seq: int
    mark: int | None = None


def encode_cursor(epoch: bytes, seq: int, created_at_us: int) -> str:
    """Write the place after entry `seq` of the log `epoch`, created then, as text."""
    return _to_text(_LAYOUT.pack(epoch, seq, mark_of(created_at_us)))


def mark_of(created_at_us: int) -> int:
    """Return what a cursor has of its entry's time: other entries of the same number have others.

    They repeat after 71 minutes: two histories are one in four thousand million times alike.
    """
    return created_at_us & 0xFFFFFFFF


def place_of(name: str, text: str, head: LogHead) -> Place:
    """Return the place that a cursor names, if the log with this head is long enough.

    `name` is what messages call the cursor. Raises `BadCursorError` for text that is no cursor,
    and `CursorExpiredError` for a cursor of another epoch or beyond the head: both mean that the
    database was replaced or went back in time, and that the client must start anew.
    """
    place = _decode(text)
    if place is None:
        raise BadCursorError(f"{name} is not a cursor of Bistro92.")
    if place.epoch != head.epoch:
        raise CursorExpiredError(
            f"{name} belongs to another order log: the database was replaced or restored. Start "
            "anew without it."
        )
    if place.seq > head.seq:
        raise CursorExpiredError(
            f"{name} is beyond the newest entry of the order log: the database went back in time. "
            "Start anew without it."
        )
    return place


def _decode(text: str) -> Place | None:
    try:
        packed = base64.urlsafe_b64decode(f"{text}==")
        place = (
            Place(*_UNMARKED.unpack(packed))
            if len(packed) == _UNMARKED.size
            else Place(*_LAYOUT.unpack(packed))
        )
    except (ValueError, binascii.Error, struct.error):
        return None
    # The decoder skips characters outside its alphabet: only the round trip shows them.
    return place if _to_text(packed) == text else None


def _to_text(packed: bytes) -> str:
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()
