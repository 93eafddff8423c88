"""What an operation is answered with, before an edge gives it a form."""

from collections.abc import Sequence
from dataclasses import dataclass

from graphql import GraphQLError, GraphQLFormattedError

from execution import encoding
from execution.codes import Code, Stage
from execution.errors import UNEXPECTED_MESSAGE, code_of, describe, present_error
from execution.request import RefusedError


@dataclass(frozen=True, slots=True)
class Response:
    """The JSON of a response, and what an edge must know of it.

    It has `data` if its stage is `FIELD`. `code` is that of an answer that has no data, or only
    null; of several, one that a client may retry for.
    """

    body: bytes
    stage: Stage = Stage.FIELD
    code: Code | None = None
    errors: Sequence[GraphQLFormattedError] = ()


def refused(error: RefusedError) -> Response:
    """Return the response to a request that is refused, and count it."""
    return _without_data(error.code, [describe(error.code, str(error))], error.stage)


def unexpected(request_id: str) -> Response:
    """Return the response to a request that failed for reasons of our own, and count it."""
    code = Code.INTERNAL_SERVER_ERROR
    described = describe(code, UNEXPECTED_MESSAGE, requestId=request_id)
    return _without_data(code, [described], code.stage)


def invalid(errors: Sequence[GraphQLError], request_id: str) -> Response:
    """Return the response to an operation that was not executed."""
    shown = [present_error(error, request_id) for error in errors]
    return _without_data(code_of(errors[0]), shown, Stage.OPERATION)


def _without_data(code: Code, errors: list[GraphQLFormattedError], stage: Stage) -> Response:
    return Response(encoding.encode({"errors": errors}), stage, code, errors)


def executed(data: object, errors: list[GraphQLFormattedError], codes: Sequence[Code]) -> Response:
    """Return the response of an operation that was executed; `codes` are those of its errors."""
    if not errors:
        return Response(encoding.encode({"data": data}))
    body = encoding.encode({"data": data, "errors": errors})
    code = None if data is not None else next((c for c in codes if c.may_retry), codes[0])
    return Response(body, Stage.FIELD, code, errors)
