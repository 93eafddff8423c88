"""The socket: `graphql-transport-ws` on Strawberry's handler, with our own sign of life.

The server pings over the protocol and closes a silent peer with 4408, a code that makes
`graphql-ws` clients come back. uvicorn's own ping is off: it closes with 1011, which those
clients take as final.
"""

import asyncio
import logging
from contextlib import aclosing, nullcontext, suppress
from functools import cached_property
from json import JSONDecodeError
from typing import Any, cast

from graphql import OperationType
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message, SubscribeMessage

from execution import encoding
from execution.codes import Code, Stage
from execution.errors import describe
from execution.feeds import Feed, FeedEndedError
from execution.response import Response, unexpected
from resolvers.clock import whereabouts
from server.asgi.state import State
from server.websocket.admission import AdmittingHandler
from server.websocket.messages import problem_of
from server.websocket.raw_requests import SubscribedRequest
from server.websocket.rules import SocketRules

logger = logging.getLogger("bistro92.websocket")


# Of one socket: their answers are kept until they are read, so no more are made ahead.
_QUERIES_AT_ONCE = 4


class SocketOperation(Operation[State, None]):
    """An operation on a socket, from `subscribe` to `complete`."""

    __slots__ = ("is_cancellable", "raw")

    def __init__(self, handler: "OperationHandler", id: str, raw: SubscribedRequest) -> None:  # noqa: A002
        super().__init__(handler, id, "", None, None)
        self.raw = raw
        # Running, and nothing that a client has asked to be done: may end with its client.
        self.is_cancellable = False


