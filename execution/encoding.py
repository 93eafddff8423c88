r"""JSON as the edges read and write it.

orjson does the work. It refuses lone surrogates, which a client may send in an escape (`\ud800`)
and which an error message may quote back: for these the standard library takes over, so that the
answer names the field instead of blaming the whole document.
"""

import json
from json import JSONDecodeError
from typing import NoReturn

import orjson


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def decode(data: str | bytes) -> object:
    """Parse a document. Raises `json.JSONDecodeError` whatever is wrong with it."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        text = data if isinstance(data, str) else data.decode()
        return json.loads(text, parse_constant=_refuse_constant)
    except JSONDecodeError:
        raise
    except (ValueError, RecursionError) as error:  # UTF-8, numbers of 10,000 digits, depth
        raise JSONDecodeError(str(error), "", 0) from None


def encode(data: object) -> bytes:
    """Write a document as UTF-8."""
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:
        return json.dumps(data, separators=(",", ":")).encode()


def trimmed(document: bytes) -> bytes:
    """Return a document that takes no more memory than it has bytes, to be kept.

    What orjson returns has room behind it: four kilobytes for a few hundred bytes.
    """
    return bytes(bytearray(document))
