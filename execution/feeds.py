"""The events of one subscription, encoded: compiled and shared, or from graphql-core."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Protocol, cast

from graphql import ExecutionResult, GraphQLError

from db.records import LogEntry
from execution.codes import Stage
from execution.compiled.operation import CompiledOperation, RootField
from execution.compiled.running import CompiledInfo
from execution.engine import Engine
from execution.generic import present, run_generic
from execution.response import Response, invalid
from execution.shared.events import SharedEvents
from resolvers.context import Context
from resolvers.order_created import OrderFeed


class FeedEndedError(Exception):
    """A subscription has ended for a reason that its client must know: `response` says it."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response


class Feed(Protocol):
    """A subscription that has begun; it is to be closed, read or not."""

    def pages(self) -> AsyncGenerator[list[bytes]]:
        """Yield the JSON of responses, as many at once as there are events.

        Raises `FeedEndedError` if there can't be more.
        """


class CompiledFeed:
    """The events of a compiled subscription, each encoded once for all that select the same."""

    def __init__(
        self,
        engine: Engine,
        events: SharedEvents,
        operation: CompiledOperation,
        variables: dict[str, Any],
        context: Context,
        field: RootField,
        orders: OrderFeed,
    ) -> None:
        self._engine = engine
        self._events = events
        self._operation = operation
        self._variables = variables
        self._context = context
        self._field = field
        self._orders = orders

    async def pages(self) -> AsyncGenerator[list[bytes]]:
        """Yield responses."""
        with _ending_told(self._context.request_id):
            async with aclosing(self._orders.pages()) as pages:
                async for page in pages:
                    yield [await self._response(entry) for entry in page]

    async def _response(self, entry: LogEntry) -> bytes:
        try:
            return self._events.response(self._field, entry)
        except Exception:
            response = await run_generic(
                self._engine,
                self._operation.document,
                self._operation.name,
                self._variables,
                self._context,
                root=entry.order,
            )
            return response.body


class GenericFeed:
    """The events of a subscription, one by one from graphql-core."""

    def __init__(self, results: AsyncIterator[ExecutionResult], request_id: str) -> None:
        # graphql-core returns a generator, and declares less.
        self._results = cast("AsyncGenerator[ExecutionResult]", results)
        self._request_id = request_id

    async def pages(self) -> AsyncGenerator[list[bytes]]:
        """Yield responses."""
        with _ending_told(self._request_id):
            async with aclosing(self._results) as results:
                async for result in results:
                    response = present(result, self._request_id)
                    if response.stage is not Stage.FIELD:
                        raise FeedEndedError(response)
                    yield [response.body]


@contextmanager
def _ending_told(request_id: str) -> Iterator[None]:
    """Raise whatever ends a feed as `FeedEndedError`."""
    try:
        yield
    except FeedEndedError:
        raise
    except Exception as error:
        problem = GraphQLError(str(error), original_error=error)
        raise FeedEndedError(invalid([problem], request_id)) from error


async def begin_compiled(
    engine: Engine,
    events: SharedEvents,
    operation: CompiledOperation,
    variables: dict[str, Any],
    context: Context,
) -> CompiledFeed | None:
    """Begin a subscription; None if graphql-core must say what is wrong with it."""
    try:
        coerced = operation.coerce_variables(variables)
        (field,) = operation.plan(coerced)
        orders = await field.resolve(info=CompiledInfo(context), **field.arguments(coerced))
    except Exception:
        return None
    return CompiledFeed(engine, events, operation, variables, context, field, orders)
