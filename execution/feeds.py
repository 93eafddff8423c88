"""The events of one subscription, encoded: compiled and shared, or from graphql-core."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, Protocol, cast

from graphql import ExecutionResult, GraphQLError

from execution.codes import Stage
from execution.compiled.operation import CompiledOperation, RootField
from execution.compiled.running import CompiledInfo
from execution.documents.cache import Document
from execution.engine import Engine
from execution.generic import present, run_generic
from execution.response import Response, invalid
from execution.shared.events import SharedEvents
from resolvers.context import Context
from resolvers.order_changed import ChangeFeed
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

    def progress(self) -> Any | None:
        """Return an event that tells how far a waiting client has come, if it doesn't know."""

    async def response(self, event: Any) -> bytes:
        """Return the JSON of an event's response."""


class _Begun:
    """What both kinds of feeds know: the operation, and what the resolver has returned."""

    def __init__(
        self,
        engine: Engine,
        document: Document,
        name: str | None,
        variables: dict[str, Any],
        context: Context,
    ) -> None:
        self._engine = engine
        self._document = document
        self._name = name
        self._variables = variables
        self._context = context

    def progress(self) -> Any | None:
        """Return an event that tells how far a waiting client has come, if it doesn't know."""
        return next((feed.progress() for feed in self._context.feeds), None)

    async def _generic(self, value: object) -> bytes:
        response = await run_generic(
            self._engine, self._document, self._name, self._variables, self._context, root=value
        )
        return response.body


class CompiledFeed(_Begun):
    """The events of a compiled subscription, each encoded once for all that select the same."""

    def __init__(
        self,
        engine: Engine,
        events: SharedEvents,
        operation: CompiledOperation,
        variables: dict[str, Any],
        context: Context,
        field: RootField,
        feed: OrderFeed | ChangeFeed,
    ) -> None:
        super().__init__(engine, operation.document, operation.name, variables, context)
        self._events = events
        self._field = field
        self._feed = feed

    async def pages(self) -> AsyncGenerator[list[bytes]]:
        """Yield responses."""
        with _ending_told(self._context.request_id):
            async with aclosing(self._feed.pages()) as pages:
                async for page in pages:
                    yield [await self.response(event) for event in page]

    async def response(self, event: Any) -> bytes:
        """Return the JSON of an event's response."""
        try:
            return self._events.response(self._field, event, self._feed.value_of)
        except Exception:
            return await self._generic(self._feed.value_of(event))


class GenericFeed(_Begun):
    """The events of a subscription, one by one from graphql-core."""

    def __init__(
        self,
        engine: Engine,
        document: Document,
        name: str | None,
        variables: dict[str, Any],
        context: Context,
        results: AsyncIterator[ExecutionResult],
    ) -> None:
        super().__init__(engine, document, name, variables, context)
        # graphql-core returns a generator, and declares less.
        self._results = cast("AsyncGenerator[ExecutionResult]", results)

    async def pages(self) -> AsyncGenerator[list[bytes]]:
        """Yield responses."""
        request_id = self._context.request_id
        with _ending_told(request_id):
            async with aclosing(self._results) as results:
                async for result in results:
                    response = present(result, request_id)
                    if response.stage is not Stage.FIELD:
                        raise FeedEndedError(response)
                    yield [response.body]

    async def response(self, event: Any) -> bytes:
        """Return the JSON of an event's response."""
        (feed,) = self._context.feeds
        return await self._generic(feed.value_of(event))


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
        feed = await field.resolve(info=CompiledInfo(context), **field.arguments(coerced))
    except Exception:
        return None
    return CompiledFeed(engine, events, operation, variables, context, field, feed)
