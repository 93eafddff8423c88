"""Cursors: a place in the order log as opaque text.

A cursor is the log's epoch (8 bytes) and a sequence number (8 bytes, big-endian) in unpadded
base64url: always 22 characters. Clients store and return it; they must not look inside.
"""

import base64
import binascii
import struct

from db.errors import BadCursorError, CursorExpiredError
from db.records import LogHead

EPOCH_BYTES = 8
_LAYOUT = struct.Struct(f">{EPOCH_BYTES}sQ")


def encode_cursor(epoch: bytes, seq: int) -> str:
    """Write the place after entry `seq` of the log `epoch` as text."""
    return base64.urlsafe_b64encode(_LAYOUT.pack(epoch, seq))[:-2].decode()


def _decode(text: str) -> tuple[bytes, int] | None:
    try:
        epoch, seq = _LAYOUT.unpack(base64.urlsafe_b64decode(f"{text}=="))
    except (ValueError, binascii.Error, struct.error):
        return None
    # The decoder skips characters outside its alphabet: only the round trip shows them.
    return (epoch, seq) if encode_cursor(epoch, seq) == text else None


def place_of(name: str, text: str, head: LogHead) -> int:
    """Return the sequence number that a cursor names, if the log with this head has it.

    `name` is what messages call the cursor. Raises `BadCursorError` for text that is no cursor,
    and `CursorExpiredError` for a cursor of another epoch or beyond the head: both mean that the
    database was replaced or went back in time, and that the client must start anew.
    """
    decoded = _decode(text)
    if decoded is None:
        raise BadCursorError(f"{name} is not a cursor of Bistro92.")
    epoch, seq = decoded
    if epoch != head.epoch:
        raise CursorExpiredError(
            f"{name} belongs to another order log: the database was replaced or restored. Start "
            "anew without it."
        )
    if seq > head.seq:
        raise CursorExpiredError(
            f"{name} is beyond the newest entry of the order log: the database went back in time. "
            "Start anew without it."
        )
    return seq
