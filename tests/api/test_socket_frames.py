"""Messages in frames of every legal kind, in pieces of every size: each is answered, once.

A plain frame that comes by itself is read past the library's parser, and a known answer is sent
past the socket's task. Neither may lose a message, or take one for another.
"""

import asyncio
import json
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode

from tests.support.raw_socket import RawSocket, frame, open_raw_socket, text
from tests.support.server import ServerProcess

pytestmark = pytest.mark.sqlite

# Known after the first time; graphql-core's; refused; and one that waits for the writer.
DOCUMENTS = [
    "{ orders(first: 1) { nodes { id } } }",
    "{ __schema { queryType { name } } }",
    "{ nothing }",
    'mutation { createOrder(input: {table: "1", items: [{name: "Soup", quantity: 1}]}) '
    "{ order { id } } }",
]


def in_frames(message: bytes, way: str) -> bytes:
    half = len(message) // 2
    ping = frame(b"", Opcode.PING)
    if way == "fragments":
        return frame(message[:half], fin=False) + frame(message[half:], Opcode.CONT)
    if way == "fragments around a ping":
        return frame(message[:half], fin=False) + ping + frame(message[half:], Opcode.CONT)
    if way == "behind a ping":
        return ping + frame(message)
    size = {"small": 0, "medium": 300, "large": 70_000}[way]
    return frame(message + b" " * max(0, size - len(message)))


WAYS = ["small", "medium", "large", "fragments", "fragments around a ping", "behind a ping"]


async def ended(client: RawSocket, count: int) -> Counter[str]:
    """Receive until so many operations have ended; return how often each has."""
    ids: Counter[str] = Counter()
    while sum(ids.values()) < count:
        received = await client.receive()
        assert received is not None
        assert received.opcode in (Opcode.TEXT, Opcode.PONG), received
        message = json.loads(received.payload or b"{}")
        if message.get("type") in ("complete", "error"):
            ids[message["id"]] += 1
    return ids


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    chosen=st.lists(
        st.tuples(st.sampled_from(DOCUMENTS), st.sampled_from(WAYS)), min_size=1, max_size=12
    ),
    cuts=st.lists(st.sampled_from([1, 2, 4, 6, 50, 130, 500]), max_size=20),
    is_whole=st.booleans(),
)
def test_each_message_is_answered_once(
    shared_server: ServerProcess, chosen: list[tuple[str, str]], cuts: list[int], is_whole: bool
) -> None:
    messages = [
        in_frames(
            json.dumps({"type": "subscribe", "id": f"{n}", "payload": {"query": query}}).encode(),
            way,
        )
        for n, (query, way) in enumerate(chosen)
    ]

    async def exchange() -> None:
        async with open_raw_socket(shared_server.port) as client:
            await client.send(text({"type": "connection_init"}))
            assert await client.outcome() == "pong"
            if is_whole:
                await client.send(*messages)
            else:
                data, start = b"".join(messages), 0
                for length in cuts:
                    await client.send(data[start : start + length])
                    await asyncio.sleep(0)  # another piece, for the server too
                    start += length
                await client.send(data[start:])
            assert await ended(client, len(chosen)) == {f"{n}": 1 for n in range(len(chosen))}
            assert await client.outcome() == "pong"

    asyncio.run(exchange())


async def test_rest_of_a_frame_is_not_taken_for_a_frame(shared_server: ServerProcess) -> None:
    """The client chooses the mask: it may look like the beginning of a plain frame."""
    message = json.dumps({"type": "ping", "payload": {}}).encode()
    mask = bytes([0x81, 0x80 | (len(message) - 2), 1, 2])
    masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(message))
    async with open_raw_socket(shared_server.port) as client:
        await client.send(text({"type": "connection_init"}))
        assert await client.outcome() == "pong"
        await client.send(bytes([0x81, 0x80 | len(message)]))
        assert shared_server.http.get("/healthz").status_code == 200  # the header has been read
        await client.send(mask + masked)
        assert await client.outcome(ask=False) == "pong"


async def test_plain_frame_amid_fragments_breaks_the_protocol(shared_server: ServerProcess) -> None:
    async with open_raw_socket(shared_server.port) as client:
        await client.send(text({"type": "connection_init"}))
        assert await client.outcome() == "pong"
        await client.send(frame(b"{", fin=False))
        assert shared_server.http.get("/healthz").status_code == 200  # it has been read
        assert await client.outcome() == 1002
