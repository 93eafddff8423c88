"""The fast lane: ordinary requests, answered before every layer.

By POST or GET, for either type of answer, also through a proxy: what the usual clients send.
Everything else, and everything that is wrong with a request of HTTP, goes through the layers.
"""

from collections.abc import Coroutine
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from execution.request import RawRequest
from execution.response import Response
from server.access.open_routes import route_path
from server.asgi.body_limit import announced_bytes
from server.asgi.request_ids import new_request_id
from server.asgi.state import find_state, state_of
from server.http.answers import Answer, to_answer
from server.http.raw_requests import PostedRequest, QueriedRequest
from server.media_types import media_type_at_once


class FastPath:
    """Answers requests by their bytes, ahead of every layer."""

    def __init__(self, path: str, *, body_max_bytes: int) -> None:
        self.path = path
        self.body_max_bytes = body_max_bytes

    def begin(self, scope: Scope, raw: RawRequest) -> Answer | Coroutine[None, None, Answer] | None:
        """Begin to answer a request to the path; None if the layers must look at it."""
        headers = scope["headers"]
        by_name = dict(headers)
        # One that is there twice may say two things; a body that is encoded is none to read.
        if len(by_name) < len(headers) or b"content-encoding" in by_name:
            return None
        media_type = media_type_at_once(by_name, has_body=raw.may_change)
        if media_type is None:
            return None
        run = state_of(scope).run
        caller = run.gate.caller_of(scope, by_name)
        if caller is None or run.gate.limiter.count(scope, caller) is not None:
            return None  # they say why, and how long to wait
        request_id = new_request_id()
        response = run.operations.execute(raw, caller, request_id)
        if isinstance(response, Response):
            return to_answer(response, media_type, request_id)
        return _answer(response, media_type, request_id)


async def _answer(
    running: Coroutine[None, None, Response], media_type: str, request_id: str
) -> Answer:
    return to_answer(await running, media_type, request_id)


class FastPathMiddleware:
    """Plain ASGI middleware: the lane for servers that don't have it in their protocol."""

    def __init__(self, app: ASGIApp, fast_path: FastPath) -> None:
        self._app = app
        self._fast_path = fast_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "http" and _offers_upgrade(scope):
            await self._app(scope, receive, _closing(send))
        elif not self._may_be_for_lane(scope):
            await self._app(scope, receive, send)
        elif scope["method"] == "GET":
            await self._serve(scope, QueriedRequest(scope["query_string"]), receive, send)
        else:
            first = await _read(receive, self._fast_path.body_max_bytes)
            again = _beginning_with(first, receive)
            if _is_whole(first, self._fast_path.body_max_bytes):
                await self._serve(scope, PostedRequest(first["body"]), again, send)
            else:
                await self._app(scope, again, send)

    def _may_be_for_lane(self, scope: Scope) -> bool:
        return (
            scope["type"] == "http"
            and scope["method"] in ("GET", "POST")
            and route_path(scope) == self._fast_path.path
            # Nobody waits for what is refused as it is.
            and announced_bytes(scope) <= self._fast_path.body_max_bytes
            and (state := find_state(scope)) is not None
            and not state.was_in_lane
        )

    async def _serve(self, scope: Scope, raw: RawRequest, receive: Receive, send: Send) -> None:
        answer = self._fast_path.begin(scope, raw)
        if answer is None:
            await self._app(scope, receive, send)
        else:
            await (answer if isinstance(answer, Answer) else await answer).send(send)


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


def _is_whole(message: Message, max_bytes: int) -> bool:
    return (
        message["type"] == "http.request"
        and not message["more_body"]
        and len(message["body"]) <= max_bytes
    )


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

    def __init__(self, fast_path: FastPath, **options: Any) -> None:
        super().__init__(**options)
        self.fast_path = fast_path

    def build_middleware_stack(self) -> ASGIApp:
        """Put the lane around Starlette's."""
        return FastPathMiddleware(super().build_middleware_stack(), self.fast_path)
