"""The GraphQL endpoint: operations over HTTP, and Strawberry's ASGI view with our sockets."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from execution import encoding
from execution.engine import Schema
from execution.operations import Operations
from resolvers.clock import whereabouts
from resolvers.context import Context
from server.access.gate import Door
from server.http.graphql_over_http import GraphQLOverHTTP
from server.settings import Settings
from server.websocket.handler import OperationHandler
from server.websocket.sending import TextAdapter
from server.websocket.subprotocols import refuse_subprotocol


class GraphQLView(GraphQL[Context, None]):
    """Serves `/graphql`: POST and GET for operations, a page for browsers, and the socket."""

    websocket_adapter_class = TextAdapter
    graphql_transport_ws_handler_class = OperationHandler

    def __init__(
        self, schema: Schema, operations: Operations, settings: Settings, door: Door
    ) -> None:
        super().__init__(
            schema,
            # Only this one: the legacy protocol had an authentication bypass, and a client that
            # is offered both may choose it.
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(
                seconds=settings.connection_init_timeout_seconds
            ),
            # The handler refuses with a code, before Strawberry would without one.
            max_subscriptions_per_connection=None,
        )
        self.operations = operations
        self.settings = settings
        self.door = door
        self._http = GraphQLOverHTTP(operations, graphiql=settings.graphiql)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a socket."""
        if scope["type"] != "http":
            is_spoken = GRAPHQL_TRANSPORT_WS_PROTOCOL in scope["subprotocols"]
            serve = super().__call__ if is_spoken else refuse_subprotocol
            await serve(scope, receive, send)
            return
        # Strawberry's own answers to requests that are wrong are plain text, and of one type.
        request = Request(scope, receive)
        response = await self._http.answer(request, self.get_context)
        await response(scope, receive, send)

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:
        """Let every handshake in: the gate has refused those of other sites."""
        return True

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """Hand the running service to the resolvers."""
        state = request.state
        # A socket's caller comes later: see `server.websocket.admission`.
        return Context(state.service, state.request_id, getattr(state, "caller", None))

    async def on_ws_connect(self, context: Context) -> dict[str, object]:
        """Return the payload of `connection_ack`."""
        return {**whereabouts(context.service)}

    def decode_json(self, data: str | bytes) -> object:
        """Parse what a client sent; raises `json.JSONDecodeError` only."""
        return encoding.decode(data)

    def encode_json(self, data: object) -> bytes:
        """Write an answer."""
        return encoding.encode(data)


class ViewOfRun:
    """The endpoint: an application may run again, and each run has its own view."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a socket."""
        await scope["state"]["view"](scope, receive, send)
