"""Errors on their way out: every one gets a code, and nothing unexpected is told to a client.

Expected failures below the API are `Bistro92Error`; what GraphQL itself refuses (syntax,
validation, variables) is shown as it is; everything else is logged with the request's id and
becomes "Unexpected error." with that id.
"""

import logging
from collections.abc import Iterable

from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError
from strawberry.extensions import MaskErrors
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionContext

from db.errors import Bistro92Error
from db.stats import rejections

logger = logging.getLogger("bistro92.errors")

_EXPECTED = (
    Bistro92Error,
    MissingQueryError,
    CannotGetOperationTypeError,
    InvalidOperationTypeError,
)
UNEXPECTED_MESSAGE = "Unexpected error."
OPERATION_RESOLUTION_FAILURE = "OPERATION_RESOLUTION_FAILURE"


def _cause(error: GraphQLError) -> Exception | None:
    """Return what a resolver raised; None for what GraphQL itself refuses."""
    cause: Exception | None = error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def _code(error: GraphQLError) -> str:
    match _cause(error):
        case Bistro92Error() as expected:
            return expected.code
        case MissingQueryError() | CannotGetOperationTypeError() | InvalidOperationTypeError():
            return OPERATION_RESOLUTION_FAILURE
        case None if isinstance(error, GraphQLSyntaxError):
            return "GRAPHQL_PARSE_FAILED"
        case None if error.original_error is not None:  # a variable that could not be coerced
            return "BAD_USER_INPUT"
        case None:
            return "GRAPHQL_VALIDATION_FAILED"
        case _:
            return "INTERNAL_SERVER_ERROR"


def _is_unexpected(error: GraphQLError) -> bool:
    cause = _cause(error)
    return cause is not None and not isinstance(cause, _EXPECTED)


def log_unexpected(errors: Iterable[GraphQLError], request_id: str | None) -> None:
    """Log what clients are not told, with the id that they are told."""
    for error in filter(_is_unexpected, errors):
        logger.error(
            "unexpected error at %s",
            error.path,
            exc_info=_cause(error),
            extra={"request_id": request_id},
        )


def present_error(error: GraphQLError, request_id: str | None) -> GraphQLError:
    """Return an error as the client may see it: with its code, and masked if unexpected."""
    extensions = {"code": _code(error), **(error.extensions or {})}
    message = error.message
    if _is_unexpected(error):
        message = UNEXPECTED_MESSAGE
        extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": request_id}
    rejections[str(extensions["code"])] += 1
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions=extensions,
    )


def request_id_of(context: ExecutionContext | None) -> str | None:
    """Return the id of the request that an operation belongs to."""
    return getattr(getattr(context, "context", None), "request_id", None)


class CodedErrors(MaskErrors):
    """`present_error` for every error of results and of streamed results."""

    def anonymise_error(self, error: GraphQLError) -> GraphQLError:
        """Return the error as the client may see it."""
        return present_error(error, request_id_of(self.execution_context))
