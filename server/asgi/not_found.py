"""Answers to what isn't there, in the shape of all others: JSON, with a code, and counted."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from execution.codes import Code
from server.access.open_routes import API
from server.asgi.responses import error_body, refuse

_MESSAGE = f"There is nothing at this path. The API is at {API}."


async def _not_found(_request: Request, _error: Exception) -> Response:
    return Response(error_body(Code.NOT_FOUND, _MESSAGE), 404, media_type="application/json")


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    allowed = error.headers if isinstance(error, HTTPException) else None
    body = error_body(Code.METHOD_NOT_ALLOWED, f"{request.method} is not supported here.")
    return Response(body, 405, allowed, media_type="application/json")


REFUSALS_BY_STATUS = {404: _not_found, 405: _method_not_allowed}


async def refuse_other_sockets(socket: WebSocket) -> None:
    """Refuse a handshake at a path where there is no socket."""
    await refuse(socket.scope, socket.send, Code.NOT_FOUND, _MESSAGE)
