"""GraphQL over HTTP, to the letter: https://graphql.github.io/graphql-over-http/draft/.

Serves what the fast path leaves to it: other methods and media types, pages, bodies that come
slowly, and everything that is wrong with a request of HTTP.
"""

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse
from starlette.types import Receive, Scope, Send
from strawberry.http.ides import get_graphql_ide_html

from execution.codes import Code
from execution.request import RawRequest, RefusedError
from execution.response import Response, refused
from server.access.open_routes import is_page
from server.asgi.responses import Header
from server.asgi.state import state_of
from server.http.answers import to_answer
from server.http.raw_requests import PostedRequest, QueriedRequest
from server.media_types import GRAPHQL_RESPONSE, JSON, answer_type, is_json

_METHODS = ("GET", "HEAD", "POST")


class _NotServedError(RefusedError):
    """A request of HTTP that can't be served, and the header that says what can."""

    def __init__(self, code: Code, message: str, *headers: Header) -> None:
        super().__init__(code, message)
        self.headers = headers


class GraphQLOverHTTP:
    """Answers HTTP requests for operations, and browsers with GraphiQL if it is on."""

    def __init__(self, *, graphiql: bool) -> None:
        self._page = get_graphql_ide_html(graphql_ide="graphiql") if graphiql else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if self._page is not None and is_page(scope):
            await HTMLResponse(self._page)(scope, receive, send)
            return
        request, state = Request(scope, receive), state_of(scope)
        media_type = answer_type(request.headers.getlist("accept"))
        headers: tuple[Header, ...] = ()
        try:
            raw = await _raw_request(request, media_type)
        except _NotServedError as error:
            response, headers = refused(error), error.headers
        else:
            running = state.run.operations.execute(raw, state.caller, state.request_id)
            response = running if isinstance(running, Response) else await running
        answer = to_answer(response, media_type or JSON, state.request_id, *headers)
        await answer.send(send)


async def _raw_request(request: Request, media_type: str | None) -> RawRequest:
    """Return what was sent; raises `_NotServedError`."""
    if request.method not in _METHODS:
        allowed = (b"allow", ", ".join(_METHODS).encode())
        message = f"{request.method} is not supported."
        raise _NotServedError(Code.METHOD_NOT_ALLOWED, message, allowed)
    if media_type is None:
        message = f"Answers are {JSON} or {GRAPHQL_RESPONSE}."
        raise _NotServedError(Code.NOT_ACCEPTABLE, message)
    if request.method != "POST":
        return QueriedRequest(request.scope["query_string"])
    _check_body(request)
    try:
        return PostedRequest(await request.body())
    except ClientDisconnect:
        message = "The request was not sent to its end."  # nobody reads this
        raise _NotServedError(Code.BAD_REQUEST, message) from None


def _check_body(request: Request) -> None:
    """Raise `_NotServedError` for a body that isn't JSON, or is compressed and may be huge."""
    if not is_json(request.headers.get("content-type", "")):
        message = f"The body of a POST must be {JSON}, in UTF-8, and its Content-Type must say so."
        raise _NotServedError(Code.UNSUPPORTED_MEDIA_TYPE, message, (b"accept-post", JSON.encode()))
    codings = ",".join(request.headers.getlist("content-encoding")).split(",")
    if any(coding.strip().lower() not in ("", "identity") for coding in codings):
        message = "The body of a POST must be sent as it is: its Content-Encoding is unknown."
        raise _NotServedError(
            Code.UNSUPPORTED_MEDIA_TYPE, message, (b"accept-encoding", b"identity")
        )
