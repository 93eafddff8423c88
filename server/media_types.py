"""Which media type an answer has, and which a request may have (GraphQL over HTTP, 4 and 5)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
HTML = "text/html"

# The caches' bounds: strangers choose what stands in these headers. The view takes longer ones.
_KEPT = 256
_KEPT_MAX_BYTES = 256


def media_type_at_once(headers: Mapping[bytes, bytes], *, has_body: bool) -> str | None:
    """Return the media type for the answer to an ordinary request; None if that takes a look.

    The body must be JSON. For browsers that ask for a page, the view decides.
    """
    if has_body:
        content_type = headers.get(b"content-type")
        if content_type is None or len(content_type) > _KEPT_MAX_BYTES:
            return None
        if not _is_json(content_type):
            return None
    accept = headers.get(b"accept")
    if accept is None:
        return JSON
    return _answer_type(accept) if len(accept) <= _KEPT_MAX_BYTES else None


@lru_cache(_KEPT)
def _is_json(content_type: bytes) -> bool:
    return is_json(content_type.decode("latin-1"))


@lru_cache(_KEPT)
def _answer_type(accept: bytes) -> str | None:
    given = [accept.decode("latin-1")]
    return None if asks_for_page(given) else answer_type(given)


def is_json(content_type: str) -> bool:
    """Tell whether a body of this type is JSON in UTF-8."""
    kind, _, parameters = content_type.partition(";")
    if kind.strip().lower() != JSON:
        return False
    for parameter in filter(None, map(str.strip, parameters.split(";"))):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower() in ("utf-8", "utf8")
    return True


def answer_type(accept: Iterable[str]) -> str | None:
    """Return the media type for an answer, by the `Accept` headers; None if none will do.

    `application/json` if a client leaves it open; what it lists with the same weight otherwise
    goes to the newer type, whose status codes say more.
    """
    ranges = _ranges(accept)
    if not ranges:
        return JSON
    json, response = _weight(JSON, ranges), _weight(GRAPHQL_RESPONSE, ranges)
    if response and (response > json or (response == json and GRAPHQL_RESPONSE in ranges)):
        return GRAPHQL_RESPONSE
    return JSON if json else None


def asks_for_page(accept: Iterable[str]) -> bool:
    """Tell whether a browser asks for a page to show: it names HTML, which no client does."""
    return _ranges(accept).get(HTML, 0) > 0


def _ranges(accept: Iterable[str]) -> dict[str, float]:
    """Return the weight of each media range."""
    ranges: dict[str, float] = {}
    for part in ",".join(accept).split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if kind:
            ranges[kind] = max(ranges.get(kind, 0), _quality(parameters))
    return ranges


def _quality(parameters: Iterable[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return min(max(float(value), 0), 1)
            except ValueError:
                return 1
    return 1


def _weight(kind: str, ranges: dict[str, float]) -> float:
    """Return the weight of a type: that of the range that fits it most closely."""
    for fitting in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if fitting in ranges:
            return ranges[fitting]
    return 0
