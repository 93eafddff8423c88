"""Run operations: compiled if possible, on graphql-core in every other case, with one result."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, execute

from db.errors import Bistro92Error
from db.records import LogEntry
from execution import encoding
from execution.compiled.boundary import DeviationError
from execution.compiled.operation import CompiledOperation, Plan, RootField, compile_operation
from execution.engine import Schema
from execution.errors import log_unexpected, present_error
from execution.paced_executor import AnswerTooLargeError
from execution.request import GraphQLRequest
from execution.shared.events import SharedEvents
from resolvers.context import Context
from resolvers.order_created import OrderFeed

Response = dict[str, Any]

# Thousands of events: screens that are live, or came back together, ask for the same few hundred.
_EVENTS_MAX_BYTES = 2_097_152


class InvalidOperationError(Exception):
    """A document that isn't valid, or an operation that it doesn't have."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self._errors = errors

    def response(self, context: Context) -> Response:
        """Return the response to the request, and count its errors."""
        return to_response(
            None, [present_error(error, context.request_id) for error in self._errors]
        )


class CompiledInfo:
    """What compiled operations pass for Strawberry's `Info`: the context, and nothing else."""

    __slots__ = ("context",)

    def __init__(self, context: Context) -> None:
        self.context = context


class Operations:
    """The operations of one schema."""

    def __init__(self, schema: Schema, *, compiled: bool) -> None:
        self._schema = schema
        self._compiled = compiled
        self.events = SharedEvents(max_bytes=_EVENTS_MAX_BYTES)

    def find(self, text: str, name: str | None) -> CompiledOperation | None:
        """Return the compiled operation that a request asks for.

        None if it must run on graphql-core, for example because something is wrong with it.
        """
        if not self._compiled:
            return None
        try:
            document = self._schema.documents.get(text)
        except (GraphQLError, RecursionError):
            return None
        if name not in document.derived:
            # By the operation's own name: a client may ask for any number of others.
            if name is not None and name not in document.operation_names:
                return None
            document.derived[name] = compile_operation(self._schema, document, name)
        operation = document.derived[name]
        return operation if isinstance(operation, CompiledOperation) else None

    def select(self, request: GraphQLRequest) -> OperationDefinitionNode:
        """Return the operation that a request asks for; raises `InvalidOperationError`."""
        try:
            document = self._schema.documents.get(request.query)
            if document.errors:
                raise InvalidOperationError(document.errors)
            return document.operation(request.operation_name)
        except GraphQLError as error:
            raise InvalidOperationError([error]) from None

    async def execute(self, request: GraphQLRequest, context: Context) -> Response:
        """Run the query or mutation that a request asks for, compiled if it can be."""
        compiled = self.find(request.query, request.operation_name)
        if compiled is not None and context.may_use(compiled.roles):
            return await self.run(compiled, request.variables, context)
        result = await self._schema.execute(
            request.query,
            variable_values=request.variables,
            context_value=context,
            operation_name=request.operation_name,
        )
        return to_response(result.data, result.errors or [])

    async def run(
        self, operation: CompiledOperation, variables: Mapping[str, Any], context: Context
    ) -> Response:
        """Run a query or mutation and return the response."""
        recorded: dict[str, Any] = {}
        try:
            coerced = operation.coerce_variables(variables)
            plan = operation.plan(coerced)
            calls = [(field, field.arguments(coerced)) for field in plan]
            if len(calls) == 1:
                try:
                    await _resolve_serially(calls, CompiledInfo(context), recorded)
                except Bistro92Error as error:
                    return plan[0].fail(error)
            elif operation.is_mutation:
                await _resolve_serially(calls, CompiledInfo(context), recorded)
            else:
                await _resolve_together(calls, CompiledInfo(context), recorded)
            if not operation.is_mutation:
                _weigh(plan, recorded, self._schema.answer_max_values)
            return {"data": {field.key: field.complete(recorded[field.key]) for field in plan}}
        except Exception:
            # Something is unusual or wrong. graphql-core says what, from the same outcomes:
            # nothing that was resolved is resolved again.
            return await self.run_generic(operation, variables, context, recorded)

    async def subscribe(
        self, operation: CompiledOperation, variables: Mapping[str, Any], context: Context
    ) -> "Feed | None":
        """Begin a subscription; None if graphql-core must say what is wrong with it."""
        try:
            coerced = operation.coerce_variables(variables)
            (field,) = operation.plan(coerced)
            orders = await field.resolve(info=CompiledInfo(context), **field.arguments(coerced))
        except Exception:
            return None
        return Feed(self, operation, variables, context, field, orders)

    async def run_generic(
        self,
        operation: CompiledOperation,
        variables: Mapping[str, Any],
        context: Context,
        recorded: Mapping[str, Any],
        root: object = None,
    ) -> Response:
        """Run an operation on graphql-core, with the outcomes of the root fields known so far."""
        schema = self._schema
        result = execute(
            schema._schema,
            operation.document.ast,
            root_value=root,
            context_value=context,
            variable_values=dict(variables),
            operation_name=operation.name,
            middleware=[_replaying(recorded)],
            executor_class=(
                schema.replaying_executor_class if recorded else schema.execution_context_class
            ),
        )
        if inspect.isawaitable(result):
            result = await result
        return self.present(result, context)

    def present(self, result: ExecutionResult, context: Context) -> Response:
        """Turn a result into a response: errors logged, masked and with their codes."""
        errors = result.errors or []
        log_unexpected(errors, context.request_id)
        return to_response(
            result.data, [present_error(error, context.request_id) for error in errors]
        )


def to_response(data: object, errors: Sequence[GraphQLError]) -> Response:
    """Return a response of errors that are ready to be shown.

    One that was refused before anything was executed has no `data`, not even null.
    """
    formatted = [error.formatted for error in errors]
    if data is None and formatted and not any(error.path for error in errors):
        return {"errors": formatted}
    return {"data": data, "errors": formatted} if formatted else {"data": data}


class Feed:
    """The events of one subscription, encoded."""

    def __init__(
        self,
        operations: Operations,
        operation: CompiledOperation,
        variables: Mapping[str, Any],
        context: Context,
        field: RootField,
        orders: OrderFeed,
    ) -> None:
        self._operations = operations
        self._operation = operation
        self._variables = variables
        self._context = context
        self._field = field
        self._orders = orders

    async def payloads(self) -> AsyncGenerator[list[bytes]]:
        """Yield the JSON of responses, as many at once as there are events."""
        async with aclosing(self._orders.pages()) as pages:
            async for page in pages:
                yield [await self._payload(entry) for entry in page]

    async def _payload(self, entry: LogEntry) -> bytes:
        try:
            return self._operations.events.response(self._field, entry)
        except Exception:
            response = await self._operations.run_generic(
                self._operation, self._variables, self._context, {}, root=entry.order
            )
            return encoding.encode(response)


Call = tuple[RootField, dict[str, Any]]


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
