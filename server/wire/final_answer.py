"""The last answer on a connection, written as it is: to what never becomes a request."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from server.asgi.requests import Header, error_body, new_request_id


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


def final_error(status: int, code: str, message: str, *headers: Header) -> bytes:
    """Return the bytes of an answer that is a GraphQL error, and count it."""
    return final_answer(status, error_body(code, message), new_request_id(), *headers)
