"""GraphQL over HTTP, to the letter: https://graphql.github.io/graphql-over-http/draft/.

Serves what the fast lane passes on: GET, other media types, what isn't compiled, and everything
that is wrong. Whatever is answered is JSON of GraphQL's shape, and every error has a code.
"""

from collections.abc import Awaitable, Callable, Mapping
from json import JSONDecodeError
from typing import Any

from graphql import OperationType
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from strawberry.http.ides import get_graphql_ide_html

from db.stats import rejections
from execution import encoding
from execution.errors import OPERATION_RESOLUTION_FAILURE
from execution.operations import InvalidOperationError, Operations
from execution.request import GraphQLRequest, RefusedError
from resolvers.context import Context
from server.access.open_routes import is_page
from server.http.negotiation import GRAPHQL_RESPONSE, JSON, answer_type, is_json

MakeContext = Callable[[Request, Response], Awaitable[Context]]

_METHODS = ("GET", "HEAD", "POST")
_TRY_LATER = frozenset({"OVERLOADED", "UNAVAILABLE"})
_RETRY_AFTER_SECONDS = 1


class GraphQLOverHTTP:
    """Answers HTTP requests for operations, and browsers with GraphiQL if it is on."""

    def __init__(self, operations: Operations, *, graphiql: bool) -> None:
        self._operations = operations
        self._page = get_graphql_ide_html(graphql_ide="graphiql") if graphiql else None

    async def answer(self, request: Request, make_context: MakeContext) -> Response:
        """Answer a request."""
        accept = request.headers.getlist("accept")
        try:
            if request.method not in _METHODS:
                raise _not_allowed(f"{request.method} is not supported.", ", ".join(_METHODS))
            if self._page is not None and is_page(request.scope):
                return HTMLResponse(self._page)
            media_type = answer_type(accept)
            if media_type is None:
                raise RefusedError(
                    406, "NOT_ACCEPTABLE", f"Answers are {JSON} or {GRAPHQL_RESPONSE}."
                )
            wanted = GraphQLRequest.of(await _parameters(request))
            context = await make_context(request, Response())
            response = await self._execute(wanted, context, by_get=request.method != "POST")
        except RefusedError as refused:
            rejections[refused.code] += 1
            media_type = answer_type(accept) or JSON
            status = refused.status_as(json=media_type == JSON)
            return _respond({"errors": [refused.error]}, media_type, status, refused.headers)
        return _respond(response, media_type, *_status(response, media_type))

    async def _execute(
        self, wanted: GraphQLRequest, context: Context, *, by_get: bool
    ) -> dict[str, Any]:
        try:
            operation = self._operations.select(wanted)
        except InvalidOperationError as invalid:
            return invalid.response(context)
        _check_method(operation.operation, by_get=by_get)
        return await self._operations.execute(wanted, context)


async def _parameters(request: Request) -> object:
    if request.method != "POST":
        return _query_parameters(request.query_params)
    if not is_json(request.headers.get("content-type", "")):
        message = f"The body of a POST must be {JSON}, in UTF-8, and its Content-Type must say so."
        raise RefusedError(415, "UNSUPPORTED_MEDIA_TYPE", message, {"accept-post": JSON})
    _check_encoding(request.headers.getlist("content-encoding"))
    try:
        body = await request.body()
    except ClientDisconnect:
        message = "The request was not sent to its end."  # nobody reads this
        raise RefusedError(400, "BAD_REQUEST", message) from None
    return _decode(body, "The body of the request")


def _check_encoding(codings: list[str]) -> None:
    """Raise `RefusedError` for a body that is compressed: a small one may be a huge one."""
    for coding in ",".join(codings).split(","):
        if coding.strip().lower() not in ("", "identity"):
            message = "The body of a POST must be sent as it is: its Content-Encoding is unknown."
            headers = {"accept-encoding": "identity"}
            raise RefusedError(415, "UNSUPPORTED_MEDIA_TYPE", message, headers)


def _query_parameters(given: QueryParams) -> dict[str, object]:
    for name in ("query", "operationName", "variables", "extensions"):
        if len(given.getlist(name)) > 1:
            raise RefusedError(400, "BAD_REQUEST", f"The parameter {name} is there twice.")
    parameters: dict[str, object] = {name: given.get(name) for name in ("query", "operationName")}
    for part in ("variables", "extensions"):
        if text := given.get(part):
            parameters[part] = _decode(text, f"The parameter {part}")
    return parameters


def _decode(data: str | bytes, what: str) -> object:
    try:
        return encoding.decode(data)
    except JSONDecodeError:
        raise RefusedError(400, "BAD_REQUEST", f"{what} is not JSON.") from None


def _check_method(kind: OperationType, *, by_get: bool) -> None:
    if kind is OperationType.SUBSCRIPTION:
        raise RefusedError(
            400,
            OPERATION_RESOLUTION_FAILURE,
            "By HTTP, subscriptions are not allowed: use a WebSocket (graphql-transport-ws).",
        )
    if kind is OperationType.MUTATION and by_get:
        raise _not_allowed("Mutations are sent by POST only.", "POST")


def _status(response: dict[str, Any], media_type: str) -> tuple[int, Mapping[str, str] | None]:
    """Return the status and more headers.

    `application/json` answers every well-formed request with 200: clients of that type don't look
    at the body of anything else.
    """
    if media_type == JSON:
        return 200, None
    if "data" not in response:
        return 400, None
    codes = {error.get("extensions", {}).get("code") for error in response.get("errors", ())}
    if response["data"] is None and codes & _TRY_LATER:
        return 503, {"retry-after": str(_RETRY_AFTER_SECONDS)}
    return 200, None


def _respond(
    body: object, media_type: str, status: int, headers: Mapping[str, str] | None
) -> Response:
    response = Response(encoding.encode(body), status, headers)
    response.headers["content-type"] = f"{media_type}; charset=utf-8"
    response.headers["vary"] = "accept"
    return response


def _not_allowed(message: str, allowed: str) -> RefusedError:
    return RefusedError(405, "METHOD_NOT_ALLOWED", message, {"allow": allowed})
