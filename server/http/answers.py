"""Responses as answers of HTTP: a status, headers, and the bytes.

The statuses are those of GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/).
"""

from dataclasses import dataclass

from starlette.types import Send

from execution.codes import Code, Stage
from execution.response import Response
from server.asgi.responses import Header
from server.media_types import GRAPHQL_RESPONSE, JSON

_RETRY_AFTER_SECONDS = 1
_CONTENT_TYPES = {
    media_type: f"{media_type}; charset=utf-8".encode() for media_type in (JSON, GRAPHQL_RESPONSE)
}
_LINES = {
    media_type: b"content-type: %b\r\nvary: accept\r\ncontent-length: %%d\r\nx-request-id: %%b\r\n"
    % content_type
    for media_type, content_type in _CONTENT_TYPES.items()
}
_MORE_BY_CODE: dict[Code, Header] = {
    # The only method that is refused for what an operation is.
    Code.METHOD_NOT_ALLOWED: (b"allow", b"POST"),
    # Asked for by GET it has a URL that a cache may keep; the refusal must not be kept.
    Code.PERSISTED_QUERY_NOT_SUPPORTED: (b"cache-control", b"no-store"),
}


@dataclass(slots=True)  # not frozen: that doubles what it costs to make one
class Answer:
    """A whole answer: JSON, with the request's id in its headers."""

    status: int
    media_type: str
    request_id: str
    body: bytes
    more: tuple[Header, ...] = ()

    @property
    def headers(self) -> list[Header]:
        """The headers, as ASGI has them."""
        return [
            (b"content-type", _CONTENT_TYPES[self.media_type]),
            (b"vary", b"accept"),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-request-id", self.request_id.encode()),
            *self.more,
        ]

    def header_lines(self) -> bytes:
        """Return the headers as HTTP/1.1 has them."""
        lines = _LINES[self.media_type] % (len(self.body), self.request_id.encode())
        if self.more:
            lines += b"".join([b"%b: %b\r\n" % header for header in self.more])
        return lines

    async def send(self, send: Send) -> None:
        """Answer a request."""
        start = {"type": "http.response.start", "status": self.status, "headers": self.headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body})


def to_answer(response: Response, media_type: str, request_id: str, *more: Header) -> Answer:
    """Give a response the form of an answer."""
    if response.code is None:
        return Answer(200, media_type, request_id, response.body)
    status = _status_of(response, response.code, media_type)
    if not more and (header := _MORE_BY_CODE.get(response.code)):
        more = (header,)
    if status == 503:
        more = (*more, (b"retry-after", b"%d" % _RETRY_AFTER_SECONDS))
    return Answer(status, media_type, request_id, response.body, more)


def _status_of(response: Response, code: Code, media_type: str) -> int:
    if response.stage is Stage.REQUEST:
        return code.status
    # `application/json` answers every well-formed request with 200: clients of that type don't
    # look at the body of anything else.
    if media_type == JSON:
        return 200
    if response.stage is Stage.OPERATION:
        return 400
    return 503 if code.may_retry else 200
