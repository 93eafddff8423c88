"""Settings: misspelt or bad ones stop the start; the manual lists them all."""

import subprocess
import sys
from typing import Any, cast

import pytest
from starlette.applications import Starlette

from db.errors import StartError
from server.environment import load_settings
from server.http.fast_path import FastPath
from server.logs import log_config
from server.settings import Settings
from server.wire.server import server_config
from server.wire.websocket_protocol import FrameWritingProtocol
from tests.support.server import ROOT, clean_environment


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "BISTRO92_PROT",
            "1",
            "BISTRO92_PROT is not a setting of Bistro92. Did you mean BISTRO92_PORT?",
        ),
        ("BISTRO92_PORT", "80x", "BISTRO92_PORT: .*valid integer.*'80x'"),
        ("BISTRO92_PORT", "65536", "BISTRO92_PORT: .*65535"),
        ("BISTRO92_HOST", "", "BISTRO92_HOST"),
        ("BISTRO92_LOG_LEVEL", "loud", "BISTRO92_LOG_LEVEL"),
        ("BISTRO92_LOG_FORMAT", "xml", "BISTRO92_LOG_FORMAT"),
        ("BISTRO92_TRUSTED_PROXIES", "*", "BISTRO92_TRUSTED_PROXIES: .*'*'"),
        ("BISTRO92_TRUSTED_PROXIES", "127.0.0.1, proxy", "BISTRO92_TRUSTED_PROXIES: .*'proxy'"),
        *(
            ("BISTRO92_ALLOWED_ORIGINS", value, f"^BISTRO92_ALLOWED_ORIGINS: {message}")
            for value, message in {
                "*": r"\* can't be listed. It would let every web page in",
                "https://pos.example.com,null": "null can't be listed. Every web page can have",
                "file://": "file:// can't be listed. .* sends null",
                "file:///opt/pos.html": "file:///opt/pos.html can't be listed. .* sends null",
                "ws://pos:3000": "ws://pos:3000 can't be listed. .* http:// or https://",
                "https://pos.example.com/": "https://pos.example.com/ is no origin. .*a path",
                "capacitor://localhost/": "capacitor://localhost/ is no origin. .*a path",
                "https://*.example.com": r"https://\*.example.com is no origin.",
                "https://café.example": "https://café.example is no origin. .*in ASCII",
                "https://pos:65536": "https://pos:65536 is no origin",
                "pos.example.com": "pos.example.com is no origin. An origin looks like https://",
                "htps://pos.example.com": "htps://.* is no origin. Did you mean https://",
                "data:text/html,x": "data:text/html is no origin",
                "app://": "app:// is no origin",
            }.items()
        ),
        ("BISTRO92_METRICS_PORT", "-1", "BISTRO92_METRICS_PORT"),
        ("BISTRO92_BUSY_TIMEOUT_MS", "0", "BISTRO92_BUSY_TIMEOUT_MS"),
        ("BISTRO92_SILENCE_TIMEOUT_SECONDS", "10", "must be more than BISTRO92_PING_INTERVAL"),
        ("BISTRO92_RATE_LIMIT", "fast", "BISTRO92_RATE_LIMIT: .* such as `200/second`.*'fast'"),
        ("BISTRO92_RATE_LIMIT", "0/second", "BISTRO92_RATE_LIMIT"),
        ("BISTRO92_RATE_LIMIT", "9/second; 99/hour", "BISTRO92_RATE_LIMIT: .*one limit"),
        ("BISTRO92_DRAIN_TIMEOUT_SECONDS", "nan", "BISTRO92_DRAIN_TIMEOUT_SECONDS"),
    ],
)
def test_bad_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=message):
        load_settings()


def test_defaults_serve_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.database_url == "sqlite+aiosqlite:///bistro92.db"
    monkeypatch.setenv("BISTRO92_PORT", "9000")
    monkeypatch.setenv("BISTRO92_TEST_POSTGRES_URL", "for the tests only")
    assert load_settings().port == 9000


@pytest.mark.parametrize("command", [["app.py"], ["-m", "uvicorn", "app:app"]])
def test_bad_setting_ends_the_process_with_a_sentence(command: list[str]) -> None:
    environment = clean_environment(prot=1)
    ended = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert ended.stderr.strip().startswith("Bistro92 can't start: BISTRO92_PROT is not a setting")
    assert "Traceback" not in ended.stderr


def test_server_options_are_the_ones_that_screens_rely_on() -> None:
    config = server_config(
        Starlette(),
        FastPath("/graphql", body_max_bytes=1024),
        Settings().connection_limits(),
        message_max_bytes=1024,
        log_config=log_config("info", "console"),
    )
    config.load()
    assert cast("Any", config.ws_protocol_class).func is FrameWritingProtocol
    assert config.ws_ping_interval is None, "uvicorn would close with 1011, which is final"
    assert config.ws_per_message_deflate is False
    assert config.ws_max_size == 1024
    assert config.timeout_graceful_shutdown == 3
