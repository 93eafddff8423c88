"""Errors on their way out: every one gets a code, and nothing unexpected is told to a client.

Expected failures below the API are `Bistro92Error`; what GraphQL itself refuses (syntax,
validation, variables) is shown as it is; everything else is logged with the request's id and
becomes "Unexpected error." with that id.
"""

import logging

from graphql import GraphQLError, GraphQLFormattedError, GraphQLSyntaxError, Node

from db.errors import (
    BadCursorError,
    Bistro92Error,
    CursorExpiredError,
    OverloadedError,
    UnavailableError,
)
from db.stats import rejections
from execution.codes import Code
from resolvers.context import ForbiddenError
from resolvers.validation import BadUserInputError

logger = logging.getLogger("bistro92.errors")

UNEXPECTED_MESSAGE = "Unexpected error."


class AnswerTooLargeError(Bistro92Error):
    """An operation selects more values than an answer may have."""

    def __init__(self, max_values: int) -> None:
        super().__init__(
            f"An answer has at most {max_values} values: select fewer fields, or smaller pages."
        )


_CODES: dict[type[Exception], Code] = {
    AnswerTooLargeError: Code.ANSWER_TOO_LARGE,
    BadCursorError: Code.BAD_CURSOR,
    BadUserInputError: Code.BAD_USER_INPUT,
    CursorExpiredError: Code.CURSOR_EXPIRED,
    ForbiddenError: Code.FORBIDDEN,
    OverloadedError: Code.OVERLOADED,
    UnavailableError: Code.UNAVAILABLE,
}


def code_of_cause(error: Exception) -> Code:
    """Return the code of what a resolver has raised."""
    known = (_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)
    return next(known, Code.INTERNAL_SERVER_ERROR)


class RefusedOperationError(GraphQLError):
    """An operation that is refused before it is executed, for a reason that has its own code."""

    def __init__(self, code: Code, message: str, node: Node | None = None) -> None:
        super().__init__(message, node)
        self.code = code


def _cause(error: GraphQLError) -> Exception | None:
    """Return what a resolver raised; None for what GraphQL itself refuses."""
    cause: Exception | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def code_of(error: GraphQLError) -> Code:
    """Return the code of an error."""
    match _cause(error):
        case None if isinstance(error, RefusedOperationError):
            return error.code
        case None if isinstance(error, GraphQLSyntaxError):
            return Code.GRAPHQL_PARSE_FAILED
        case None if error.original_error is not None:  # a variable that could not be coerced
            return Code.BAD_USER_INPUT
        case None:
            return Code.GRAPHQL_VALIDATION_FAILED
        case cause:
            return code_of_cause(cause)


def present_error(error: GraphQLError, request_id: str) -> GraphQLFormattedError:
    """Count an error, and return it as the client may see it: logged and masked if unexpected."""
    code = code_of(error)
    formatted = error.formatted
    if code is Code.INTERNAL_SERVER_ERROR:
        fields = {"request_id": request_id}
        logger.error("unexpected error at %s", error.path, exc_info=_cause(error), extra=fields)
        formatted["message"] = UNEXPECTED_MESSAGE
        formatted["extensions"] = {"code": code.name, "requestId": request_id}
    else:
        formatted["extensions"] = {"code": code.name}
    rejections[code.name] += 1
    return formatted


def describe(code: Code, message: str, **extensions: object) -> GraphQLFormattedError:
    """Count an error that has no place in a document, and return it as the client sees it."""
    rejections[code.name] += 1
    return {"message": message, "extensions": {"code": code.name, **extensions}}
