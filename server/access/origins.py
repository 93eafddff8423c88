"""Origins that settings may list: of web pages, and of apps that show pages of their own.

An app made with Capacitor, Ionic, Tauri or Electron has a scheme of its own choosing, so any is
taken that browsers can give a page of its own (https://html.spec.whatwg.org/#origin).
"""

import difflib
import re

# As browsers send it: no path, no slash at the end, the name in ASCII.
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?"
)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_LOOKS_LIKE = (
    "An origin looks like https://pos.example.com, http://pos:3000 or capacitor://localhost, "
    "without a path, and in ASCII (xn--…)."
)
_WHY_NOT = {
    "*": "It would let every web page in. Name each origin.",
    "null": "Every web page can have this origin, in a sandboxed frame. "
    "Serve yours at an address, or under a scheme of its own such as app://bistro.",
    "file": "A page from a file has no origin of its own: it sends null, as every web page can. "
    "Serve yours at an address, or under a scheme of its own such as app://bistro.",
    "ws": "A page has http:// or https:// here, also when it opens a WebSocket.",
    "wss": "A page has http:// or https:// here, also when it opens a WebSocket.",
}


def parse_origin(text: str) -> str:
    """Return an origin in lower case, as browsers send it; raises `ValueError` with a sentence."""
    origin = text.strip().lower()
    scheme = origin.partition("://")[0]
    if scheme in _WHY_NOT:
        raise ValueError(f"{origin} can't be listed. {_WHY_NOT[scheme]}")
    found = _ORIGIN.fullmatch(origin)
    if found is None or int(found["port"] or 0) > 65_535:
        raise ValueError(f"{origin} is no origin. {_LOOKS_LIKE}")
    meant = difflib.get_close_matches(scheme, _DEFAULT_PORTS, n=1, cutoff=0.8)
    if meant and scheme not in _DEFAULT_PORTS:
        raise ValueError(f"{origin} is no origin. Did you mean {meant[0]}://?")
    if found["port"] is not None and found["port"] == _DEFAULT_PORTS.get(scheme):
        return origin.rpartition(":")[0]  # browsers leave it out
    return origin
