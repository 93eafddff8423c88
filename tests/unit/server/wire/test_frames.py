"""Plain frames, read and written without the library: the same as with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from server.wire.frames import text_frame, text_of

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000]


def parsed(data: bytes) -> list[object]:
    """Return what the library makes of bytes: whole frames, then an error if there is one."""
    connection = ServerProtocol(state=State.OPEN, max_size=None)
    connection.receive_data(data)
    return [*connection.events_received(), *filter(None, [connection.parser_exc])]


@pytest.mark.parametrize("size", SIZES)
def test_frame_is_the_one_that_websockets_writes(size: int) -> None:
    payload = b"x" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("change", [0, 1, -1])
def test_frame_of_a_client_is_read_if_it_is_whole(size: int, change: int) -> None:
    payload = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    data = Frame(Opcode.TEXT, payload).serialize(mask=True)
    changed = data + b"x" if change > 0 else data[:change] if change else data
    assert text_of(changed) == (payload if size < 65_536 and not change else None)


@pytest.mark.parametrize("first", range(256))
@pytest.mark.parametrize("mask", [True, False])
def test_only_a_plain_text_is_read(first: int, mask: bool) -> None:
    data = bytes([first]) + Frame(Opcode.TEXT, b"text").serialize(mask=mask)[1:]
    assert text_of(data) == (b"text" if first == 0x81 and mask else None)


@given(
    st.tuples(
        st.sampled_from([b"\x81\x80", b"\x81\x83", b"\x81\xfe\x00\x03", b"\x81\xfe\x00\x7e"]),
        st.binary(max_size=140),
    ).map(b"".join)
    | st.binary(max_size=20)
)
def test_what_is_read_is_what_the_library_reads(data: bytes) -> None:
    text = text_of(data)
    assert text is None or parsed(data) == [Frame(Opcode.TEXT, text)]
