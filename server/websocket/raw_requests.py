"""Requests as they come on a socket: the payload of `subscribe`."""

from contextlib import suppress

import orjson


class SubscribedRequest:
    """A request of a socket's client; its key is the body that it would have by POST."""

    __slots__ = ("_payload", "key")
    may_change = True

    def __init__(self, payload: object) -> None:
        self._payload = payload
        self.key: bytes | None = None
        # Not of lone surrogates, and numbers of any length: no answer is kept for those.
        with suppress(TypeError):
            self.key = orjson.dumps(payload)

    def parameters(self) -> object:
        """Return the payload."""
        return self._payload
