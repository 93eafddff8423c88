"""What a client asks for: the only check of a request's shape, by whichever way it came."""

from dataclasses import dataclass
from typing import Any, Protocol

from execution.codes import Code, Stage

# Not a sentence: urql compares it.
_HASH_ONLY = "PersistedQueryNotSupported"


class RefusedError(Exception):
    """A request that isn't looked at further; `stage` if it isn't the usual one of the code."""

    def __init__(self, code: Code, message: str, stage: Stage | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.stage = stage or code.stage


class RawRequest(Protocol):
    """A request as its edge has received it."""

    @property
    def key(self) -> bytes | str | None:
        """What only the same request has, if it may be answered as another one was before."""

    @property
    def may_change(self) -> bool:
        """Whether a mutation may come this way."""

    def parameters(self) -> object:
        """Return what the client has sent, decoded; raises `RefusedError`."""


@dataclass(slots=True)
class GraphQLRequest:
    """What a client asks for; well-formed, but maybe not a valid operation."""

    query: str
    operation_name: str | None
    variables: dict[str, Any]

    @classmethod
    def of(cls, parameters: object) -> "GraphQLRequest":
        """Take a request's parameters; raises `RefusedError` for those of another shape."""
        if not isinstance(parameters, dict):
            raise _no_object(parameters)
        get = parameters.get
        # Written out: this is done for every order, and a call costs as much as a check.
        if (extensions := get("extensions")) is not None and not isinstance(extensions, dict):
            raise _no_object_in("extensions")
        if (variables := get("variables")) is not None and not isinstance(variables, dict):
            raise _no_object_in("variables")
        query = get("query")
        is_empty = not query and query in (None, "")
        if is_empty and extensions and extensions.get("persistedQuery") is not None:
            # Apollo's `PersistedQueryLink` and urql's `persistedExchange` send the hash alone at
            # first. By this code (Apollo) or message (urql) they know to send the query itself.
            raise RefusedError(Code.PERSISTED_QUERY_NOT_SUPPORTED, _HASH_ONLY)
        if not isinstance(query, str):
            raise _bad("The query of a GraphQL request must be a string.")
        name = get("operationName")
        if name is not None and not (isinstance(name, str) and name.isascii()):
            raise _bad("The operationName must be a GraphQL name, or null.")
        # An empty name is none: by GET it can't be told from one that isn't given.
        return cls(query, name or None, variables or {})


def _no_object_in(part: str) -> RefusedError:
    return _bad(f"The {part} of a GraphQL request must be an object, or null.")


def _no_object(parameters: object) -> RefusedError:
    if isinstance(parameters, list):
        message = "Send operations one by one: batches are off."
        return RefusedError(Code.BATCHING_NOT_SUPPORTED, message)
    return _bad("A GraphQL request must be a JSON object.")


def _bad(message: str) -> RefusedError:
    return RefusedError(Code.BAD_REQUEST, message)
