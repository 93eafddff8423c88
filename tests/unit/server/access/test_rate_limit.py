"""Who is one client, and that counting many grows nothing."""

from typing import Any

import pytest

from db.tokens import Role
from resolvers.context import Caller
from server.access.clients import client_key
from server.access.rate_limit import AUTOMATIC_RATE, Limiter, RateLimit, parse_rate


def key_of(address: str | None, token_id: str | None = None) -> str:
    scope: dict[str, Any] = {"client": address and (address, 1)}
    return client_key(scope, Caller(Role.FLOOR, token_id))


def limit(text: str, **options: int) -> RateLimit:
    item = parse_rate(text)
    assert item is not None
    return RateLimit(item, **options)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("fe80::1%eth0", "fe80::2%eth1"),
    ],
)
def test_addresses_of_one_client(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("192.0.2.1", "192.0.2.2"), ("2001:db8:1:2::1", "2001:db8:1:3::1"), ("a proxy's", None)],
)
def test_addresses_of_two_clients(one: str, other: str | None) -> None:
    assert key_of(one) != key_of(other)


def test_token_counts_before_the_address() -> None:
    assert key_of("192.0.2.1", token_id="7") == key_of("192.0.2.2", token_id="7")
    assert key_of("192.0.2.1", token_id="7") != key_of("192.0.2.1", token_id="8")
    assert key_of("192.0.2.1", token_id="192.0.2.1") != key_of("192.0.2.1")


def test_client_is_refused_until_its_window_ends() -> None:
    rate = limit("3/hour")
    assert [rate.seconds_to_wait("a") for _ in range(3)] == [0, 0, 0]
    assert 3590 < rate.seconds_to_wait("a") <= 3600
    assert rate.seconds_to_wait("b") == 0
    assert limit("1/second").seconds_to_wait("a") == 0


def test_ever_new_clients_grow_nothing() -> None:
    rate = limit("1/hour", max_clients=1000)
    for number in range(100_000):
        assert rate.seconds_to_wait(str(number)) == 0
    assert len(rate.windows) == 1000
    assert rate.seconds_to_wait("99999") > 0, "the newest are known"
    assert rate.seconds_to_wait("99000") > 0


def test_windows_that_have_ended_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("server.access.rate_limit.time.monotonic", lambda: now)
    rate = limit("1/second")
    for number in range(100):
        rate.seconds_to_wait(str(number))
    assert rate.seconds_to_wait("7") == 1
    now = 1.0
    assert rate.seconds_to_wait("7") == 0
    assert len(rate.windows) == 1


def times_until_refused(limiter: Limiter, caller: Caller) -> int | None:
    scope: dict[str, Any] = {"client": ("127.0.0.1", 1)}
    allowed = int(AUTOMATIC_RATE.partition("/")[0])
    for times in range(2 * allowed):
        if limiter.count(scope, caller) is not None:
            return times
    return None


def test_automatic_limit_spares_only_a_service_that_is_open_to_its_own_machine() -> None:
    device, anybody = Caller(Role.FLOOR, "7"), Caller(Role.MANAGER, None)
    assert times_until_refused(Limiter("automatic", allow_anonymous=False), device) == 1000
    assert times_until_refused(Limiter("automatic", allow_anonymous=False), anybody) is None
    assert times_until_refused(Limiter("automatic", allow_anonymous=True), anybody) == 1000
    assert times_until_refused(Limiter("off", allow_anonymous=True), anybody) is None
