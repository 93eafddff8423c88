"""Operations on graphql-core: all of GraphQL, and every error in its own words.

Compiled operations come here when something about a request is unusual or wrong.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from graphql import ExecutionResult, GraphQLError, execute, subscribe

from execution.documents.cache import Document
from execution.engine import Engine
from execution.errors import code_of, present_error
from execution.response import Response, executed, invalid
from resolvers.context import Context

_NOTHING: Mapping[str, Any] = {}


async def run_generic(
    engine: Engine,
    document: Document,
    name: str | None,
    variables: dict[str, Any],
    context: Context,
    *,
    recorded: Mapping[str, Any] = _NOTHING,
    root: object = None,
) -> Response:
    """Run an operation of a valid document; `recorded` has outcomes of root fields known so far."""
    result = execute(
        engine.schema,
        document.ast,
        root_value=root,
        context_value=context,
        variable_values=variables,
        operation_name=name,
        middleware=[_replaying(recorded)] if recorded else None,
        executor_class=engine.replaying_executor if recorded else engine.executor,
    )
    if inspect.isawaitable(result):
        result = await result
    return present(result, context.request_id)


async def subscribe_generic(
    engine: Engine,
    document: Document,
    name: str | None,
    variables: dict[str, Any],
    context: Context,
) -> AsyncIterator[ExecutionResult] | Response:
    """Begin a subscription of a valid document; return what is wrong with it otherwise."""
    begun = subscribe(
        engine.schema,
        document.ast,
        context_value=context,
        variable_values=variables,
        operation_name=name,
        executor_class=engine.executor,
    )
    if inspect.isawaitable(begun):
        begun = await begun
    if isinstance(begun, ExecutionResult):
        # Whatever is wrong, nothing has been executed: there is no `data`.
        return invalid(begun.errors or (), context.request_id)
    return begun


def present(result: ExecutionResult, request_id: str) -> Response:
    """Turn a result into a response: errors logged, masked and with their codes.

    One that was refused before anything was executed has no `data`, not even null.
    """
    errors: Sequence[GraphQLError] = result.errors or ()
    if result.data is None and errors and not any(error.path for error in errors):
        return invalid(errors, request_id)
    shown = [present_error(error, request_id) for error in errors]
    return executed(result.data, shown, [code_of(error) for error in errors])


def _replaying(recorded: Mapping[str, Any]) -> Callable[..., Any]:
    """Return middleware that answers root fields with what they have resolved to already."""

    async def outcome_of(key: str) -> Any:
        outcome = recorded[key]
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def resolve(next_resolver: Callable[..., Any], source: Any, info: Any, **arguments: Any) -> Any:
        if info.path.prev is None and info.path.key in recorded:
            return outcome_of(info.path.key)
        return next_resolver(source, info, **arguments)

    return resolve
