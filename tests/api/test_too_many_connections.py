"""One connection too many of a client, or in all, is told so."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw_http import HANDSHAKE, RawClient, code_of, connected, request
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.sqlite

ORDERS = {"query": "{ orders { nodes { id } } }"}


@contextmanager
def connections(server: ServerProcess, count: int) -> Iterator[list[RawClient]]:
    """Open so many connections that have been heard of: each has asked and been answered."""
    with ExitStack() as stack:
        opened = [stack.enter_context(connected(server)) for _ in range(count)]
        for client in opened:
            client.send(request(ORDERS))
            client.data()
        yield opened


@pytest.mark.parametrize(
    ("settings", "status"),
    [
        ({"max_http_connections": 5}, 503),
        ({"max_http_connections_per_client": 5, "trusted_proxies": "192.0.2.1"}, 429),
    ],
    ids=["in all", "of one client"],
)
def test_one_connection_too_many_is_told_so(
    tmp_path: Path, settings: dict[str, Any], status: int
) -> None:
    with ServerProcess(tmp_path, **settings) as server:
        server.http.close()  # what it has asked so far has a connection
        with ExitStack() as stack, connections(server, 4) as opened:
            upgraded = stack.enter_context(connected(server))
            upgraded.send(HANDSHAKE)
            assert upgraded.answer()[0] == 101  # from here on it is counted with the sockets
            fifth = stack.enter_context(connected(server))
            fifth.send(request(ORDERS))
            assert fifth.data()
            with connected(server) as sixth:
                sixth.send(request(ORDERS))
                answered, headers, body = sixth.answer()
                assert (answered, code_of(body)) == (status, "TOO_MANY_CONNECTIONS")
                assert int(headers["retry-after"]) > 0
                assert sixth.is_closed()
            opened[0].close()

            def has_room() -> bool:
                with connected(server) as again, suppress(ConnectionError):
                    again.send(request(ORDERS))
                    return again.answer()[0] == 200
                return False

            wait_until(has_room, "room for another")


def test_a_trusted_proxy_is_not_one_client(tmp_path: Path) -> None:
    with (
        ServerProcess(tmp_path, max_http_connections_per_client=2) as server,
        connections(server, 10) as opened,
    ):
        assert len(opened) == 10
