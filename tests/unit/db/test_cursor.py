"""Cursors: opaque text that only this log accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.cursor import Place, encode_cursor, mark_of, place_of
from db.errors import BadCursorError, CursorExpiredError
from db.records import LogHead

EPOCH = b"12345678"
HEAD = LogHead(EPOCH, seq=100, order_id=90, created_at_us=2**40)


@given(st.integers(0, 100), st.integers(0, 2**60))
def test_a_place_in_the_log_survives_the_round_trip(seq: int, created_at_us: int) -> None:
    place = Place(EPOCH, seq, mark_of(created_at_us))
    assert place_of("after", encode_cursor(EPOCH, seq, created_at_us), HEAD) == place


def test_cursor_of_the_first_version_still_names_its_place() -> None:
    assert place_of("after", "MTIzNDU2NzgAAAAAAAAABw", HEAD) == Place(EPOCH, 7, None)


@given(st.text() | st.text("ABCDabcd0123-_=+/ ", min_size=20, max_size=30))
def test_any_other_text_is_a_bad_cursor(text: str) -> None:
    with pytest.raises((BadCursorError, CursorExpiredError)) as refused:
        place_of("after", text, HEAD)
    if len(text) not in {22, 27}:
        assert isinstance(refused.value, BadCursorError)
        assert str(refused.value) == "after is not a cursor of Bistro92."


@pytest.mark.parametrize("change", ["{}=", " {}", "{}\n", "{}A", "+{}"])
def test_a_cursor_has_one_spelling(change: str) -> None:
    with pytest.raises(BadCursorError):
        place_of("after", change.format(encode_cursor(EPOCH, 7, 8)), HEAD)


def test_cursor_of_another_epoch_is_expired() -> None:
    with pytest.raises(CursorExpiredError, match="before belongs to another order log"):
        place_of("before", encode_cursor(b"87654321", 7, 8), HEAD)


def test_cursor_beyond_the_head_is_expired() -> None:
    with pytest.raises(CursorExpiredError, match="went back in time"):
        place_of("after", encode_cursor(EPOCH, 101, 8), HEAD)
