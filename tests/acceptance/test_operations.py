"""docs/operations.md is true: its nginx runs in front of a server, its tables name what is."""

import asyncio
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.documents import OPERATIONS
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.programs import find, nginx_command
from tests.support.screen import Screen, open_screen
from tests.support.server import ROOT, ServerProcess, free_port
from tests.support.waiting import wait_until

(SITE,) = OPERATIONS.of("nginx")
PING_SECONDS = 0.25


def certify(folder: Path) -> None:
    """Make a certificate for this machine, signed by itself."""
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    command = [find("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", names]
    command += ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"]
    subprocess.run(command, check=True, capture_output=True)


class Nginx:
    """nginx with the manual's configuration, on ports of its own."""

    def __init__(self, server: ServerProcess, folder: Path, read_timeout: str) -> None:
        self.port, self.plain_port = free_port(), free_port()
        self._folder = folder
        self._site = SITE
        self.replace("listen 80;", f"listen 127.0.0.1:{self.plain_port};")
        self.replace("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;")
        self.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
        self.replace("/etc/ssl/orders.example.com.pem", f"{folder}/certificate.pem")
        self.replace("/etc/ssl/orders.example.com.key", f"{folder}/key.pem")
        self.replace("proxy_read_timeout 60s;", f"proxy_read_timeout {read_timeout};")
        certify(folder)
        self.tls = ssl.create_default_context(cafile=f"{folder}/certificate.pem")
        self.http = httpx.Client(base_url=f"https://localhost:{self.port}", verify=self.tls)
        self.socket_url = f"wss://localhost:{self.port}/graphql"

    def replace(self, text: str, by: str) -> None:
        assert self._site.count(text) == 1, text
        self._site = self._site.replace(text, by)

    @contextmanager
    def running(self) -> Iterator["Nginx"]:
        command = nginx_command(self._folder, self._site)
        with (self._folder / "nginx.log").open("wb") as log:
            process = subprocess.Popen(command, stderr=log)
        try:
            wait_until(lambda: process.poll() is not None or self._answers(), "nginx")
            assert process.poll() is None, (self._folder / "nginx.log").read_text()
            yield self
        finally:
            self.http.close()
            process.terminate()
            process.wait(10)

    def _answers(self) -> bool:
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that pings often, to be put behind a proxy."""
    server = ServerProcess(
        tmp_path_factory.mktemp("behind"),
        ping_interval_seconds=PING_SECONDS,
        log_format="json",
        allow_anonymous=True,  # one client claims an address that is not on this machine
    )
    with server:
        yield server


@pytest.fixture
def nginx(behind: ServerProcess, tmp_path: Path) -> Iterator[Nginx]:
    """A proxy that gives up a socket after four pings' time."""
    with Nginx(behind, tmp_path, f"{int(PING_SECONDS * 4000)}ms").running() as running:
        yield running


# What the manual said once: it passed on whatever a client offered.
ANY_UPGRADE = (
    ('    default   "";\n    websocket websocket;', "    default $http_upgrade;"),
    ("keepalive 64;", "keepalive 1;"),
)


@pytest.mark.parametrize("changes", [(), ANY_UPGRADE], ids=["manual's", "any upgrade"])
def test_nobody_writes_requests_for_others_on_the_proxys_connection(
    behind: ServerProcess, tmp_path: Path, changes: tuple[tuple[str, str], ...]
) -> None:
    """A stranger's body, and the next client on the same connection of nginx's."""
    attack = b"\r\n" * 60_000 + (
        b"GET /graphql?query={smuggled:__typename} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Ignore: "
    )
    nginx = Nginx(behind, tmp_path, "5s")
    for old, new in changes:
        nginx.replace(old, new)
    with nginx.running():
        for number in range(8):
            headers = {"connection": "Upgrade", "upgrade": "h2c"}
            with httpx.Client(verify=nginx.tls) as stranger:
                url = f"https://localhost:{nginx.port}/graphql"
                stranger.post(url, content=attack, headers=headers)
            body = {"query": CREATE_ORDER, "variables": {"input": soup_input(f"v{number}")}}
            answer = nginx.http.post("/graphql", json=body)
            assert answer.json()["data"]["createOrder"]["order"]["table"] == f"v{number}"
    listed = behind.data("{ orders(first: 8) { nodes { table } } }")["orders"]["nodes"]
    assert [each["table"] for each in listed] == [f"v{number}" for number in reversed(range(8))]


async def ping_from_server(screen: Screen) -> None:
    message = await asyncio.wait_for(screen.socket.recv(), 20)
    assert "ping" in str(message)
    await screen.send({"type": "pong"})


async def test_orders_and_screens_work_through_the_manuals_nginx(nginx: Nginx) -> None:
    async with open_screen(nginx.socket_url, ssl=nginx.tls) as screen:
        await screen.subscribe(FOLLOW)
        await screen.settle()
        body = {"query": CREATE_ORDER, "variables": {"input": soup_input("tls")}}
        response = nginx.http.post("/graphql", json=body)
        placed = response.json()["data"]["createOrder"]["order"]
        assert response.headers["x-request-id"]
        assert (await screen.orders(1))[0]["cursor"] == placed["cursor"]
        await screen.subscribe(CREATE_ORDER, operation="2", input=soup_input("socket"))
        message = await screen.receive()
        while message["id"] != "2":
            message = await screen.receive()
        assert message["payload"]["data"]["createOrder"]["order"]["table"] == "socket"
    listed = nginx.http.post("/graphql", json={"query": "{ orders { nodes { table } } }"})
    assert listed.json()["data"]["orders"]["nodes"][:2] == [{"table": "socket"}, {"table": "tls"}]
    plain = httpx.get(f"http://127.0.0.1:{nginx.plain_port}/graphql", follow_redirects=False)
    assert (plain.status_code, plain.headers["location"]) == (301, "https://127.0.0.1/graphql")


async def test_pings_keep_an_idle_socket_open_behind_the_proxy(nginx: Nginx) -> None:
    async with open_screen(nginx.socket_url, ssl=nginx.tls) as screen:
        for _ in range(12):  # three times what nginx waits for
            await ping_from_server(screen)
        await screen.settle()


async def test_proxy_that_waits_less_than_a_ping_cuts_the_socket(
    behind: ServerProcess, tmp_path: Path
) -> None:
    """The reason for the manual's rule; and without pings the test before this one would fail."""
    with Nginx(behind, tmp_path, "50ms").running() as hasty:
        async with open_screen(hasty.socket_url, ssl=hasty.tls) as screen:
            assert (await screen.closed())[0] == 1006


def clients(server: ServerProcess) -> set[str]:
    """Return the addresses that sockets came from, as the server logged them."""
    return set(re.findall(r"\"event\": \"([\d.]+):\d+ - .{1,3}WebSocket", server.log))


async def test_clients_address_is_the_one_that_the_proxy_saw(
    nginx: Nginx, behind: ServerProcess
) -> None:
    """This client has an address that is no trusted proxy's, and claims another."""
    claimed = {"x-forwarded-for": "203.0.113.6"}
    async with open_screen(
        nginx.socket_url,
        ssl=nginx.tls,
        local_addr=("127.0.0.2", 0),
        additional_headers=claimed,
    ):
        assert "127.0.0.2" in clients(behind)
    async with open_screen(
        behind.socket_url, local_addr=("127.0.0.3", 0), additional_headers=claimed
    ):
        assert "127.0.0.3" in clients(behind)
    assert "203.0.113.6" not in clients(behind)
    async with open_screen(behind.socket_url, additional_headers=claimed):
        assert "203.0.113.6" in clients(behind), "a trusted proxy is believed"


@pytest.mark.parametrize("proxies", ["192.0.2.0/24, 2001:db8::1", ""])
async def test_only_the_proxies_that_are_named_are_trusted(tmp_path: Path, proxies: str) -> None:
    with ServerProcess(
        tmp_path, trusted_proxies=proxies, log_format="json", allow_anonymous=True
    ) as server:
        claimed = {"x-forwarded-for": "203.0.113.6"}
        async with open_screen(server.socket_url, additional_headers=claimed):
            assert clients(server) == {"127.0.0.1"}


def test_manual_names_every_metric_and_no_other(tmp_path: Path) -> None:
    port = free_port()
    with ServerProcess(tmp_path, metrics_port=port):
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    exposed = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in text_string_to_metric_families(text)
    }
    named = re.findall(r"^\| `(bistro92_\w+)` \|", OPERATIONS.text, re.M)
    assert sorted(named) == sorted(name for name in exposed if name.startswith("bistro92_"))


