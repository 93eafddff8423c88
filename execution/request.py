"""What a client asks for: the only check of a request's shape, by whichever way it came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLFormattedError

from execution.persisted import NOT_SUPPORTED, NOT_SUPPORTED_MESSAGE, is_hash_only


class RefusedError(Exception):
    """A request that isn't looked at further.

    Over HTTP it is answered with a status of 4xx, whatever type of answer it accepts; on a socket
    its operation ends with an `error` message.
    """

    # For answers in `application/json`, whose clients don't look at the body of anything but 200.
    json_status: int | None = None

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = headers
        self.error: GraphQLFormattedError = {"message": message, "extensions": {"code": code}}

    def status_as(self, *, json: bool) -> int:
        """Return the status of an answer, in `application/json` or in the newer type."""
        return self.json_status if json and self.json_status else self.status


class HashOnlyError(RefusedError):
    """A query that is sent by its hash alone: its client sends the query next."""

    json_status = 200

    def __init__(self) -> None:
        # Asked for by GET it has a URL that a cache may keep; the refusal must not be kept.
        headers = {"cache-control": "no-store"}
        super().__init__(400, NOT_SUPPORTED, NOT_SUPPORTED_MESSAGE, headers)


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
        if not query and is_hash_only(parameters):
            raise HashOnlyError
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
        return RefusedError(400, "BATCHING_NOT_SUPPORTED", message)
    return _bad("A GraphQL request must be a JSON object.")


def _bad(message: str) -> RefusedError:
    return RefusedError(400, "BAD_REQUEST", message)
