"""What the head of an HTTP request says that its parser doesn't look at."""

import httptools

from execution.codes import Code

Headers = list[tuple[bytes, bytes]]


class BadHeadError(Exception):
    """A head that can't be served: the status, the code and the sentence for its client."""

    def __init__(self, code: Code, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status or code.status


def check_head(method: bytes, version: str, codings: bytes) -> None:
    """Raise `BadHeadError` for what the parser lets pass, and nobody here can read."""
    if version != "1.1" and version != "1.0":
        raise BadHeadError(Code.BAD_REQUEST, "Requests are HTTP/1.1.", 505)
    if method == b"CONNECT":  # everything behind it would belong to a tunnel
        raise BadHeadError(Code.METHOD_NOT_ALLOWED, "CONNECT is not supported.")
    if codings and codings != b"chunked":
        raise BadHeadError(Code.BAD_REQUEST, "The only Transfer-Encoding is chunked.", 501)
    if codings and version == "1.0":
        raise BadHeadError(Code.BAD_REQUEST, "HTTP/1.0 knows no Transfer-Encoding.")


def is_handshake(method: bytes, version: str, headers: Headers) -> bool:
    """Tell whether a request with an `Upgrade` begins a WebSocket (RFC 6455, 4.1)."""
    if method != b"GET" or version != "1.1":
        return False
    given = b",".join([value for name, value in headers if name == b"upgrade"])
    return given.strip().lower() == b"websocket"


def as_ordinary(method: bytes, url: bytes, version: str, headers: Headers) -> bytes:
    """Write a head without its `Upgrade`, which a server is free to ignore (RFC 9110, 7.8)."""
    lines = [b"%b %b HTTP/%b" % (method, url, version.encode())]
    lines += [b"%b: %b" % header for header in headers if header[0] != b"upgrade"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def to_origin_form(url: bytes, headers: Headers) -> bytes:
    """Return the path and query of an absolute target, whose host counts as the `Host`.

    (RFC 9112, 3.2.2.) Any other target is returned as it is. Raises `BadHeadError`.
    """
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise BadHeadError(Code.BAD_REQUEST, "The target is not a path.") from None
    if not parsed.host or parsed.userinfo:
        raise BadHeadError(Code.BAD_REQUEST, "The target is not a path.")
    host = b"[%b]" % parsed.host if b":" in parsed.host else parsed.host
    if parsed.port:
        host += b":%d" % parsed.port
    headers[:] = [(name, host if name == b"host" else value) for name, value in headers]
    path = parsed.path or b"/"
    return path + (b"?" + parsed.query if parsed.query else b"")
