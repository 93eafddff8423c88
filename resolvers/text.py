"""Text as people see it: a name that shows nothing is blank, and blanks at its ends are cut off."""

import re

# Default_Ignorable_Code_Point, which `unicodedata` doesn't have: nothing is shown for these.
# https://www.unicode.org/Public/17.0.0/ucd/DerivedCoreProperties.txt
IGNORABLE = (
    (0x00AD, 0x00AD),  # soft hyphen
    (0x034F, 0x034F),  # combining grapheme joiner
    (0x061C, 0x061C),  # Arabic letter mark
    (0x115F, 0x1160),  # Hangul fillers
    (0x17B4, 0x17B5),  # Khmer inherent vowels
    (0x180B, 0x180F),  # Mongolian variation selectors and vowel separator
    (0x200B, 0x200F),  # zero-width spaces and joiners, marks of direction
    (0x202A, 0x202E),  # embeddings and overrides of direction
    (0x2060, 0x206F),  # word joiner, invisible operators, isolates
    (0x3164, 0x3164),  # Hangul filler
    (0xFE00, 0xFE0F),  # variation selectors
    (0xFEFF, 0xFEFF),  # zero-width no-break space, or byte order mark
    (0xFFA0, 0xFFA0),  # halfwidth Hangul filler
    (0xFFF0, 0xFFF8),  # reserved
    (0x1BCA0, 0x1BCA3),  # shorthand format controls
    (0x1D173, 0x1D17A),  # musical beams, ties, slurs and phrases
    (0xE0000, 0xE0FFF),  # tags, more variation selectors, reserved
)
# Not in that list, as some programs show them; most show nothing, or a blank.
BLANK = (
    (0x2800, 0x2800),  # Braille pattern blank
    (0xFFF9, 0xFFFB),  # interlinear annotations
    (0x13430, 0x1343F),  # Egyptian hieroglyph format controls
    (0x13441, 0x13442),  # Egyptian hieroglyph blanks
    (0x16FE4, 0x16FE4),  # Khitan filler
    (0x1D159, 0x1D159),  # musical null notehead
)
# What `str.isspace` takes for white space, and what is a space by another name. No joiner,
# selector, tag, filler or mark of direction: at an end they belong to what is beside them.
ENDS = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
    "\u200b\u2060\u2800\ufeff"
)
_RANGES = "".join(f"{chr(first)}-{chr(last)}" for first, last in (*IGNORABLE, *BLANK))
_SHOWS_NOTHING = re.compile(rf"[\s{_RANGES}]*")


def trimmed(text: str) -> str:
    """Return a text without blanks at its ends; nothing is left of one that shows nothing."""
    if text.isascii():
        return text.strip()
    text = text.strip(ENDS)
    return "" if _SHOWS_NOTHING.fullmatch(text) else text
