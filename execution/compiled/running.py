"""Run a compiled operation: its resolvers, then its answer."""

import asyncio
from typing import Any

from db.errors import Bistro92Error
from execution import encoding
from execution.compiled.boundary import DeviationError
from execution.compiled.operation import CompiledOperation, Plan, RootField
from execution.engine import Engine
from execution.errors import AnswerTooLargeError
from execution.generic import run_generic
from execution.response import Response
from resolvers.context import Context

Call = tuple[RootField, dict[str, Any]]


class CompiledInfo:
    """What compiled operations pass for Strawberry's `Info`: the context, and nothing else."""

    __slots__ = ("context",)

    def __init__(self, context: Context) -> None:
        self.context = context


async def run_compiled(
    engine: Engine, operation: CompiledOperation, variables: dict[str, Any], context: Context
) -> Response:
    """Run a query or mutation whose roles the caller has."""
    recorded: dict[str, Any] = {}
    try:
        coerced = operation.coerce_variables(variables)
        plan = operation.plan(coerced)
        calls = [(field, field.arguments(coerced)) for field in plan]
        if len(calls) == 1:
            try:
                await _resolve_serially(calls, CompiledInfo(context), recorded)
            except Bistro92Error as error:
                return plan[0].refuse(error)
        elif operation.is_mutation:
            await _resolve_serially(calls, CompiledInfo(context), recorded)
        else:
            await _resolve_together(calls, CompiledInfo(context), recorded)
        if not operation.is_mutation:
            _weigh(plan, recorded, engine.answer_max_values)
        data = {field.key: field.complete(recorded[field.key]) for field in plan}
        return Response(encoding.encode({"data": data}))
    except Exception:
        # Something is unusual or wrong. graphql-core says what, from the same outcomes:
        # nothing that was resolved is resolved again.
        return await run_generic(
            engine, operation.document, operation.name, variables, context, recorded=recorded
        )


async def _resolve_serially(
    calls: list[Call], info: CompiledInfo, recorded: dict[str, Any]
) -> None:
    for field, arguments in calls:
        try:
            recorded[field.key] = await field.resolve(info=info, **arguments)
        except Exception as error:
            recorded[field.key] = error
            raise
        # A mutation that follows a failed one must not run before graphql-core has decided so.
        if len(calls) > 1:
            field.complete(recorded[field.key])


async def _resolve_together(
    calls: list[Call], info: CompiledInfo, recorded: dict[str, Any]
) -> None:
    outcomes = await asyncio.gather(
        *(field.resolve(info=info, **arguments) for field, arguments in calls),
        return_exceptions=True,
    )
    recorded.update(
        {field.key: outcome for (field, _), outcome in zip(calls, outcomes, strict=True)}
    )
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome


def _weigh(plan: Plan, recorded: dict[str, Any], max_values: int) -> None:
    """Deviate if the answer would be too large; graphql-core then says so for each field."""
    values = sum([field.weigh(recorded[field.key]) for field in plan if field.weigh])
    if values > max_values:
        error = AnswerTooLargeError(max_values)
        recorded.update(dict.fromkeys(recorded, error))
        raise DeviationError
