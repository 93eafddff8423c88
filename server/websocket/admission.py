"""The socket's gate: `connection_init` says who asks, and a revoked token ends the socket."""

import asyncio
from contextlib import suppress

from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.subscriptions.protocols.graphql_transport_ws.types import ConnectionInitMessage

from server.access.callers import ANONYMOUS
from server.asgi.state import State
from server.websocket.sending import TextAdapter


class AdmittingHandler(BaseGraphQLTransportWSHandler[State, None]):
    """Strawberry's handler with a caller, who is unknown before `connection_init`."""

    websocket: TextAdapter
    _dismissal: asyncio.Task[None] | None = None

    async def handle(self) -> None:
        """Serve the socket until either side ends it."""
        try:
            await super().handle()
        finally:
            if self.context.caller is not None:
                self.context.run.gate.access.unwatch(self.context.caller, self._dismiss)
            if self._dismissal is not None:
                await asyncio.wait({self._dismissal})

    async def handle_connection_init(self, message: ConnectionInitMessage) -> None:
        """Let a caller in, or close with 4403; what is wrong otherwise is Strawberry's to say."""
        payload = message.get("payload", {})
        is_first = not self.connection_init_received and not self.connection_timed_out
        if is_first and isinstance(payload, dict):
            access = self.context.run.gate.access
            caller = access.caller_of(self.websocket.ws.scope, _authorization(payload))
            if caller is None:
                self.connection_init_received = True
                await self.websocket.close(4403, access.why_refused())
                return
            self.context.caller = caller
            access.watch(caller, self._dismiss)
        await super().handle_connection_init(message)

    def _dismiss(self) -> None:
        """Close the socket: its caller is none any more, so nothing is done or sent on it."""
        was_anonymous = self.context.caller == ANONYMOUS
        self.context.caller = None
        reason = "A token is needed now" if was_anonymous else "The token has been revoked"
        self._dismissal = asyncio.create_task(self._close(reason), name="bistro92-dismissal")

    async def _close(self, reason: str) -> None:
        with suppress(WebSocketDisconnected):
            await self.websocket.close_or_abort(4403, reason)


def _authorization(payload: dict[str, object]) -> bytes | None:
    """Return `authorization` of a payload, in any case: GraphiQL sends its headers as they are."""
    for name, value in payload.items():
        if name.lower() == "authorization" and isinstance(value, str):
            return value.encode("latin-1", errors="replace")
    return None
