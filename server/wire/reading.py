"""What the head of a request says, as the parser reads it; the same head again is not parsed again.

A client sends the same head with every request, and a browser's has a dozen headers.
"""

from typing import Any, NamedTuple

from execution.codes import Code
from server.wire.accounted import AccountedProtocol
from server.wire.heads import BadHeadError, check_head, to_origin_form

_DECIDING = frozenset(
    {b"content-length", b"transfer-encoding", b"expect", b"x-forwarded-for", b"x-forwarded-proto"}
)
# Of the longest head that is kept: what is kept of strangers' connections is small.
_KNOWN_MAX_BYTES = 2048


class KnownHead(NamedTuple):
    """A head that was parsed, and what the parser made of it."""

    data: bytes
    url: bytes
    method: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    forwarding: tuple[tuple[bytes, bytes], ...]
    length: int


_NONE = KnownHead(b"", b"", b"", (), (), 0)


class ReadingProtocol(AccountedProtocol):
    """One HTTP connection, with what it knows of the request under way."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Between the first byte of a request and its last one.
        self._is_inside = False
        self._has_head = self._is_upgrade = False
        # Begun, and with an answer of uvicorn's.
        self._has_cycle = False
        # What its head says of it; and how much of a body of that length is to come.
        self.method, self.version = b"", ""
        # What a proxy says of its client.
        self.forwarding: tuple[tuple[bytes, bytes], ...] = ()
        self._length, self._codings, self._body_left = 0, b"", 0
        # The newest head that came as a whole; and the one that the parser saw last, if it is kept.
        self._newest_head, self._known = b"", _NONE
        # The parser is not asked about the request under way.
        self._is_known = self._is_repeated = False
        # Since when this connection waits for its client, if it does.
        self.waiting_since = self.loop.time()

    def begin_head(self, head: bytes) -> None:
        """Take note of a whole head, which is about to be read."""
        self._is_known = head == self._known.data
        if not self._is_known:
            # Keeping one that never comes again would cost more than it saves.
            self._is_repeated = head == self._newest_head
            self._newest_head = head if len(head) <= _KNOWN_MAX_BYTES else b""

    def take_known(self, part: bytes) -> None:
        """Take a part of a request as the parser would: it has seen the same head."""
        if self._is_inside:
            self.on_body(part)
        else:
            self._begin_known()
        if not self._body_left:
            self.on_message_complete()

    def _begin_known(self) -> None:
        known = self._known
        self.on_message_begin()
        self.url, self.method, self.version = known.url, known.method, "1.1"
        self.headers.extend(known.headers)
        self.forwarding = known.forwarding
        self._length = self._body_left = known.length
        self._has_head = True
        self.begin_request()

    def on_message_begin(self) -> None:
        """Begin a request, and to wait for the rest of it."""
        super().on_message_begin()
        self.waiting_since = self.loop.time()
        self._is_inside = True
        self._is_upgrade = self._has_cycle = False
        self.forwarding = ()
        self._length, self._codings = 0, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; a trailer is none, and is thrown away (RFC 9110, 6.5.1)."""
        if self._has_head:
            return
        name = name.lower()
        if name in _DECIDING:
            self._take_deciding_header(name, value)
        self.headers.append((name, value))

    def _take_deciding_header(self, name: bytes, value: bytes) -> None:
        # The parser has refused what is ambiguous: both of the first two, or one of them twice.
        if name == b"content-length":
            self._length = int(value)
        elif name == b"transfer-encoding":
            self._codings = value.strip().lower()
        elif name == b"expect":
            self.expect_100_continue = value.lower() == b"100-continue"
        else:
            self.forwarding += ((name, value),)

    def on_headers_complete(self) -> None:
        """Begin to answer a request, or stop at an `Upgrade`: `_upgrade` decides about it."""
        self._has_head = True
        most = self.account.limits.max_headers
        if len(self.headers) > most:
            raise BadHeadError(Code.HEADERS_TOO_LARGE, f"A request may have {most} headers.")
        self.method, self.version = self.parser.get_method(), self.parser.get_http_version()
        check_head(self.method, self.version, self._codings)
        self._body_left = self._length
        self._known = self._to_keep() if self._is_repeated else _NONE
        self._is_repeated = False
        if self.url[:1] != b"/":
            self.url = to_origin_form(self.url, self.headers)
        if self.parser.should_upgrade():
            # The parser takes it for a request without a body, and stops behind its head.
            self._is_upgrade = True
        else:
            self.begin_request()

    def _to_keep(self) -> KnownHead:
        """Return the newest head if it is an ordinary one.

        Behind its request the parser is where it was before, so the next one with the same head may
        pass it by. What the parser tells when it is asked (of the method, and that the connection
        goes on) is of the last head that it has seen: the same.
        """
        is_ordinary = (
            self.version == "1.1"
            and self.url[:1] == b"/"
            and not self._codings
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and self.parser.should_keep_alive()
        )
        if not is_ordinary:
            return _NONE
        headers, forwarding = tuple(self.headers), self.forwarding
        return KnownHead(
            self._newest_head, self.url, self.method, headers, forwarding, self._length
        )

    def has_body(self) -> bool:
        """Tell whether the head of the request announces a body."""
        return bool(self._length or self._codings)

    def begin_request(self) -> None:
        """Begin to answer a request whose head is here."""
        super().on_headers_complete()

    def complete_request(self) -> None:
        """Go on with a request whose last byte is here."""
        super().on_message_complete()
