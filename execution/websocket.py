"""The socket: `graphql-transport-ws` on Strawberry's handler, with our own sign of life.

The server pings over the protocol and closes a silent peer with 4408, a code that makes
`graphql-ws` clients come back. uvicorn's own ping is off: it closes with 1011, which those
clients take as final.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, cast

from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    Message,
    NextMessagePayload,
    SubscribeMessage,
)

from db.stats import rejections
from execution import json
from execution.admission import AdmittingHandler
from execution.compiler import CompiledOperation
from execution.messages import problem_of
from execution.persisted import NOT_SUPPORTED, NOT_SUPPORTED_MESSAGE, is_hash_only
from execution.rate import RATE_LIMITED
from resolvers.context import Context
from resolvers.tell_time import whereabouts

if TYPE_CHECKING:
    from graphql import GraphQLError, GraphQLFormattedError

logger = logging.getLogger("bistro92.websocket")


class OperationHandler(AdmittingHandler):
    """Runs the operations of one socket."""

    _heard_at = 0.0
    _given_up = False

    async def handle(self) -> None:
        """Serve the socket until either side ends it."""
        self._heard_at = asyncio.get_running_loop().time()
        watching = asyncio.create_task(
            self._watch(asyncio.current_task()), name="bistro92-socket-watch"
        )
        screens = self.context.service.screens
        screens.sockets += 1
        try:
            await super().handle()
        except asyncio.CancelledError:
            if not self._given_up:
                raise
        finally:
            screens.sockets -= 1
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self, serving: asyncio.Task[None] | None) -> None:
        """Ping, and end a socket whose peer has been silent for too long."""
        settings = self._view.settings
        loop = asyncio.get_running_loop()
        while (left := self._heard_at + settings.silence_timeout_seconds - loop.time()) > 0:
            pause = min(left, settings.ping_interval_seconds)
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
        if self.connection_acknowledged:
            payload = dict[str, object](whereabouts(self.context.service))
            await self.send_message({"type": "ping", "payload": payload})

    async def handle_message(self, message: Message) -> None:
        """Check a message's shape before Strawberry reads it, and pass it on."""
        self._heard_at = asyncio.get_running_loop().time()
        if (problem := problem_of(message)) is not None:
            await self.handle_invalid_message(problem)
            return
        if message["type"] == "connection_init" and message.get("payload") is None:
            message = {"type": "connection_init"}
        await super().handle_message(message)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin an operation, or refuse this one: the socket and the others on it go on."""
        if self.connection_acknowledged and message["id"] not in self.operations:
            refusal = self._refusal() or _refusal_of_hash(message["payload"])
            if refusal is not None:
                id_ = message["id"]
                await self.send_message({"id": id_, "type": "error", "payload": [refusal]})
                return
        await super().handle_subscribe(message)

    def _refusal(self) -> "GraphQLFormattedError | None":
        error = self._view.door.limiter.error_of(self.websocket.ws.scope, self.context.caller)
        if error is not None:
            rejections[RATE_LIMITED] += 1
            return error
        most = self._view.settings.websocket_max_operations
        if len(self.operations) >= most:
            text = f"This socket has {most} operations. That is the limit: let one end first."
            return {"message": text, "extensions": {"code": "TOO_MANY_OPERATIONS"}}
        return None

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run an operation compiled if it can be, else as Strawberry does."""
        if operation.task is not None and self._is_mutation(operation):
            # Stopping waits for these. (For answers over HTTP, uvicorn waits by itself.)
            answering = self.context.service.answering
            answering.add(operation.task)
            operation.task.add_done_callback(answering.discard)
        compiled = self._view.operations.find(operation.query, operation.operation_name)
        if compiled is None or not self.context.may_use(compiled.roles):
            await super().run_operation(operation)
            return
        try:
            if compiled.is_subscription:
                await self._follow(operation, compiled)
            else:
                await self._answer(operation, compiled)
        except WebSocketDisconnected:
            return
        except Exception as error:
            await self.handle_task_exception(error)
            with suppress(WebSocketDisconnected):
                await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _answer(
        self, operation: Operation[Context, None], compiled: CompiledOperation
    ) -> None:
        response = await self._view.operations.run(
            compiled, operation.variables or {}, self.context
        )
        # Strawberry's handler sends these errors with `data: null`, and so do we.
        payload = cast("NextMessagePayload", {"data": None, **response})
        await operation.send_operation_message(
            {"id": operation.id, "type": "next", "payload": payload}
        )
        await operation.send_operation_message({"id": operation.id, "type": "complete"})

    async def _follow(
        self, operation: Operation[Context, None], compiled: CompiledOperation
    ) -> None:
        feed = await self._view.operations.subscribe(
            compiled, operation.variables or {}, self.context
        )
        if feed is None:
            # Something is wrong, and nothing has been sent: graphql-core says what.
            await super().run_operation(operation)
            return
        head = b'{"id":%b,"type":"next","payload":' % json.encode(operation.id)
        async with aclosing(feed.payloads()) as pages:
            async for page in pages:
                await self.websocket.send_texts([b"%b%b}" % (head, payload) for payload in page])

    async def cleanup_operation(self, operation_id: str) -> None:
        """End an operation that the client has completed, or left with its socket.

        A mutation is not cancelled: whether its order is placed must not depend on how far it has
        come. It is only answered no more.
        """
        operation = self.operations.get(operation_id)
        if operation is not None and self._is_mutation(operation):
            operation.completed = True
            del self.operations[operation_id]
        else:
            await super().cleanup_operation(operation_id)

    def _is_mutation(self, operation: Operation[Context, None]) -> bool:
        return self._view.operations.is_mutation(operation.query, operation.operation_name)

    async def handle_task_exception(self, error: Exception) -> None:
        """Log what ended an operation, unless it is only that the client left."""
        if not isinstance(error, WebSocketDisconnected):
            fields = {"request_id": self.context.request_id}
            logger.error("unexpected error on a socket", exc_info=error, extra=fields)

    @staticmethod
    def _get_pre_execution_close_reason(error: "GraphQLError") -> str | None:
        # A syntax error ends its operation with an `error` message. Strawberry would close the
        # socket, and with it every other subscription on it, with a code that is final.
        return None


def _refusal_of_hash(payload: Mapping[str, object]) -> "GraphQLFormattedError | None":
    if not is_hash_only(payload):
        return None
    rejections[NOT_SUPPORTED] += 1
    return {"message": NOT_SUPPORTED_MESSAGE, "extensions": {"code": NOT_SUPPORTED}}
