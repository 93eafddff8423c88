"""Frames of a WebSocket as nearly all of them are (RFC 6455, 5.2): one text message in each."""

from struct import pack

try:
    from websockets.speedups import apply_mask
except ImportError:  # not compiled for this machine
    from websockets.utils import apply_mask

_WHOLE_TEXT = 0x81
_MASKED = 0x80
_TWO_BYTES = 126


def frame_header(size: int) -> bytes:
    """Return the header of an unmasked, final text frame."""
    if size < _TWO_BYTES:
        return pack("!BB", _WHOLE_TEXT, size)
    if size < 65_536:
        return pack("!BBH", _WHOLE_TEXT, _TWO_BYTES, size)
    return pack("!BBQ", _WHOLE_TEXT, 127, size)


def text_frame(payload: bytes) -> bytes:
    """Return a text frame."""
    return frame_header(len(payload)) + payload


def text_of(data: bytes) -> bytes | None:
    """Return the payload if these bytes are one masked, final text frame below 64 KiB, and no more.

    None says nothing of them: they may be part of one, several, another kind, or wrong.
    """
    if len(data) < 6 or data[0] != _WHOLE_TEXT:
        return None
    size, start = data[1] - _MASKED, 2
    if size == _TWO_BYTES:
        size, start = int.from_bytes(data[2:4], "big"), 4
        if size < _TWO_BYTES:  # not the shortest form
            return None
    elif not 0 <= size < _TWO_BYTES:  # not masked, or longer
        return None
    if len(data) != start + 4 + size:
        return None
    return apply_mask(data[start + 4 :], data[start : start + 4])
