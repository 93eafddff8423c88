"""The socket: `graphql-transport-ws` on Strawberry's handler, with our own sign of life.

The server pings over the protocol and closes a silent peer with 4408, a code that makes
`graphql-ws` clients come back. uvicorn's own ping is off: it closes with 1011, which those
clients take as final.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any, cast

from graphql import GraphQLError, GraphQLFormattedError, OperationType
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import Operation
from strawberry.subscriptions.protocols.graphql_transport_ws.types import (
    Message,
    NextMessagePayload,
    SubscribeMessage,
)
from strawberry.types.execution import ExecutionResult, PreExecutionError

from db.stats import rejections
from execution import encoding
from execution.errors import log_unexpected, present_error
from execution.operations import InvalidOperationError, Response, to_response
from execution.request import GraphQLRequest, RefusedError
from resolvers.clock import whereabouts
from resolvers.context import Context
from server.websocket.admission import AdmittingHandler
from server.websocket.messages import problem_of

logger = logging.getLogger("bistro92.websocket")


class OperationHandler(AdmittingHandler):
    """Runs the operations of one socket."""

    _heard_at = 0.0
    _given_up = False

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # Running, and nothing that a client has asked to be done: may end with their client.
        self._cancellable: set[Operation[Context, None]] = set()

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
        if not self.connection_acknowledged or message["id"] in self.operations:
            await super().handle_subscribe(message)  # which closes the socket
            return
        refusal = self._refusal_of(message["payload"])
        if refusal is None:
            await super().handle_subscribe(message)
        else:
            rejections[refusal["extensions"]["code"]] += 1
            await self.send_message({"id": message["id"], "type": "error", "payload": [refusal]})

    def _refusal_of(self, parameters: object) -> GraphQLFormattedError | None:
        scope = self.websocket.ws.scope
        if (error := self._view.door.limiter.error_of(scope, self.context.caller)) is not None:
            return error
        most = self._view.settings.websocket_max_operations
        if len(self.operations) >= most:
            text = f"This socket has {most} operations. That is the limit: let one end first."
            return {"message": text, "extensions": {"code": "TOO_MANY_OPERATIONS"}}
        try:
            GraphQLRequest.of(parameters)
        except RefusedError as refused:
            return refused.error
        return None

    async def run_operation(self, operation: Operation[Context, None]) -> None:
        """Run an operation to its end."""
        try:
            await self._run(operation, _request_of(operation))
        except WebSocketDisconnected:
            return
        except Exception as error:
            problem = GraphQLError(str(error), original_error=error)
            log_unexpected([problem], self.context.request_id)
            with suppress(WebSocketDisconnected):
                await operation.send_initial_errors(
                    [present_error(problem, self.context.request_id)]
                )
        finally:
            self._cancellable.discard(operation)

    async def _run(self, operation: Operation[Context, None], request: GraphQLRequest) -> None:
        operations = self._view.operations
        try:
            kind = operations.select(request).operation
        except InvalidOperationError as invalid:
            await self._answer(operation, invalid.response(self.context))
            return
        if kind is not OperationType.MUTATION:
            if operation.completed:
                return
            self._cancellable.add(operation)
        if kind is OperationType.SUBSCRIPTION:
            await self._follow(operation, request)
            return
        if kind is OperationType.MUTATION and operation.task is not None:
            # Stopping waits for these. (For answers over HTTP, uvicorn waits by itself.)
            answering = self.context.service.answering
            answering.add(operation.task)
            operation.task.add_done_callback(answering.discard)
        await self._answer(operation, await operations.execute(request, self.context))

    async def _answer(self, operation: Operation[Context, None], response: Response) -> None:
        """Send the response that HTTP would give: without `data` it is an `error` message."""
        if "data" in response:
            await _send_next(operation, response)
            await _send_complete(operation)
        else:
            await _send_error(operation, response)

    async def _follow(self, operation: Operation[Context, None], request: GraphQLRequest) -> None:
        compiled = self._view.operations.find(request.query, request.operation_name)
        feed = None
        if compiled is not None and self.context.may_use(compiled.roles):
            feed = await self._view.operations.subscribe(compiled, request.variables, self.context)
        if feed is None:
            # Not compiled, or something is wrong and nothing has been sent: graphql-core runs it.
            await self._follow_generic(operation, request)
            return
        head = b'{"id":%b,"type":"next","payload":' % encoding.encode(operation.id)
        async with aclosing(feed.payloads()) as pages:
            async for page in pages:
                await self.websocket.send_texts([b"%b%b}" % (head, payload) for payload in page])
        await _send_complete(operation)

    async def _follow_generic(
        self, operation: Operation[Context, None], request: GraphQLRequest
    ) -> None:
        stream = await self.schema.stream(
            request.query,
            variable_values=request.variables,
            context_value=self.context,
            operation_name=request.operation_name,
        )
        # Others are those of `@defer` and `@stream`, which the schema doesn't have.
        results = cast("AsyncGenerator[ExecutionResult]", stream)
        async with aclosing(results):
            async for result in results:
                response = to_response(result.data, result.errors or [])
                if isinstance(result, PreExecutionError) or "data" not in response:
                    await _send_error(operation, response)
                    return
                await _send_next(operation, response)
        await _send_complete(operation)

    async def cleanup_operation(self, operation_id: str) -> None:
        """End an operation that the client has completed, or left with its socket.

        A mutation is not cancelled: whether its order is placed must not depend on how far it has
        come. It is only answered no more. What has not begun yet sees that when it does.
        """
        operation = self.operations.pop(operation_id, None)
        if operation is None:
            return
        operation.completed = True
        if operation in self._cancellable and operation.task is not None:
            operation.task.cancel()

    async def handle_task_exception(self, error: Exception) -> None:
        """Log what ended an operation, unless it is only that the client left."""
        if not isinstance(error, WebSocketDisconnected):
            fields = {"request_id": self.context.request_id}
            logger.error("unexpected error on a socket", exc_info=error, extra=fields)


async def _send_next(operation: Operation[Context, None], response: Response) -> None:
    payload = cast("NextMessagePayload", response)
    await operation.send_operation_message({"id": operation.id, "type": "next", "payload": payload})


async def _send_complete(operation: Operation[Context, None]) -> None:
    await operation.send_operation_message({"id": operation.id, "type": "complete"})


async def _send_error(operation: Operation[Context, None], response: Response) -> None:
    errors = response["errors"]
    await operation.send_operation_message({"id": operation.id, "type": "error", "payload": errors})


def _request_of(operation: Operation[Context, None]) -> GraphQLRequest:
    parameters = {
        "query": operation.query,
        "operationName": operation.operation_name,
        "variables": operation.variables,
    }
    return GraphQLRequest.of(parameters)
