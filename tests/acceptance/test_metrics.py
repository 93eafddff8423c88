"""Metrics of a running server: each says what happened, and reading them holds up nobody."""

import asyncio
import json
import signal
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from db.tokens import Role
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import Screen, open_screen, open_socket
from tests.support.server import ServerProcess, free_port
from tests.support.tokens import create_tokens
from tests.support.waiting import until, wait_until

Samples = dict[str, float]
_SCRAPES = 50


class MeasuredServer(ServerProcess):
    """A server whose metrics are read."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.metrics_port = free_port()
        super().__init__(folder, None, metrics_port=self.metrics_port, **settings)

    def scrape(self) -> Samples:
        """Return every sample by its name and labels."""
        address = f"http://127.0.0.1:{self.metrics_port}/metrics"
        text = httpx.get(address, timeout=10).raise_for_status().text
        return {
            sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def refusals(self) -> Samples:
        """Return how often what was refused, by code."""
        return {
            name.split()[1]: count
            for name, count in self.scrape().items()
            if name.startswith("bistro92_rejections_total")
        }


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[MeasuredServer]:
    # The longest that orders may wait for a lock: a test that holds one must not be hurried.
    server = MeasuredServer(tmp_path, busy_timeout_ms=2500)
    with server:
        yield server


def test_orders_batches_and_commits_are_counted(measured: MeasuredServer) -> None:
    for _ in range(3):
        measured.data(CREATE_ORDER, input=soup_input(key="one"))
    for _ in range(4):
        measured.data(CREATE_ORDER, input=soup_input())
    found = measured.scrape()
    assert found["bistro92_orders_total"] == 5
    assert found["bistro92_log_head"] == 5
    assert found["bistro92_batch_orders_count"] == 7
    assert found["bistro92_batch_orders_sum"] == 7
    assert found["bistro92_batch_orders_bucket 1.0"] == 7
    assert found["bistro92_commit_seconds_count"] == 7
    assert 0 < found["bistro92_commit_seconds_sum"] < 7
    assert found["bistro92_queue_orders"] == 0
    assert found["bistro92_failed_batches_total"] == 0
    assert found["bistro92_writer_up"] == 1
    assert found["bistro92_wal_bytes"] == Path(f"{measured.path}-wal").stat().st_size
    assert found["process_open_fds"] > 5


async def test_waiting_orders_and_their_batch_are_seen(measured: MeasuredServer) -> None:
    def waiting() -> bool:
        return measured.scrape()["bistro92_queue_orders"] == 7

    async with open_screen(measured.socket_url) as screen:
        with measured.held_lock():
            await screen.subscribe(CREATE_ORDER, operation="first", input=soup_input())
            await screen.settle()  # the writer has it by now, and waits for the lock
            for number in range(7):
                await screen.subscribe(CREATE_ORDER, operation=f"{number}", input=soup_input())
            await until(waiting, "one order to be with the writer, and seven to wait")
        await until(lambda: measured.scrape()["bistro92_orders_total"] == 8, "the orders")
    found = measured.scrape()
    assert found["bistro92_queue_orders"] == 0
    assert found["bistro92_batch_orders_bucket 1.0"] == 1
    assert found["bistro92_batch_orders_bucket 10.0"] == 2


async def test_each_refusal_is_counted_once_under_its_code(measured: MeasuredServer) -> None:
    blank = soup_input(table=" ", quantity=0)
    measured.data(CREATE_ORDER, input=blank)
    measured.data(CREATE_ORDER, input=soup_input(key="k"))
    measured.data(CREATE_ORDER, input=soup_input(table="2", key="k"))
    measured.execute("{ orders(after: $gone) { nodes { id } } }")
    measured.execute(CREATE_ORDER, input={"table": 1, "items": []})
    measured.execute('{ orders(after: "x") { nodes { id } } }')
    measured.execute('{ a: orders(after: "x") { nodes { id } } __typename }')
    measured.post(b"x" * 200_000)
    hash_only = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0"}}}
    measured.post(json.dumps(hash_only).encode())
    async with open_screen(measured.socket_url) as screen:
        await screen.send({"id": "1", "type": "subscribe", "payload": hash_only})
        await screen.error()
    for offered in ([Subprotocol("graphql-ws")], None):
        async with connect(measured.socket_url, subprotocols=offered) as socket:
            await Screen(socket).closed()
    assert measured.refusals() == {
        "BLANK": 1,
        "QUANTITY_OUT_OF_RANGE": 1,
        "IDEMPOTENCY_KEY_REUSED": 1,
        "GRAPHQL_VALIDATION_FAILED": 1,
        "BAD_USER_INPUT": 1,
        "BAD_CURSOR": 2,
        "BODY_TOO_LARGE": 1,
        "PERSISTED_QUERY_NOT_SUPPORTED": 2,
        "SUBPROTOCOL_NOT_ACCEPTABLE": 2,
    }


async def open_sockets(server: ServerProcess, count: int) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(open_socket(server.socket_url))


async def test_each_refusal_on_a_socket_is_counted_once(tmp_path: Path) -> None:
    token = (await create_tokens(tmp_path / "bistro92.db"))[Role.KITCHEN]
    settings = {"websocket_max_operations": 1, "max_websockets": 3, "rate_limit": "4/hour"}
    twice = {"query": "query A { __typename } query B { __typename }"}
    odd = {"query": "{ __typename }", "variables": []}
    invalid = {"query": "{ nothing }"}
    with MeasuredServer(tmp_path, **settings) as server:
        assert server.refusals() == {}
        async with open_socket(server.socket_url) as stranger:
            await stranger.send({"type": "connection_init"})
            assert (await stranger.closed())[0] == 4403
        async with open_socket(server.socket_url) as hasty:
            await hasty.send({"type": "subscribe", "id": "1", "payload": invalid})
            assert (await hasty.closed())[0] == 4401
        async with open_screen(server.socket_url, token) as screen:
            for payload in (twice, odd, invalid):
                await screen.send({"type": "subscribe", "id": "1", "payload": payload})
                await screen.error()
            await screen.subscribe(FOLLOW, operation="2")  # the last that the rate allows
            await screen.settle()
            await screen.send({"type": "subscribe", "id": "3", "payload": invalid})
            assert (await screen.error())["extensions"]["code"] == "RATE_LIMITED"
        with pytest.raises(InvalidStatus):
            await open_sockets(server, 4)
        assert server.refusals() == {
            "UNAUTHENTICATED": 1,
            "4401": 1,
            "OPERATION_RESOLUTION_FAILURE": 1,
            "BAD_REQUEST": 1,
            "GRAPHQL_VALIDATION_FAILED": 1,
            "RATE_LIMITED": 1,
            "TOO_MANY_SOCKETS": 1,
        }


async def test_closing_a_socket_for_its_client_s_fault_is_counted(measured: MeasuredServer) -> None:
    ping = json.dumps({"type": "ping"})
    for messages, code in (
        (["x" * 200_000], 1009),
        ([7], 4400),
        ([{"type": "connection_init"}] * 2, 4429),
        ([{"type": "connection_init"}, *[subscribe("1")] * 2], 4409),
    ):
        async with open_socket(measured.socket_url) as socket:
            for message in messages:
                await socket.send(message)
            assert (await socket.closed())[0] == code
        assert measured.refusals()[str(code)] == 1
    async with open_socket(measured.socket_url) as socket:
        await socket.socket.send(b"\xff", text=True)
        assert (await socket.closed())[0] == 1007
    assert measured.refusals()["1007"] == 1
    async with open_screen(measured.socket_url) as socket:
        await socket.send(ping)
    assert sum(measured.refusals().values()) == 5, "a socket that ends well is none"


def subscribe(identifier: str) -> dict[str, object]:
    return {"type": "subscribe", "id": identifier, "payload": {"query": FOLLOW}}


async def test_operation_beyond_the_limit_of_its_socket_is_counted(tmp_path: Path) -> None:
    with MeasuredServer(tmp_path, websocket_max_operations=1) as server:
        async with open_screen(server.socket_url) as screen:
            await screen.subscribe(FOLLOW)
            await screen.settle()
            await screen.subscribe(FOLLOW, operation="2")
            assert (await screen.error())["extensions"]["code"] == "TOO_MANY_OPERATIONS"
        assert server.refusals() == {"TOO_MANY_OPERATIONS": 1}


async def test_screens_and_how_far_the_slowest_is_behind(measured: MeasuredServer) -> None:
    items = [{"name": "x" * 100, "quantity": 1}] * 100
    async with (
        open_screen(measured.socket_url) as slow,
        open_screen(measured.socket_url) as live,
        open_screen(measured.socket_url),
    ):
        for screen in (slow, live):
            await screen.subscribe(FOLLOW)
            await screen.settle()
        found = measured.scrape()
        assert (found["bistro92_sockets"], found["bistro92_subscriptions"]) == (3, 2)
        slow.socket.transport.pause_reading()
        for number in range(400):
            measured.data(CREATE_ORDER, input={"table": f"{number}", "items": items})
        await live.orders(400)
        behind = measured.scrape()["bistro92_slowest_screen_entries"]
        assert 50 < behind <= 400
        slow.socket.transport.resume_reading()
        await slow.orders(400)

        def caught_up() -> bool:
            found = measured.scrape()
            return (
                found["bistro92_slowest_screen_entries"],
                found["bistro92_deliveries_total"],
            ) == (0, 800)

        await until(caught_up, "every delivery to be counted")
    await until(lambda: measured.scrape()["bistro92_sockets"] == 0, "the sockets to be gone")
    assert measured.scrape()["bistro92_subscriptions"] == 0


async def test_scrape_with_many_screens_costs_little(measured: MeasuredServer) -> None:
    """Twenty sockets with a hundred subscriptions each are 2,000 places to look at."""
    async with AsyncExitStack() as stack:
        screens: list[Screen] = [
            await stack.enter_async_context(open_screen(measured.socket_url)) for _ in range(20)
        ]
        for screen in screens:
            for number in range(100):
                await screen.subscribe(FOLLOW, operation=f"{number}")
            await screen.settle()
        assert measured.scrape()["bistro92_subscriptions"] == 2000
        before = sum(measured.process.cpu_times()[:2])
        for _ in range(_SCRAPES):
            await asyncio.to_thread(measured.scrape)
        each = (sum(measured.process.cpu_times()[:2]) - before) / _SCRAPES
    assert each < 0.02, f"{each} s of processor for a scrape"


def test_stuck_event_loop_is_seen_afterwards(measured: MeasuredServer) -> None:
    """A stopped process is stuck as a whole: no beat of the loop is on time."""
    measured.process.send_signal(signal.SIGSTOP)
    # This one waits until it goes on: half a second is what is measured, not waited for.
    time.sleep(0.5)
    measured.process.send_signal(signal.SIGCONT)

    def late_beats() -> float:
        found = measured.scrape()
        name = "bistro92_event_loop_lag_seconds"
        return found[f"{name}_count"] - found[f"{name}_bucket 0.25"]

    wait_until(lambda: late_beats() >= 1, "the late beat")


def test_no_metrics_unless_asked_for_and_never_on_the_orders_port(
    tmp_path: Path, measured: MeasuredServer
) -> None:
    assert measured.http.get("/metrics").status_code == 404
    listening = [c.laddr for c in measured.process.net_connections() if c.status == "LISTEN"]
    assert {address.ip for address in listening} == {"127.0.0.1"}
    (tmp_path / "plain").mkdir()
    with ServerProcess(tmp_path / "plain") as plain:
        ports = [c.laddr.port for c in plain.process.net_connections() if c.status == "LISTEN"]
        assert ports == [plain.port]


def test_busy_metrics_port_is_named(measured: MeasuredServer, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    second = ServerProcess(tmp_path / "second", metrics_port=measured.port)
    assert second.spawn().wait(20) != 0
    assert f"metrics: 127.0.0.1:{measured.port} can't be used: Address already in use" in second.log
    assert "Traceback" not in second.log
    second.http.close()
