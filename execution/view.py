"""The GraphQL endpoint: Strawberry's ASGI view with our JSON, context and sockets."""

from datetime import timedelta

from cross_web import AsyncHTTPRequestAdapter, HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLRequestData
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from execution import json
from execution.adapter import TextAdapter
from execution.gate import Door
from execution.operations import Operations
from execution.settings import Settings
from execution.websocket import OperationHandler
from resolvers.context import Context
from resolvers.tell_time import whereabouts


class GraphQLView(GraphQL[Context, None]):
    """Serves `/graphql`: POST and GET for operations, a page for browsers, and the socket."""

    websocket_adapter_class = TextAdapter
    graphql_transport_ws_handler_class = OperationHandler

    def __init__(
        self, schema: BaseSchema, operations: Operations, settings: Settings, door: Door
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

    def is_websocket_origin_allowed(self, request: WebSocket, origin: str) -> bool:
        """Let every handshake in: the gate has refused those of other sites."""
        return True

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """Hand the running service to the resolvers."""
        state = request.state
        # A socket's caller comes later: see `execution.admission`.
        return Context(state.service, state.request_id, getattr(state, "caller", None))

    async def on_ws_connect(self, context: Context) -> dict[str, object]:
        """Return the payload of `connection_ack`."""
        return {**whereabouts(context.service)}

    def decode_json(self, data: str | bytes) -> object:
        """Parse what a client sent; raises `json.JSONDecodeError` only."""
        return json.decode(data)

    def encode_json(self, data: object) -> bytes:
        """Write an answer."""
        return json.encode(data)

    async def parse_http_body(
        self, request: AsyncHTTPRequestAdapter
    ) -> GraphQLRequestData | list[GraphQLRequestData]:
        """Read a request; raises `HTTPException` for an operation name that is none."""
        data = await super().parse_http_body(request)
        name = getattr(data, "operation_name", None)
        # Strawberry quotes it in a plain text answer, which can't hold a lone surrogate.
        if name is not None and not (isinstance(name, str) and name.isascii()):
            raise HTTPException(400, "The operationName must be a GraphQL name")
        return data

    def parse_json(self, data: str | bytes) -> object:
        """Parse a body or a GET parameter, which must be an object."""
        parsed = super().parse_json(data)
        # Strawberry takes any JSON for an object and fails on `.get`.
        if not isinstance(parsed, dict | list):
            raise HTTPException(400, "A GraphQL request must be a JSON object")
        return parsed
