"""The pages of the manual that are made from the code: `python -m server.pages [--check]`."""

import sys
from collections.abc import Iterable
from pathlib import Path

from execution.codes import Code, Stage
from server.settings import ENV_PREFIX, Settings

_DOCS = Path(__file__).parent.parent / "docs"
_CODES_BEGIN, _CODES_END = "<!-- codes: written by make docs -->\n", "<!-- /codes -->\n"
_SETTINGS = """# Settings

<!-- Written by `make docs` from server/settings.py. -->

Read from the environment when the service starts. A name that is not in this table, or a value that
is not allowed, stops the start with a sentence that says which. In a database's URL, `?` and `%` of
a file's name are written `%3F` and `%25`.

"""


def settings_page() -> str:
    """Return `docs/settings.md`."""
    rows = [
        (f"`{ENV_PREFIX}{name.upper()}`", f"`{field.default}`", field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return _SETTINGS + _table(("name", "default", "meaning"), rows)


def codes_table() -> str:
    """Return the table of `docs/api.md`."""
    rows = [
        (f"`{code.name}`", _status(code), "yes" if code.may_retry else "", code.meaning)
        for code in Code
    ]
    return _table(("code", "HTTP status", "try again", "meaning"), rows)


def _status(code: Code) -> str:
    shown = ", ".join(map(str, code.statuses)) or "(on sockets)"
    return f"{shown}; 200 with JSON" if code.stage is Stage.OPERATION else shown


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _with_codes(page: str) -> str:
    before, begin, rest = page.partition(_CODES_BEGIN)
    _, end, after = rest.partition(_CODES_END)
    return f"{before}{begin}\n{codes_table()}\n{end}{after}"


def pages() -> dict[Path, str]:
    """Return the pages as they should be."""
    api = _DOCS / "api.md"
    return {_DOCS / "settings.md": settings_page(), api: _with_codes(api.read_text())}


if __name__ == "__main__":
    for path, text in pages().items():
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.exit(f"docs/{path.name} is not up to date: run `make docs` and look at the change.")
