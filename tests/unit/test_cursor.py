"""Cursors: opaque text that only this log accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.cursor import encode_cursor, place_of
from db.errors import BadCursorError, CursorExpiredError
from db.records import LogHead

EPOCH = b"12345678"
HEAD = LogHead(EPOCH, seq=100, order_id=90)


@given(st.integers(0, 100))
def test_a_place_in_the_log_survives_the_round_trip(seq: int) -> None:
    assert place_of("after", encode_cursor(EPOCH, seq), HEAD) == seq


@given(st.text() | st.text("ABCDabcd0123-_=+/ ", min_size=20, max_size=26))
def test_any_other_text_is_a_bad_cursor(text: str) -> None:
    with pytest.raises((BadCursorError, CursorExpiredError)) as refused:
        place_of("after", text, HEAD)
    if len(text) != 22:
        assert isinstance(refused.value, BadCursorError)
        assert str(refused.value) == "after is not a cursor of Bistro92."


@pytest.mark.parametrize("change", ["{}=", " {}", "{}\n", "{}A", "+{}"])
def test_a_cursor_has_one_spelling(change: str) -> None:
    with pytest.raises(BadCursorError):
        place_of("after", change.format(encode_cursor(EPOCH, 7)), HEAD)


def test_cursor_of_another_epoch_is_expired() -> None:
    with pytest.raises(CursorExpiredError, match="before belongs to another order log"):
        place_of("before", encode_cursor(b"87654321", 7), HEAD)


def test_cursor_beyond_the_head_is_expired() -> None:
    with pytest.raises(CursorExpiredError, match="went back in time"):
        place_of("after", encode_cursor(EPOCH, 101), HEAD)
