"""`/healthz` and `/readyz`: what containers and balancers ask."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from db.errors import Bistro92Error
from server.asgi.state import find_state


async def healthz(_request: Request) -> Response:
    """Tell that the process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """Tell whether orders can be placed and read."""
    state = find_state(request.scope)
    if state is None:
        return _not_ready("starting")
    service = state.run.service
    if service.draining:
        return _not_ready("draining")
    if not service.writer.alive:
        return _not_ready("the writer has stopped")
    try:
        await service.reader.head()
        await service.log.refresh()
    except Bistro92Error as error:
        return _not_ready(str(error))
    return JSONResponse({"status": "ok"})


def _not_ready(status: str) -> Response:
    return JSONResponse({"status": status}, status_code=503)
