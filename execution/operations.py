"""THE one door for operations: whoever asks, and by whichever way, comes in here.

What is decided here is decided nowhere else: whether a request is well-formed, which operation it
asks for, whether its caller may use it, whether it runs compiled or on graphql-core, and whether
its answer is one that somebody else has been given. Edges translate bytes.
"""

import logging
from collections.abc import Coroutine

from graphql import GraphQLError, OperationDefinitionNode, OperationType

from db.tokens import Role
from execution.codes import Code, Stage
from execution.compiled.operation import CompiledOperation, compile_operation
from execution.compiled.running import run_compiled
from execution.documents.cache import Document
from execution.engine import Engine
from execution.feeds import Feed, GenericFeed, begin_compiled
from execution.generic import run_generic, subscribe_generic
from execution.request import GraphQLRequest, RawRequest, RefusedError
from execution.response import Response, invalid, refused, unexpected
from execution.shared.answers import SharedAnswers
from execution.shared.events import SharedEvents
from resolvers.context import Caller, Context, Service

logger = logging.getLogger("bistro92.operations")


class _InvalidOperationError(Exception):
    """A document that isn't valid, or an operation that it doesn't have."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__(errors)
        self.errors = errors


class Operation:
    """An operation of a valid document, and the way it runs."""

    __slots__ = ("_compiled", "document", "kind", "name")

    def __init__(
        self, document: Document, node: OperationDefinitionNode, compiled: CompiledOperation | None
    ) -> None:
        self.document = document
        self.name = node.name.value if node.name else None
        self.kind = node.operation
        self._compiled = compiled

    def compiled_for(self, context: Context) -> CompiledOperation | None:
        """Return it compiled; None if it must run on graphql-core, which also says FORBIDDEN."""
        compiled = self._compiled
        return compiled if compiled is not None and context.may_use(compiled.roles) else None

    def is_shared_by(self, context: Context) -> bool:
        """Tell whether the caller gets the answer that others of the role get at this head."""
        compiled = self.compiled_for(context)
        return compiled is not None and compiled.is_of_the_log


class Operations:
    """The operations of one run of the service, and what they share."""

    def __init__(self, engine: Engine, service: Service, *, compiled: bool) -> None:
        self._engine = engine
        self._service = service
        self._compiles = compiled
        # One of each role: an answer must never reach a role that may not ask for it.
        self._answers = {role: SharedAnswers(service.log) for role in Role}
        self._events = SharedEvents()

    def kind_of(self, raw: RawRequest) -> OperationType | None:
        """Return what kind of operation a request asks for; None if there is something wrong."""
        try:
            return self._select(GraphQLRequest.of(raw.parameters())).kind
        except (RefusedError, _InvalidOperationError):
            return None

    def known(self, raw: RawRequest, caller: Caller | None) -> Response | None:
        """Return the answer that the same request has been given, if it still is the newest."""
        if caller is None or raw.key is None:
            return None
        return self._answers[caller.role].find(raw.key)

    def execute(
        self, raw: RawRequest, caller: Caller | None, request_id: str
    ) -> Response | Coroutine[None, None, Response]:
        """Answer a request for a query or mutation: at once, or when it has been run.

        Nothing is raised. What comes without a caller is run, and forbidden field by field.
        """
        known = self.known(raw, caller)
        if known is not None:
            return known
        try:
            request = GraphQLRequest.of(raw.parameters())
            operation = self._select(request)
            _check_kind(operation.kind, raw)
        except Exception as error:
            return _refusal_of(error, request_id)
        context = Context(self._service, request_id, caller)
        if caller is not None and raw.key is not None and operation.is_shared_by(context):
            answers = self._answers[caller.role]
            return answers.compute(raw.key, lambda: self._run(operation, request, context))
        return self._run(operation, request, context)

    async def _run(
        self, operation: Operation, request: GraphQLRequest, context: Context
    ) -> Response:
        compiled = operation.compiled_for(context)
        try:
            if compiled is not None:
                return await run_compiled(self._engine, compiled, request.variables, context)
            return await run_generic(
                self._engine, operation.document, operation.name, request.variables, context
            )
        except Exception as error:
            return _refusal_of(error, context.request_id)

    async def subscribe(
        self, raw: RawRequest, caller: Caller | None, request_id: str
    ) -> Response | Feed:
        """Begin a subscription; return what is wrong with it otherwise. Nothing is raised."""
        try:
            request = GraphQLRequest.of(raw.parameters())
            operation = self._select(request)
            context = Context(self._service, request_id, caller)
            return await self._begin(operation, request, context)
        except Exception as error:
            return _refusal_of(error, request_id)

    async def _begin(
        self, operation: Operation, request: GraphQLRequest, context: Context
    ) -> Response | Feed:
        engine, variables = self._engine, request.variables
        compiled = operation.compiled_for(context)
        if compiled is not None:
            feed = await begin_compiled(engine, self._events, compiled, variables, context)
            if feed is not None:
                return feed
        begun = await subscribe_generic(
            engine, operation.document, operation.name, variables, context
        )
        if isinstance(begun, Response):
            return begun
        return GenericFeed(engine, operation.document, operation.name, variables, context, begun)

    def _select(self, request: GraphQLRequest) -> Operation:
        """Return the operation that a request asks for; raises `_InvalidOperationError`."""
        name = request.operation_name
        try:
            document = self._engine.documents.get(request.query)
            if document.errors:
                raise _InvalidOperationError(document.errors)
            found = document.derived.get(name)
            if isinstance(found, Operation):
                return found
            node = document.operation(name)
        except GraphQLError as error:
            raise _InvalidOperationError([error]) from None
        compiled = compile_operation(self._engine, document, node) if self._compiles else None
        # By a name that the document has, or none: clients may ask for any number of others.
        document.derived[name] = operation = Operation(document, node, compiled)
        return operation


def _check_kind(kind: OperationType, raw: RawRequest) -> None:
    """Raise `RefusedError` for what can't be answered by one response to a request like this."""
    if kind is OperationType.SUBSCRIPTION:
        message = "By HTTP, subscriptions are not allowed: use a WebSocket (graphql-transport-ws)."
        raise RefusedError(Code.OPERATION_RESOLUTION_FAILURE, message, Stage.REQUEST)
    if kind is OperationType.MUTATION and not raw.may_change:
        raise RefusedError(Code.METHOD_NOT_ALLOWED, "Mutations are sent by POST only.")


def _refusal_of(error: Exception, request_id: str) -> Response:
    """Return the response that says what is wrong; what is wrong with us is logged."""
    if isinstance(error, RefusedError):
        return refused(error)
    if isinstance(error, _InvalidOperationError):
        return invalid(error.errors, request_id)
    logger.error("unexpected error", exc_info=error, extra={"request_id": request_id})
    return unexpected(request_id)
