"""The fast lane: ordinary JSON POSTs of compiled operations, answered before the view.

Everything else, and everything that is wrong, is passed on to the view unchanged.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution import json
from execution.answers import SharedAnswers
from execution.compiler import CompiledOperation
from execution.operations import Operations
from execution.requests import new_request_id, send_unexpected_error
from resolvers.context import Context, Service

logger = logging.getLogger("bistro92.lane")

_JSON = b"application/json"


class FastLane:
    """Plain ASGI middleware in front of everything else."""

    def __init__(
        self, app: ASGIApp, *, path: str, operations: Operations, body_max_bytes: int
    ) -> None:
        self._app = app
        self._path = path
        self._operations = operations
        self._body_max_bytes = body_max_bytes
        self._answers: SharedAnswers | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if (
            scope["type"] != "http"
            or scope["method"] != "POST"
            or scope["path"] != self._path
            or not _is_json(scope["headers"])
            or "service" not in scope.get("state", {})
        ):
            await self._app(scope, receive, send)
            return
        first = await _read(receive, self._body_max_bytes)
        answered = first["type"] == "http.request" and not first["more_body"]
        if not answered or not await self._serve(scope["state"]["service"], first["body"], send):
            await self._app(scope, _beginning_with(first, receive), send)

    async def _serve(self, service: Service, body: bytes, send: Send) -> bool:
        """Answer a request, if it is one for the fast lane."""
        request_id = new_request_id()
        try:
            answer = await self._answer(body, Context(service, request_id))
        except Exception:
            logger.exception("unexpected error in request %s", request_id)
            await send_unexpected_error(send, request_id)
            return True
        if answer is None:
            return False
        headers = [
            (b"content-type", _JSON),
            (b"content-length", b"%d" % len(answer)),
            (b"x-request-id", request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        return True

    async def _answer(self, body: bytes, context: Context) -> bytes | None:
        answers = self._shared_answers(context.service)
        answer = answers.find(body)
        if answer is not None:
            return answer
        operation, variables = self._operation(body)
        if operation is None or operation.is_subscription:
            return None

        async def run() -> bytes:
            return json.encode(await self._operations.run(operation, variables, context))

        return await (run() if operation.is_mutation else answers.compute(body, run))

    def _shared_answers(self, service: Service) -> SharedAnswers:
        if self._answers is None:
            self._answers = SharedAnswers(service.log)
        return self._answers

    def _operation(self, body: bytes) -> tuple[CompiledOperation | None, Mapping[str, Any]]:
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None, {}
        if type(request) is not dict:
            return None, {}
        text, name = request.get("query"), request.get("operationName")
        variables = request.get("variables")
        if variables is None:
            variables = {}
        if (
            isinstance(text, str)
            and isinstance(name, str | None)
            and isinstance(variables, dict)
            and isinstance(request.get("extensions"), dict | None)
        ):
            return self._operations.find(text, name), variables
        return None, {}


def _is_json(headers: list[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"content-type":
            return value == _JSON or value.split(b";")[0].strip().lower() == _JSON
    return False


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
    """Starlette with one layer outside all of its own, which cost more than most operations."""

    def __init__(self, *, outermost: Callable[[ASGIApp], ASGIApp], **options: Any) -> None:
        self._outermost = outermost
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        """Put the layer around Starlette's."""
        return self._outermost(super().build_middleware_stack())
