"""The last answer on a connection, written as it is: to what never becomes a request."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from execution.codes import Code
from server.asgi.request_ids import new_request_id
from server.asgi.responses import Header, error_body


def final_answer(status: int, body: bytes, request_id: str, *headers: Header) -> bytes:
    """Return the bytes of a JSON answer that closes its connection."""
    given: list[Header] = [
        (b"content-type", b"application/json; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        (b"connection", b"close"),
        *headers,
    ]
    lines = [b"%b: %b\r\n" % header for header in given]
    return STATUS_LINE[status] + b"".join(lines) + b"\r\n" + body


def final_error(code: Code, message: str, *headers: Header, status: int | None = None) -> bytes:
    """Return the bytes of an answer that is a GraphQL error, and count it."""
    body = error_body(code, message)
    return final_answer(status or code.status, body, new_request_id(), *headers)
