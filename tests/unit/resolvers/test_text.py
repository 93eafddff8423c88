"""What shows nothing: our table against Unicode's own, and names as people write them."""

import unicodedata
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from resolvers.text import BLANK, ENDS, IGNORABLE, trimmed

# Cf, but shown: they enclose the digits or words after them (Prepended_Concatenation_Mark).
SHOWN = {*range(0x600, 0x606), 0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
# Not of a category of what isn't shown, and yet nothing is: letters, marks and symbols by name.
FILLERS = {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x13441, 0x13442, 0x16FE4, 0x1D159}
MARKS = {0x34F, 0x17B4, 0x17B5, *range(0x180B, 0x180E), 0x180F, *range(0xFE00, 0xFE10)}
SELECTORS = {*range(0xE0100, 0xE01F0)}


def points(ranges: Iterable[tuple[int, int]]) -> set[int]:
    return {point for first, last in ranges for point in range(first, last + 1)}


def of_category(*wanted: str) -> set[int]:
    return {point for point in range(0x110000) if unicodedata.category(chr(point)) in wanted}


def test_table_is_the_one_of_unicode() -> None:
    assert len(points(IGNORABLE)) == 4174, "the total that DerivedCoreProperties.txt gives"


def test_every_format_character_is_in_the_table_or_shown() -> None:
    assert of_category("Cf") - points((*IGNORABLE, *BLANK)) == SHOWN & of_category("Cf")


def test_nothing_else_is_in_the_table() -> None:
    """A newer Python may know more of what is reserved here, and then says what it is."""
    others = points((*IGNORABLE, *BLANK)) - of_category("Cf", "Cn")
    assert others <= FILLERS | MARKS | SELECTORS
    assert points((*IGNORABLE, *BLANK)) >= FILLERS | MARKS | SELECTORS


def test_every_white_space_is_blank_and_cut_off() -> None:
    white = {chr(point) for point in range(0x110000) if chr(point).isspace()}
    assert set(ENDS) == white | set("\u200b\u2060\u2800\ufeff")
    assert {chr(point) for point in of_category("Zs", "Zl", "Zp")} <= white
    for space in ENDS:
        assert trimmed(space) == ""
        assert trimmed(f"{space} é{space}é {space}") == f"é{space}é"
        assert trimmed(f"{space}a{space}") == "a"


def test_what_shows_nothing_is_blank_whatever_it_is_mixed_with() -> None:
    for point in points((*IGNORABLE, *BLANK)):
        assert trimmed(chr(point)) == ""
        assert trimmed(f"\xa0{chr(point)} \u200d{chr(point)}") == ""


SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"
NAMES = {
    "a flag of tags": SCOTLAND,
    "an emoji with joiners": "👩\u200d🍳",
    "an emoji with a selector at its end": "Tea ☕\ufe0f",
    "a keycap": "1\ufe0f\u20e3",
    "a joiner at the end, which changes the letter before": "ക്\u200d",
    "right to left": "שניצל",
    "right to left, with marks": "\u200fשניצל (2)!\u200f",
    "isolated": "\u2067فلافل\u2069",
    "a non-joiner inside": "می\u200cخواهم",
    "combining": "e\u0301clair",
    "a mark alone": "\u0301",
    "a grapheme joiner inside": "c\u034fh",
    "Hangul of fillers and letters": "\u115f\u1161",
    "an ideograph with a selector": "葛\U000e0100",
    "Mongolian with a selector": "ᠠ\u180b",
    "a soft hyphen": "Wiener\u00adschnitzel",
    "braille": "⠋⠕⠕",
    "an Arabic number sign": "\u0600١",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_names_that_show_something_are_kept_as_they_are(name: str) -> None:
    assert trimmed(name) == name
    assert trimmed(f"\u200b {name}\u3000\ufeff") == name


@given(st.text() | st.text("".join(map(chr, points((*IGNORABLE[:12], *BLANK)))) + " aé"))
@example(" \u200b ")
def test_trimming_takes_ends_only_and_once_is_enough(text: str) -> None:
    found = trimmed(text)
    assert found in text
    assert trimmed(found) == found
    assert found == text.strip(ENDS) or not found
    if text.isascii():
        assert found == text.strip()
