"""Sockets that break every rule: each is told why with a code, and nobody else notices.

`BISTRO92_TEST_SOCKETS=10000` tries more of them than CI does.
"""

import asyncio
import json
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode

from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.raw_socket import RawSocket, frame, open_raw_socket, text
from tests.support.screen import open_screen
from tests.support.server import ServerProcess
from tests.support.waiting import DEADLINE_SECONDS

EXAMPLES = int(os.environ.get("BISTRO92_TEST_SOCKETS", "300"))
# RFC 6455: protocol error, not UTF-8, too large. The others are graphql-ws's.
ALLOWED = {1002, 1007, 1009, 4400, 4401, 4408, 4409, 4429}

INIT = {"type": "connection_init"}
QUERY = {"query": "{ __typename }"}


def subscribe(operation: object = "1", **payload: object) -> dict[str, Any]:
    return {"type": "subscribe", "id": operation, "payload": {"query": FOLLOW, **payload}}


CORPUS: dict[str, tuple[list[bytes], int | str]] = {
    "not UTF-8": ([frame(b'{"type": "\xff"}')], 1007),
    "UTF-8 cut in a fragment": (
        [frame(b"\xf0\x9f", fin=False), frame(b"\x8d\xa3", Opcode.CONT)],
        4400,
    ),
    "not UTF-8, in fragments": ([frame(b"\xf0", fin=False), frame(b"\x20", Opcode.CONT)], 1007),
    "binary": ([frame(b"{}", Opcode.BINARY)], 4400),
    "empty": ([frame(b"")], 4400),
    "fragments": (
        [
            frame(b'{"type":', fin=False),
            *[frame(b" ", Opcode.CONT, fin=False)] * 500,
            frame(b'"ping"}', Opcode.CONT),
        ],
        "pong",
    ),
    "a ping between fragments": (
        [frame(b'{"type":', fin=False), frame(b"x", Opcode.PING), frame(b'"pong"}', Opcode.CONT)],
        "pong",
    ),
    "a message between fragments": ([frame(b"{", fin=False), text(INIT)], 1002),
    "a continuation of nothing": ([frame(b"{}", Opcode.CONT)], 1002),
    "a fragmented ping": ([frame(b"", Opcode.PING, fin=False)], 1002),
    "a large ping": ([frame(b"x" * 126, Opcode.PING)], 1002),
    "a reserved bit": ([frame(b"{}", rsv1=True)], 1002),
    "a reserved opcode": ([b"\x83\x80\x00\x00\x00\x00"], 1002),
    "no mask": ([b"\x81\x02{}"], 1002),
    "a pong nobody asked for": ([frame(b"x", Opcode.PONG)], "pong"),
    "too large": ([frame(b"x" * 131_073)], 1009),
    "far too large": ([frame(b"x" * 30_000_000)], 1009),
    "a size that is announced": ([b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0"], 1009),
    "too large, in fragments": (
        [frame(b" " * 65_536, fin=False), *[frame(b" " * 65_536, Opcode.CONT, fin=False)] * 20],
        1009,
    ),
    "many after a bad one": ([frame(b"?"), *[text({"type": "ping"})] * 20_000], 4400),
    "deep": ([frame(b"[" * 131_072)], 4400),
    "deep and complete": ([frame(b"[" * 60_000 + b"]" * 60_000)], 4400),
    "a deep payload": (
        [frame(b'{"type":"pong","payload":{"a":%b}}' % (b"[" * 900 + b"]" * 900))],
        "pong",
    ),
    "a huge number": ([frame(b'{"type": ' + b"9" * 100_000 + b"}")], 4400),
    "not a number": ([frame(b'{"type": "ping", "payload": {"x": NaN}}')], 4400),
    "a byte order mark": ([frame(b'\xef\xbb\xbf{"type": "ping"}')], 4400),
    "an odd payload of ping": ([text({"type": "ping", "payload": 7})], 4400),
    "an odd payload of pong": ([text({"type": "pong", "payload": []})], 4400),
    "no payload of ping": ([text({"type": "ping", "payload": None})], "pong"),
    "unknown": ([text({"type": "start", "id": "1"})], 4400),
    "unknown and no text": ([frame(rb'{"type": "\ud800"}')], 4400),
    "a message of the server's": ([text({"type": "connection_ack"})], 4400),
    "next": ([text(INIT), text({"type": "next", "id": "1", "payload": {}})], 4400),
    "subscribe before init": ([text(subscribe())], 4401),
    "complete before init": ([text({"type": "complete", "id": "1"})], "pong"),
    "init twice": ([text(INIT), text(INIT)], 4429),
    "init with an odd payload": ([text({**INIT, "payload": [1]})], 4400),
    "an id in use": ([text(INIT), text(subscribe()), text(subscribe())], 4409),
    "an id in use that is no text": (
        [text(INIT), text(subscribe("\ud800")), text(subscribe("\ud800"))],
        4409,
    ),
    "an id used again": (
        [text(INIT), *[text(subscribe()), text({"type": "complete", "id": "1"})] * 50],
        "pong",
    ),
    "the longest id": ([text(INIT), text(subscribe("é" * 256))], "pong"),
    "a longer id": ([text(INIT), text(subscribe("é" * 257))], 4400),
    "an odd id": ([text(INIT), text(subscribe(7))], 4400),
    "complete of nothing": ([text(INIT), text({"type": "complete", "id": "none"})], "pong"),
    "odd variables": ([text(INIT), text(subscribe(variables=[]))], "pong"),
    "odd extensions": ([text(INIT), text(subscribe(extensions="x"))], "pong"),
    "an odd operation name": ([text(INIT), text(subscribe(operationName=7))], "pong"),
    "an odd query": ([text(INIT), text(subscribe(query=7))], "pong"),
    "odd variables before init": ([text(subscribe(variables=[]))], 4401),
    "a name that is no text": ([text(INIT), text(subscribe(operationName="\ud800"))], "pong"),
    "a query that is no text": ([text(INIT), text(subscribe(query="\ud800"))], "pong"),
    "a deep query": ([text(INIT), text(subscribe(query="{a" * 30_000))], "pong"),
    "a close of one byte": ([frame(b"x", Opcode.CLOSE)], 1002),
    "a close with a reserved code": ([frame(b"\x03\xed", Opcode.CLOSE)], 1002),
    "a close that is not UTF-8": ([frame(b"\x03\xe8\xff", Opcode.CLOSE)], 1007),
    "a close": ([frame(b"\x03\xe8", Opcode.CLOSE) + text(INIT) * 2], 1000),
    "a close without a code": ([frame(b"", Opcode.CLOSE) + text(INIT)], 1005),
}  # fmt: skip


def assert_quiet(server: ServerProcess, since: int = 0) -> None:
    said = server.log[since:]
    for sign in ("Traceback", "ERROR", "WARNING", "xception", "unexpected"):
        before, found, after = said.partition(sign)
        assert not found, before[-500:] + found + after[:3000]


@pytest.mark.parametrize("name", CORPUS)
async def test_broken_rule_has_its_code(shared_server: ServerProcess, name: str) -> None:
    frames, expected = CORPUS[name]
    since = len(shared_server.log)
    async with open_raw_socket(shared_server.port) as socket:
        await socket.send(*frames)
        # Whoever has closed and sends on may lose the answer on the way.
        assert await socket.outcome(ask=not name.startswith("a close")) == expected
    assert_quiet(shared_server, since)


odd: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
)
odd |= st.lists(st.integers(), max_size=2) | st.dictionaries(st.text(max_size=3), st.integers())
ids = st.sampled_from(["1", "2", "\ud800", "x" * 200]) | st.text(max_size=4)
queries = st.sampled_from(
    [
        FOLLOW,
        CREATE_ORDER,
        "{ orders { nodes { id } } }",
        "{ serverTime }",
        "{ __typename }",
        "{ nothing }",
        "{",
        "",
        "query A { a: __typename } query B { b: __typename }",
        "fragment F on Query { ...F } { ...F }",
    ]
) | st.text(max_size=20)
variables = st.sampled_from([None, {}, {"last": 3}, {"after": "x"}, {"last": -1}, {"input": 7}])
payloads = st.fixed_dictionaries(
    {"query": queries},
    optional={
        "variables": variables | odd,
        "operationName": st.sampled_from([None, "A", "C"]) | odd,
        "extensions": odd,
    },
)
kinds = ["connection_init", "ping", "pong", "subscribe", "complete", "next", "error", "x"]
messages = st.fixed_dictionaries(
    {"type": st.sampled_from(kinds) | odd},
    optional={"id": ids | odd, "payload": payloads | odd},
)
few_ids = st.sampled_from(["1", "2", "3"])
good_payloads = st.fixed_dictionaries({"query": queries, "variables": variables})
good_messages = st.one_of(
    st.builds(lambda id_: {"type": "complete", "id": id_}, few_ids),
    *[
        st.fixed_dictionaries(
            {"type": st.just("subscribe"), "id": few_ids, "payload": good_payloads}
        )
    ]
    * 3,
)


@st.composite
def fragmented(draw: Any, whole: bytes) -> bytes:
    """Cut a message into frames, with control frames between them."""
    cuts = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    frames = [
        frame(part, Opcode.CONT if number else Opcode.TEXT, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    return frame(b"between", Opcode.PING).join(frames)


good_steps = good_messages.map(text) | good_messages.flatmap(
    lambda message: fragmented(json.dumps(message).encode())
)
steps = st.one_of(
    good_steps,
    st.just(text(INIT)),
    messages.map(text),
    messages.flatmap(lambda message: fragmented(json.dumps(message).encode())),
    st.binary(max_size=40).map(frame),
    st.builds(
        lambda payload, opcode, fin, rsv: frame(payload, opcode, fin=fin, rsv1=rsv == 0),
        st.binary(max_size=130),
        st.sampled_from(list(Opcode)),
        st.booleans(),
        st.integers(0, 9),
    ),
    # No frame at all, and then enough to complete whatever frame it may have begun.
    st.binary(max_size=20).map(lambda begun: begun + bytes(140_000)),
)
sequences = st.lists(good_steps, min_size=2, max_size=8) | st.lists(steps, min_size=1, max_size=8)


async def attack(server: ServerProcess, sent: list[bytes], ending: str) -> int | str:
    """Send frames, and leave in one of several ways, or ask what has become of the socket."""
    async with open_raw_socket(server.port) as socket:
        if ending == "at once":
            await socket.send(b"".join(sent))
            socket.abort()
            return "aborted"
        await socket.send(*sent)
        if ending == "abort":
            socket.abort()
            return "aborted"
        return await outcome_of(socket, sent)


async def outcome_of(socket: RawSocket, sent: list[bytes]) -> int | str:
    outcome = await socket.outcome()
    if outcome not in ALLOWED and outcome != "pong":
        # The server echoes the code of a close frame; a frame that is not finished waits for ever.
        assert any(data[:1] == b"\x88" for data in sent), (outcome, sent)
    return outcome


async def watch(server: ServerProcess, ready: threading.Event) -> list[str]:
    """Follow the orders on another socket, to the last one; return their tables."""
    seen: list[str] = []
    async with open_screen(server.socket_url) as screen:
        await screen.subscribe(FOLLOW)
        await screen.settle()
        ready.set()
        while "last" not in seen:
            seen.append((await screen.next())["orderCreated"]["table"])
    return seen[:-1]


def test_any_sequence_of_frames_ends_with_a_code_and_harms_nobody(server: ServerProcess) -> None:
    outcomes: Counter[int | str] = Counter()

    @given(sequences, st.sampled_from(["ask", "ask", "ask", "abort", "at once"]), st.integers(0, 9))
    @settings(
        max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    def run(sent: list[bytes], ending: str, chance: int) -> None:
        frames = [text(INIT), *sent] if chance else sent
        number = outcomes.total()
        outcomes[loop.run(attack(server, frames, ending))] += 1
        if number % 20 == 0:
            server.data(CREATE_ORDER, input=soup_input(f"{number}"))

    with asyncio.Runner() as loop, ThreadPoolExecutor() as threads:
        ready = threading.Event()
        witness = threads.submit(lambda: asyncio.run(watch(server, ready)))
        assert ready.wait(DEADLINE_SECONDS)
        try:
            run()
        finally:
            server.data(CREATE_ORDER, input=soup_input("last"))
            seen = witness.result(DEADLINE_SECONDS)
    print(dict(outcomes))  # noqa: T201 - shown with -s
    # If all sockets ended alike, this would prove nothing.
    assert len(outcomes) >= 5, outcomes
    assert seen == [str(number) for number in range(0, EXAMPLES, 20)]
    assert_quiet(server)
