"""The service is open to other machines only if somebody said so."""

import socket
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx

from tests.support.server import ROOT, ServerProcess, clean_environment, free_port
from tests.support.tokens import create_tokens
from tests.support.waiting import wait_until


def test_other_addresses_need_a_token(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, host="0.0.0.0")
    server.http.close()
    assert server.spawn().wait(20) != 0
    assert "Bistro92 can't start: no token has been created, and BISTRO92_HOST '0.0.0.0'" in (
        server.log
    )
    assert "python app.py token create" in server.log
    assert "BISTRO92_ALLOW_ANONYMOUS=true" in server.log
    assert "Traceback" not in server.log
    assert not server.path.exists()


async def test_with_a_token_any_address_will_do(tmp_path: Path) -> None:
    await create_tokens(tmp_path / "bistro92.db")
    with ServerProcess(tmp_path, host="0.0.0.0") as server:
        answer = server.http.post("/graphql", json={"query": "{ __typename }"})
        assert answer.status_code == 401


def test_anonymous_callers_are_let_in_by_a_setting(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, host="0.0.0.0", allow_anonymous=True) as server:
        headers = {"x-forwarded-for": "203.0.113.9"}
        answer = server.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
        assert answer.json() == {"data": {"__typename": "Query"}}
        assert "EVERYONE who reaches 0.0.0.0 may do everything" in server.log


def _address_of_this_machine() -> str | None:
    """Return an address of ours that isn't a loopback address; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
    return None if address.startswith("127.") else address


def test_uvicorn_told_to_listen_everywhere_serves_this_machine_only(tmp_path: Path) -> None:
    """It doesn't tell the application where it listens: each connection does."""
    port = free_port()
    environment = clean_environment(
        database_url=f"sqlite+aiosqlite:///{tmp_path}/bistro92.db", allowed_hosts="*"
    )
    command = [sys.executable, "-m", "uvicorn", "app:app", "--host", "0.0.0.0", "--port", f"{port}"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    try:

        def ready() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(ready, "uvicorn to be ready")
        body = {"query": "{ orders { nodes { id } } }"}
        assert httpx.post(f"http://127.0.0.1:{port}/graphql", json=body).status_code == 200
        if (address := _address_of_this_machine()) is not None:
            answer = httpx.post(f"http://{address}:{port}/graphql", json=body)
            assert answer.status_code == 401
            assert "No token has been created" in answer.text
    finally:
        process.terminate()
        process.wait(20)