def _pattern(output: str) -> str:
    """Return what fits the manual's output with any numbers and times."""
    return re.sub(r"\d+", lambda _: r"\d+", re.escape(output.strip()))


@pytest.mark.sqlite
def test_commands_of_the_manual_do_what_it_says(server: ServerProcess, tmp_path: Path) -> None:
    """Those of the service's user; root's change the machine."""
    folder = tmp_path / "backups"
    folder.mkdir()
    moved = (("/var/backups/bistro92", folder), ("/var/lib/bistro92/bistro92.db", server.path))
    environment = {**server.environment, "PATH": f"{ROOT}/.venv/bin:{os.environ['PATH']}"}
    for table in ("1", "2", "3"):
        server.data(CREATE_ORDER, input=soup_input(table))
    commands = list(OPERATIONS.commands())
    assert [command.split()[2] for command, _ in commands] == ["backup", "restore", "backup"]
    for command, output in commands:
        for text, path in moved:
            command, output = command.replace(text, str(path)), output.replace(text, str(path))
        if "restore" in command:
            assert server.stop() == 0
            (folder / "orders.db").rename(command.split()[-1])
        ended = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        expected = output or f"{command.split()[-1]}: 3 orders, log at 3."
        assert re.fullmatch(_pattern(expected), ended.stdout.strip()), ended.stdout
