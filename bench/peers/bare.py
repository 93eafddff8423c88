"""The ceiling: a bare Starlette route that parses the order's JSON and answers. Stores nothing.

It runs with Bistro92's own server options, so what is left between the two is Bistro92's work.
"""

import os

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn import Server

from server.http.fast_path import FastPath
from server.logs import log_config
from server.settings import Settings
from server.wire.server import bind, server_config


async def _create_order(request: Request) -> Response:
    order = orjson.loads(await request.body())["variables"]["input"]
    answer = {"data": {"createOrder": {"order": {"id": "1", **order}, "errors": []}}}
    return Response(orjson.dumps(answer), media_type="application/json")


def main() -> None:
    """Serve on the port that the environment names."""
    app = Starlette(routes=[Route("/graphql", _create_order, methods=["POST"])])
    config = server_config(
        app,
        FastPath("", body_max_bytes=0),
        Settings().connection_limits(),
        message_max_bytes=0,
        log_config=log_config("warning", "console"),
    )
    Server(config).run(sockets=bind("127.0.0.1", int(os.environ["BENCH_PORT"])))


if __name__ == "__main__":
    main()
