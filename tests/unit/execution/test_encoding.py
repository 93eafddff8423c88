"""JSON at the edges: one kind of error, whatever comes in; anything goes out."""

import json
from json import JSONDecodeError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution.encoding import decode, encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec=None)), inner),
)


@given(JSON)
def test_what_is_written_reads_back_as_it_was(value: object) -> None:
    assert json.loads(encode(value)) == value
    assert decode(encode(value)) == value


@given(st.binary())
def test_any_bytes_are_read_or_refused_in_one_way(data: bytes) -> None:
    try:
        value = decode(data)
    except JSONDecodeError:
        return
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"\xff", b'"\xed\xa0\x80"', b"NaN", b"[" * 100_000, b"1" * 10_000, b"{'a': 1}"],
)
def test_broken_documents_are_refused(data: bytes) -> None:
    with pytest.raises(JSONDecodeError):
        decode(data)


def test_lone_surrogate_is_read_so_that_validation_can_name_its_field() -> None:
    assert decode(rb'{"table": "\ud800"}') == {"table": "\ud800"}
    assert decode(encode({"table": "\ud800"})) == {"table": "\ud800"}
