"""Clients of other languages, as they are by default: most offer an upgrade to HTTP/2."""

import json
import subprocess

import pytest

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.programs import find
from tests.support.server import ROOT, ServerProcess

pytestmark = pytest.mark.sqlite


def bodies(*tables: str) -> list[str]:
    return [
        json.dumps({"query": CREATE_ORDER, "variables": {"input": soup_input(table)}})
        for table in tables
    ]


def tables(output: str) -> list[str]:
    """Return the tables of the orders in answers, one a line."""
    answers = [json.loads(line)["data"]["createOrder"]["order"] for line in output.splitlines()]
    return [order["table"] for order in answers]


def test_java_places_orders_with_its_own_client(server: ServerProcess) -> None:
    program = str(ROOT / "tests/support/java/PlaceOrder.java")
    find("javac")
    command = [find("java"), program, f"{server.url}/graphql", *bodies("1", "2", "3")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert tables(done.stdout) == ["1", "2", "3"]


def test_curl_that_would_speak_http_2(server: ServerProcess) -> None:
    command = [find("curl"), "--no-progress-meter", "--http2"]
    for body in bodies("1", "2"):
        command += ["--json", body, "-w", "\\n", f"{server.url}/graphql", "--next", "--http2"]
    done = subprocess.run(command[:-2], capture_output=True, text=True, check=True)
    assert tables(done.stdout) == ["1", "2"]