class OperationHandler(AdmittingHandler):
    """Runs the operations of one socket."""

    _heard_at = 0.0
    _given_up = False

    def __init__(self, *arguments: Any, rules: SocketRules, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._rules = rules
        # Operations that have ended, and whose last messages wait to be sent.
        self._ending = 0
        self._feeds: dict[SocketOperation, Feed] = {}

    async def handle(self) -> None:
        """Serve the socket until either side ends it."""
        self._heard_at = asyncio.get_running_loop().time()
        watching = asyncio.create_task(
            self._watch(asyncio.current_task()), name="bistro92-socket-watch"
        )
        screens = self.context.run.service.screens
        screens.sockets += 1
        try:
            self.websocket.ask_first(self._answer_at_once)
            await super().handle()
        except asyncio.CancelledError:
            if not self._given_up:
                raise
        finally:
            self.websocket.ask_first(None)
            screens.sockets -= 1
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self, serving: asyncio.Task[None] | None) -> None:
        """Ping, and end a socket whose peer has been silent for too long."""
        rules = self._rules
        loop = asyncio.get_running_loop()
        while (left := self._heard_at + rules.silence_timeout_seconds - loop.time()) > 0:
            pause = min(left, rules.ping_interval_seconds)
            next_at = loop.time() + pause
            try:
                # Sending waits while the peer doesn't read: the deadline must hold all the same.
                async with asyncio.timeout(pause):
                    await self._ping()
            except (TimeoutError, WebSocketDisconnected):
                pass
            await asyncio.sleep(next_at - loop.time())
        if not await self.websocket.close_or_abort(4408, "No sign of life"):
            given_up = "socket given up: the peer does not read"
            logger.info(given_up, extra={"request_id": self.context.request_id})
            self._given_up = True
            if serving is not None:
                serving.cancel()

    async def _ping(self) -> None:
        if not self.connection_acknowledged:
            return
        # At one moment: a screen that follows changes has then come to the head that it is told.
        progress = [(each, feed, feed.progress()) for each, feed in self._feeds.items()]
        payload = dict[str, object](whereabouts(self.context.run.service))
        for operation, feed, event in progress:
            if event is not None:
                text = b"%b%b}" % (_next_head(operation.id), await feed.response(event))
                if not operation.completed:
                    await self.websocket.send_texts([text])
        await self.send_message({"type": "ping", "payload": payload})

    def _answer_at_once(self, text: str) -> bool:
        """Answer an operation as soon as it is read if its answer is known; tell whether it was.

        To wake the socket's task costs more than such an answer. Everything else, and all that is
        wrong, is left to it.
        """
        if not self.connection_acknowledged:
            return False
        try:
            message = cast("Message", encoding.decode(text))
        except JSONDecodeError:
            return False
        if problem_of(message) is not None or message["type"] != "subscribe":
            return False
        known = self._known(SubscribedRequest(message["payload"]))
        if known is None or message["id"] in self.operations or self._refusal() is not None:
            return False
        self._heard_at = asyncio.get_running_loop().time()
        self._send_known(message["id"], known)
        return True

    def _known(self, raw: SubscribedRequest) -> Response | None:
        """Return the answer to a request if it is known and can be sent without waiting."""
        known = self.context.run.operations.known(raw, self.context.caller)
        return known if known is not None and self.websocket.takes_more() else None

    def _send_known(self, operation_id: str, known: Response) -> None:
        head, complete = _next_head(operation_id), _complete(operation_id)
        self.websocket.send_around(head, known.body, b"}", complete)

    async def handle_message(self, message: Message) -> None:
        """Check a message's shape before Strawberry reads it, and pass it on."""
        self._heard_at = asyncio.get_running_loop().time()
        if (problem := problem_of(message)) is not None:
            await self.handle_invalid_message(problem)
            return
        if message["type"] == "connection_init" and message.get("payload") is None:
            message = {"type": "connection_init"}
        if message["type"] == "subscribe":
            await self.handle_subscribe(message)
        else:
            await super().handle_message(message)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin an operation, or refuse this one: the socket and the others on it go on."""
        operation_id = message["id"]
        if not self.connection_acknowledged or operation_id in self.operations:
            await super().handle_subscribe(message)  # which closes the socket
            return
        if (refusal := self._refusal()) is not None:
            await self.send_message({"id": operation_id, "type": "error", "payload": [refusal]})
            return
        raw = SubscribedRequest(message["payload"])
        if (known := self._known(raw)) is not None:
            self._send_known(operation_id, known)
            return
        operation = SocketOperation(self, operation_id, raw)
        operation.task = asyncio.create_task(self.run_operation(operation))
        operation.task.add_done_callback(self._task_done)
        self.operations[operation_id] = operation

    def _refusal(self) -> Any:
        """Count an operation; return the error that it gets if it is one too many."""
        context = self.context
        scope = self.websocket.ws.scope
        if (too_many := context.run.gate.limiter.count(scope, context.caller)) is not None:
            seconds = too_many.retry_after_seconds
            return describe(Code.RATE_LIMITED, too_many.message, retryAfterSeconds=seconds)
        most = self._rules.max_operations
        if len(self.operations) + self._ending >= most:
            text = f"This socket has {most} operations. That is the limit: let one end first."
            return describe(Code.TOO_MANY_OPERATIONS, text)
        return None

    async def run_operation(self, operation: Operation[State, None]) -> None:
        """Run an operation to its end."""
        assert isinstance(operation, SocketOperation)  # noqa: S101 - made by `handle_subscribe`
        try:
            await self._run(operation)
        except WebSocketDisconnected:
            return
        except Exception:
            request_id = self.context.request_id
            logger.exception("unexpected error", extra={"request_id": request_id})
            with suppress(WebSocketDisconnected):
                await self._end(operation, _final(operation.id, unexpected(request_id)))

    async def _run(self, operation: SocketOperation) -> None:
        kind = self.context.run.operations.kind_of(operation.raw)
        if kind is not OperationType.MUTATION:
            if operation.completed:
                return
            operation.is_cancellable = True
        elif operation.task is not None:
            # Stopping waits for these. (For answers over HTTP, uvicorn waits by itself.)
            answering = self.context.run.service.answering
            answering.add(operation.task)
            operation.task.add_done_callback(answering.discard)
        if kind is OperationType.SUBSCRIPTION:
            await self._follow(operation)
            return
        async with nullcontext() if kind is OperationType.MUTATION else self._query_turns:
            await self._answer(operation)

    @cached_property
    def _query_turns(self) -> asyncio.Semaphore:
        return asyncio.Semaphore(_QUERIES_AT_ONCE)

    async def _answer(self, operation: SocketOperation) -> None:
        context = self.context
        response = context.run.operations.execute(operation.raw, context.caller, context.request_id)
        if not isinstance(response, Response):
            response = await response
        await self._end(operation, _final(operation.id, response))

    async def _follow(self, operation: SocketOperation) -> None:
        context = self.context
        begun = await context.run.operations.subscribe(
            operation.raw, context.caller, context.request_id
        )
        del operation.raw  # five kilobytes that a screen would keep for as long as it follows
        if isinstance(begun, Response):
            await self._end(operation, _final(operation.id, begun))
            return
        head = _next_head(operation.id)
        await self.websocket.until_writable()  # before there is a page to keep
        self._feeds[operation] = begun
        try:
            async with aclosing(begun.pages()) as pages:
                async for page in pages:
                    await self.websocket.send_texts([b"%b%b}" % (head, event) for event in page])
        except FeedEndedError as ended:
            await self._end(operation, _final(operation.id, ended.response))
        else:
            await self._end(operation, [_complete(operation.id)])
        finally:
            del self._feeds[operation]

    async def _end(self, operation: SocketOperation, texts: list[bytes]) -> None:
        """Send the last messages of an operation, whose id is free from then on."""
        if not operation.completed:
            operation.completed = True
            self.forget_id(operation.id)
            self._ending += 1
            try:
                await self.websocket.send_texts(texts, is_answer=True)
            finally:
                self._ending -= 1

    async def cleanup_operation(self, operation_id: str) -> None:
        """End an operation that the client has completed, or left with its socket.

        A mutation is not cancelled: whether its order is placed must not depend on how far it has
        come. It is only answered no more. What has not begun yet sees that when it does.
        """
        operation = self.operations.pop(operation_id, None)
        if operation is None:
            return
        operation.completed = True
        assert isinstance(operation, SocketOperation)  # noqa: S101 - made by `handle_subscribe`
        if operation.is_cancellable and operation.task is not None:
            operation.task.cancel()

    async def handle_task_exception(self, error: Exception) -> None:
        """Log what ended an operation, unless it is only that the client left."""
        if not isinstance(error, WebSocketDisconnected):
            fields = {"request_id": self.context.request_id}
            logger.error("unexpected error on a socket", exc_info=error, extra=fields)


def _final(operation_id: str, response: Response) -> list[bytes]:
    """Return the messages of the response that HTTP would give: without `data` it is an `error`."""
    if response.stage is Stage.FIELD:
        return [b"%b%b}" % (_next_head(operation_id), response.body), _complete(operation_id)]
    message = {"id": operation_id, "type": "error", "payload": response.errors}
    return [encoding.encode(message)]


def _next_head(operation_id: str) -> bytes:
    return b'{"id":%b,"type":"next","payload":' % encoding.encode(operation_id)


def _complete(operation_id: str) -> bytes:
    return b'{"id":%b,"type":"complete"}' % encoding.encode(operation_id)
