"""GraphQL over HTTP, to the letter: https://graphql.github.io/graphql-over-http/draft/.

Serves what the fast lane passes on: GET, other media types, what isn't compiled, and everything
that is wrong. Whatever is answered is JSON of GraphQL's shape, and every error has a code.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any

from graphql import GraphQLError, OperationDefinitionNode, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from strawberry.http.ides import get_graphql_ide_html

from db.stats import rejections
from execution import json
from execution.negotiation import GRAPHQL_RESPONSE, JSON, answer_type, asks_for_page, is_json
from execution.operations import Operations, to_response
from execution.persisted import NOT_SUPPORTED, NOT_SUPPORTED_MESSAGE, is_hash_only
from resolvers.context import Context
from schema.build import Schema
from schema.documents import Document
from schema.errors import present_error

MakeContext = Callable[[Request, Response], Awaitable[Context]]

_METHODS = ("GET", "HEAD", "POST")
_TRY_LATER = frozenset({"OVERLOADED", "UNAVAILABLE"})
_RETRY_AFTER_SECONDS = 1


class RefusedError(Exception):
    """A request that is answered with a status of 4xx, whatever type of answer it accepts."""

    json_status: int | None = None

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers
        self.error = {"message": message, "extensions": {"code": code}}

    def status_as(self, media_type: str) -> int:
        """Return the status of an answer of this type."""
        return self.json_status if self.json_status and media_type == JSON else self.status


class HashOnlyError(RefusedError):
    """A query that is sent by its hash alone: its client sends the query next."""

    # Clients of `application/json` don't look at the body of anything else.
    json_status = 200

    def __init__(self) -> None:
        # Asked for by GET it has a URL that a cache may keep; the refusal must not be kept.
        headers = {"cache-control": "no-store"}
        super().__init__(400, NOT_SUPPORTED, NOT_SUPPORTED_MESSAGE, headers)


@dataclass(frozen=True, slots=True)
class GraphQLRequest:
    """What a client asks for; well-formed, but maybe not a valid operation."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, parameters: object) -> "GraphQLRequest":
        """Take a request's parameters; raises `RefusedError` for those of another shape."""
        if isinstance(parameters, list):
            raise RefusedError(
                400, "BATCHING_NOT_SUPPORTED", "Send operations one by one: batches are off."
            )
        if not isinstance(parameters, dict):
            raise _bad("A GraphQL request must be a JSON object.")
        if is_hash_only(parameters):
            raise HashOnlyError
        if not isinstance(query := parameters.get("query"), str):
            raise _bad("The query of a GraphQL request must be a string.")
        name = parameters.get("operationName")
        if not (name is None or (isinstance(name, str) and name.isascii())):
            raise _bad("The operationName must be a GraphQL name, or null.")
        for part in ("variables", "extensions"):
            if not isinstance(parameters.get(part), dict | None):
                raise _bad(f"The {part} of a GraphQL request must be an object, or null.")
        return cls(query, name, parameters.get("variables") or {})


class GraphQLOverHTTP:
    """Answers HTTP requests for operations, and browsers with GraphiQL if it is on."""

    def __init__(self, schema: Schema, operations: Operations, *, graphiql: bool) -> None:
        self._schema = schema
        self._operations = operations
        self._page = get_graphql_ide_html(graphql_ide="graphiql") if graphiql else None

    async def answer(self, request: Request, make_context: MakeContext) -> Response:
        """Answer a request."""
        accept = request.headers.getlist("accept")
        try:
            if request.method not in _METHODS:
                raise _not_allowed(f"{request.method} is not supported.", ", ".join(_METHODS))
            asks = request.method != "POST" and "query" not in request.query_params
            if self._page is not None and asks and asks_for_page(accept):
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
            status = refused.status_as(media_type)
            return _respond({"errors": [refused.error]}, media_type, status, refused.headers)
        return _respond(response, media_type, *_status(response, media_type))

    async def _execute(
        self, wanted: GraphQLRequest, context: Context, *, by_get: bool
    ) -> dict[str, Any]:
        text, name = wanted.query, wanted.operation_name
        try:
            document = self._schema.documents.get(text)
            if document.errors:
                return _refusal(document.errors, context)
            operation = _operation(document, name)
        except GraphQLError as error:
            return _refusal([error], context)
        _check_method(operation.operation, by_get=by_get)
        compiled = self._operations.find(text, name)
        if compiled is not None and context.may_use(compiled.roles):
            return await self._operations.run(compiled, wanted.variables, context)
        result = await self._schema.execute(
            text,
            variable_values=wanted.variables,
            context_value=context,
            operation_name=name,
        )
        return to_response(result.data, result.errors or [])


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
        raise _bad("The request was not sent to its end.") from None  # nobody reads this
    return _decode(body, "The body of the request")


def _check_encoding(encodings: list[str]) -> None:
    """Raise `RefusedError` for a body that is compressed: a small one may be a huge one."""
    for encoding in ",".join(encodings).split(","):
        if encoding.strip().lower() not in ("", "identity"):
            message = "The body of a POST must be sent as it is: its Content-Encoding is unknown."
            headers = {"accept-encoding": "identity"}
            raise RefusedError(415, "UNSUPPORTED_MEDIA_TYPE", message, headers)


def _query_parameters(given: Mapping[str, str]) -> dict[str, object]:
    parameters: dict[str, object] = {"query": given.get("query")}
    if name := given.get("operationName"):
        parameters["operationName"] = name
    for part in ("variables", "extensions"):
        if text := given.get(part):
            parameters[part] = _decode(text, f"The parameter {part}")
    return parameters


def _decode(data: str | bytes, what: str) -> object:
    try:
        return json.decode(data)
    except JSONDecodeError:
        raise _bad(f"{what} is not JSON.") from None


def _operation(document: Document, name: str | None) -> OperationDefinitionNode:
    """Return the operation that a request asks for; raises `GraphQLError`."""
    found = document.operations
    if name is not None:
        found = [node for node in found if node.name and node.name.value == name]
    if len(found) == 1:
        return found[0]
    message = "Must provide operation name if query contains multiple operations."
    if not found:
        message = "The document has no operation."
        if name is not None:
            message = f"The document has no operation named {name[:100]}."
    raise GraphQLError(message, extensions={"code": "OPERATION_RESOLUTION_FAILURE"})


def _check_method(kind: OperationType, *, by_get: bool) -> None:
    if kind is OperationType.SUBSCRIPTION:
        raise RefusedError(
            400,
            "OPERATION_RESOLUTION_FAILURE",
            "By HTTP, subscriptions are not allowed: use a WebSocket (graphql-transport-ws).",
        )
    if kind is OperationType.MUTATION and by_get:
        raise _not_allowed("Mutations are sent by POST only.", "POST")


def _refusal(errors: list[GraphQLError], context: Context) -> dict[str, Any]:
    return to_response(None, [present_error(error, context.request_id) for error in errors])


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
    response = Response(json.encode(body), status, headers)
    response.headers["content-type"] = f"{media_type}; charset=utf-8"
    response.headers["vary"] = "accept"
    return response


def _bad(message: str) -> RefusedError:
    return RefusedError(400, "BAD_REQUEST", message)


def _not_allowed(message: str, allowed: str) -> RefusedError:
    return RefusedError(405, "METHOD_NOT_ALLOWED", message, {"allow": allowed})
