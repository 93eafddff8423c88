"""The GraphQL endpoint: Strawberry's ASGI view with our JSON, context and sockets."""

from datetime import timedelta

from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from execution import json
from execution.websocket import OperationHandler, TextAdapter
from resolvers.context import Context


class GraphQLView(GraphQL[Context, None]):
    """Serves `/graphql`: POST and GET for operations, a page for browsers, and the socket."""

    websocket_adapter_class = TextAdapter
    graphql_transport_ws_handler_class = OperationHandler

    def __init__(
        self,
        schema: BaseSchema,
        *,
        connection_init_timeout_seconds: float,
        ping_interval_seconds: float,
        silence_timeout_seconds: float,
    ) -> None:
        super().__init__(
            schema,
            # Only this one: the legacy protocol had an authentication bypass, and a client that
            # is offered both may choose it.
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=connection_init_timeout_seconds),
        )
        self.ping_interval_seconds = ping_interval_seconds
        self.silence_timeout_seconds = silence_timeout_seconds

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """Hand the running service to the resolvers."""
        return Context(request.state.service, request.state.request_id)

    def decode_json(self, data: str | bytes) -> object:
        """Parse what a client sent; raises `json.JSONDecodeError` only."""
        return json.decode(data)

    def encode_json(self, data: object) -> bytes:
        """Write an answer."""
        return json.encode(data)

    def parse_json(self, data: str | bytes) -> object:
        """Parse a body or a GET parameter, which must be an object."""
        parsed = super().parse_json(data)
        # Strawberry takes any JSON for an object and fails on `.get`.
        if not isinstance(parsed, dict | list):
            raise HTTPException(400, "A GraphQL request must be a JSON object")
        return parsed
