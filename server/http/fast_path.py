"""The fast lane: ordinary JSON POSTs of compiled operations, answered before the view.

Everything else, and everything that is wrong, is passed on to the view unchanged.
"""

import logging
from collections.abc import Awaitable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db.tokens import Role
from execution import encoding
from execution.compiled.operation import CompiledOperation
from execution.operations import Operations
from execution.request import GraphQLRequest, RefusedError
from execution.shared.answers import SharedAnswers
from resolvers.context import Context, Service
from server.access.gate import Door
from server.access.open_routes import route_path
from server.access.rate_limit import IS_COUNTED
from server.asgi.requests import announced_bytes, new_request_id, unexpected_error
from server.http.negotiation import answered_at_once

logger = logging.getLogger("bistro92.lane")

_JSON = b"application/json; charset=utf-8"

_HEADER_LINES = b"content-type: %b\r\ncontent-length: %%d\r\nx-request-id: %%b\r\n" % _JSON

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP response: JSON, with the request's id in its headers."""

    status: int
    request_id: str
    body: bytes

    @property
    def headers(self) -> Headers:
        """The headers, as ASGI has them."""
        return [
            (b"content-type", _JSON),
            (b"content-length", b"%d" % len(self.body)),
            (b"x-request-id", self.request_id.encode()),
        ]

    def header_lines(self) -> bytes:
        """Return the headers as HTTP/1.1 has them."""
        return _HEADER_LINES % (len(self.body), self.request_id.encode())


class FastLane:
    """Answers requests by their bytes, ahead of every layer."""

    def __init__(
        self,
        path: str,
        operations: Operations,
        door: Door,
        service: Service,
        *,
        body_max_bytes: int,
    ) -> None:
        self.path = path
        self.body_max_bytes = body_max_bytes
        self._operations = operations
        self._door = door
        self._service = service
        # One of each role: an answer must never reach a role that may not ask for it.
        self._answers = {role: SharedAnswers(service.log) for role in Role}

    def begin(self, scope: Scope, body: bytes) -> Answer | Coroutine[None, None, Answer] | None:
        """Begin to answer a POST to the path; None if it is not one for the fast lane."""
        headers = scope["headers"]
        if not answered_at_once(headers):
            return None
        by_name = dict(headers)
        # One that is there twice may say two things; a body that is encoded is none to read.
        if len(by_name) < len(headers) or b"content-encoding" in by_name:
            return None
        caller = self._door.caller_of(scope, by_name)
        if caller is None:
            return None
        if self._door.limiter.error_of(scope, caller) is not None:
            return None  # the view's layer says how long to wait
        scope["state"][IS_COUNTED] = True
        request_id = new_request_id()
        answers = self._answers[caller.role]
        known = answers.find(body)
        if known is not None:
            return Answer(200, request_id, known)
        operation, variables = self._operation(body)
        if operation is None or operation.is_subscription or caller.role not in operation.roles:
            return None
        context = Context(self._service, request_id, caller)

        async def run() -> bytes:
            return encoding.encode(await self._operations.run(operation, variables, context))

        answer = answers.compute(body, run) if operation.is_of_the_log else run()
        return _answer(answer, context)

    def _operation(self, body: bytes) -> tuple[CompiledOperation | None, Mapping[str, Any]]:
        try:
            request = GraphQLRequest.of(orjson.loads(body))
        except (orjson.JSONDecodeError, RefusedError):
            return None, {}
        return self._operations.find(request.query, request.operation_name), request.variables


class LaneMiddleware:
    """Plain ASGI middleware: the lane for servers that don't have it in their protocol.

    The lane is that of the run, in the state of each request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "http" and _offers_upgrade(scope):
            await self._app(scope, receive, _closing(send))
            return
        lane: FastLane | None = scope.get("state", {}).get("lane")
        if lane is None or not _may_be_for(lane, scope):
            await self._app(scope, receive, send)
            return
        first = await _read(receive, lane.body_max_bytes)
        whole = (
            first["type"] == "http.request"
            and not first["more_body"]
            and len(first["body"]) <= lane.body_max_bytes
        )
        answer = lane.begin(scope, first["body"]) if whole else None
        if answer is None:
            await self._app(scope, _beginning_with(first, receive), send)
        else:
            await _send(send, answer if isinstance(answer, Answer) else await answer)


def _may_be_for(lane: FastLane, scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["method"] == "POST"
        and route_path(scope) == lane.path
        # Nobody waits for what is refused as it is.
        and announced_bytes(scope) <= lane.body_max_bytes
    )


def _offers_upgrade(scope: Scope) -> bool:
    return any(name == b"upgrade" for name, _ in scope["headers"])


def _closing(send: Send) -> Send:
    """Return a `send` that ends the connection with the answer.

    Our own server hides such an `Upgrade`. uvicorn alone takes what follows it for a new request.
    """

    async def send_and_close(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["connection"] = "close"
        await send(message)

    return send_and_close


async def _answer(running: Awaitable[bytes], context: Context) -> Answer:
    try:
        return Answer(200, context.request_id, await running)
    except Exception:
        logger.exception("unexpected error", extra={"request_id": context.request_id})
        return Answer(500, context.request_id, unexpected_error(context.request_id))


async def _send(send: Send, answer: Answer) -> None:
    start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
    await send(start)
    await send({"type": "http.response.body", "body": answer.body})


async def _read(receive: Receive, max_bytes: int) -> Message:
    """Return the body as one message; not all of it if it is larger than the limit."""
    message = await receive()
    while message["type"] == "http.request" and message.get("more_body"):
        if len(message["body"]) > max_bytes:
            return message
        part = await receive()
        if part["type"] != "http.request":
            return part
        message = {**part, "body": message["body"] + part.get("body", b"")}
    return {"body": b"", "more_body": False, **message}


def _beginning_with(first: Message, receive: Receive) -> Receive:
    """Return a `receive` that gives what was received already once more."""
    message: Message | None = first

    async def receive_again() -> Message:
        nonlocal message
        if message is None:
            return await receive()
        given, message = message, None
        return given

    return receive_again


class Application(Starlette):
    """Starlette with the lane outside its own layers, which cost more than most operations."""

    def build_middleware_stack(self) -> ASGIApp:
        """Put the lane around Starlette's."""
        return LaneMiddleware(super().build_middleware_stack())
