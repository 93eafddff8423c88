"""The endpoint of sockets: Strawberry's ASGI view with our handler."""

from datetime import timedelta
from functools import partial
from typing import Any, cast

import strawberry
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from execution import encoding
from resolvers.clock import whereabouts
from server.asgi.state import State, state_of
from server.websocket.handler import OperationHandler
from server.websocket.rules import SocketRules
from server.websocket.sending import TextAdapter
from server.websocket.subprotocols import refuse_subprotocol


class GraphQLSockets(GraphQL[State, None]):
    """Serves the sockets of `/graphql`."""

    websocket_adapter_class = TextAdapter

    def __init__(self, vocabulary: strawberry.Schema, rules: SocketRules) -> None:
        super().__init__(
            vocabulary,
            # Only this one: the legacy protocol had an authentication bypass, and a client that
            # is offered both may choose it.
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=rules.connection_init_timeout_seconds),
            # The handler refuses with a code, before Strawberry would without one.
            max_subscriptions_per_connection=None,
        )
        handler = partial(OperationHandler, rules=rules)
        self.graphql_transport_ws_handler_class = cast("type[Any]", handler)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a socket."""
        is_spoken = GRAPHQL_TRANSPORT_WS_PROTOCOL in scope["subprotocols"]
        serve = super().__call__ if is_spoken else refuse_subprotocol
        await serve(scope, receive, send)

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:
        """Let every handshake in: the gate has refused those of other sites."""
        return True

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> State:
        """Return what is known of the socket. Its caller comes later: see `admission`."""
        return state_of(request.scope)

    async def on_ws_connect(self, context: State) -> dict[str, object]:
        """Return the payload of `connection_ack`."""
        return {**whereabouts(context.run.service)}

    def decode_json(self, data: str | bytes) -> object:
        """Parse what a client sent; raises `json.JSONDecodeError` only."""
        return encoding.decode(data)

    def encode_json(self, data: object) -> bytes:
        """Write an answer."""
        return encoding.encode(data)
