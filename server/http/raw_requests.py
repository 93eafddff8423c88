"""Requests as they come by HTTP: what the door of operations reads of them."""

from json import JSONDecodeError

from starlette.datastructures import QueryParams

from execution import encoding
from execution.codes import Code
from execution.request import RefusedError


class PostedRequest:
    """A request by POST: its body."""

    __slots__ = ("key",)
    may_change = True

    def __init__(self, body: bytes) -> None:
        self.key = body

    def parameters(self) -> object:
        """Return what the body says."""
        return _decode(self.key, "The body of the request")


class QueriedRequest:
    """A request by GET: the query of its URL, as text, so that its key is no body's."""

    __slots__ = ("key",)
    may_change = False

    def __init__(self, query: bytes) -> None:
        self.key = query.decode("latin-1")

    def parameters(self) -> object:
        """Return what the query says."""
        given = QueryParams(self.key)
        for name in ("query", "operationName", "variables", "extensions"):
            if len(given.getlist(name)) > 1:
                raise RefusedError(Code.BAD_REQUEST, f"The parameter {name} is there twice.")
        parameters: dict[str, object] = {
            name: given.get(name) for name in ("query", "operationName")
        }
        for part in ("variables", "extensions"):
            if text := given.get(part):
                parameters[part] = _decode(text, f"The parameter {part}")
        return parameters


def _decode(data: str | bytes, what: str) -> object:
    try:
        return encoding.decode(data)
    except JSONDecodeError:
        raise RefusedError(Code.BAD_REQUEST, f"{what} is not JSON.") from None
