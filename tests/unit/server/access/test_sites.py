"""Which names and origins are ours, by what is listened on and listed."""

import pytest

from server.access.sites import Sites
from server.settings import Settings


@pytest.mark.parametrize(
    ("given", "listed"),
    [
        ("HTTPS://Pos.Example.com", "https://pos.example.com"),
        ("https://pos.example.com:443", "https://pos.example.com"),
        ("http://pos:80", "http://pos"),
        ("http://pos:443", "http://pos:443"),
        ("http://[fd00::2]:3000", "http://[fd00::2]:3000"),
        ("app://bistro:80", "app://bistro:80"),
        ("com.example.pos://localhost", "com.example.pos://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("https://xn--caf-dma.example", "https://xn--caf-dma.example"),
    ],
)
def test_origin_is_listed_as_browsers_send_it(given: str, listed: str) -> None:
    assert Sites(Settings(allowed_origins=given).sites()).is_listed_origin(listed.encode())


@pytest.mark.parametrize(
    ("host", "allowed", "name", "expected"),
    [
        ("127.0.0.1", "", "localhost", True),
        ("127.0.0.1", "", "[::1]:8000", True),
        ("127.0.0.1", "", "192.168.1.5:8000", False),
        ("192.168.1.5", "", "192.168.1.5:8000", True),
        ("192.168.1.5", "", "localhost:8000", True),
        ("0.0.0.0", "", "192.168.1.5:8000", True),
        ("0.0.0.0", "", "[fd00::2]:8000", True),
        ("::", "", "[fd00::2]", True),
        ("0.0.0.0", "", "bistro.local:8000", False),
        ("0.0.0.0", "Bistro.local", "bistro.LOCAL:8000", True),
        ("0.0.0.0", "*", "anything.example", True),
        ("0.0.0.0", "*", "", False),
        ("fd00::2", "", "[fd00::2]:8000", True),
    ],
)
def test_names_by_what_is_listened_on(host: str, allowed: str, name: str, expected: bool) -> None:
    sites = Sites(Settings(host=host, allowed_hosts=allowed).sites())
    assert sites.is_own_host(name.encode()) is expected
