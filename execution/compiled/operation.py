"""Compile an operation, once, into functions that do only what the operation does.

What is compiled: variables (`variables`), the arguments of root fields (`arguments`), and the way
from a resolver's result to the response (`completion`), for each setting of the operation's
conditions (`selection`). What can't be compiled runs on graphql-core.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    OperationDefinitionNode,
    OperationType,
)
from graphql.execution.collect_fields import FieldDetails
from strawberry.schema.name_converter import NameConverter
from strawberry.types.field import StrawberryField

from execution.compiled.arguments import Arguments, compile_arguments
from execution.compiled.boundary import NotCoveredError
from execution.compiled.completion import (
    Completer,
    Weigher,
    compile_completer,
    compile_weigher,
    strawberry_field,
)
from execution.compiled.refusal import Refusal, compile_refusal
from execution.compiled.selection import Selection, condition_variables, field_names
from execution.compiled.variables import compile_variables
from execution.documents.cache import Document
from execution.engine import Engine
from schema.roles import roles_of_operation
from schema.root import OF_THE_LOG

_PLANS_MAX = 16


@dataclass(frozen=True, slots=True, eq=False)
class RootField:
    """A root field: how to build its arguments, call its resolver, and answer.

    Each is equal to itself only: `SharedEvents` keeps events by it.
    """

    key: str
    resolve: Callable[..., Awaitable[Any]]
    arguments: Arguments
    complete: Completer
    weigh: Weigher | None
    refuse: Refusal


Plan = tuple[RootField, ...]


class CompiledOperation:
    """An operation of a valid document, ready to be run with any variables."""

    def __init__(
        self, engine: Engine, document: Document, operation: OperationDefinitionNode
    ) -> None:
        self.document = document
        self.name = operation.name.value if operation.name else None
        self.is_mutation = operation.operation is OperationType.MUTATION
        self.is_subscription = operation.operation is OperationType.SUBSCRIPTION
        # Who may use it: whoever runs it must ask. It is the same for all its plans.
        self.roles = roles_of_operation(engine.schema, operation, document.fragments)
        self._engine = engine
        self._operation = operation
        self.is_of_the_log = _is_of_the_log(engine, document, operation)
        self._conditions = condition_variables(document)
        self._plans: dict[tuple[bool, ...], Plan] = {}
        self.coerce_variables = compile_variables(engine.schema, operation)
        if not self._conditions:
            self._plans[()] = self._compile(())

    def plan(self, variables: dict[str, Any]) -> Plan:
        """Return what to do for these checked variables."""
        setting = tuple([variables[name] for name in self._conditions])
        plan = self._plans.get(setting)
        if plan is None:
            plan = self._compile(setting)
            if len(self._plans) < _PLANS_MAX:
                self._plans[setting] = plan
        return plan

    def _compile(self, setting: tuple[bool, ...]) -> Plan:
        schema = self._engine.schema
        conditions = dict(zip(self._conditions, setting, strict=True))
        selection = Selection(schema, self.document, self._operation, conditions)
        kind = schema.get_root_type(self._operation.operation)
        if kind is None:
            raise NotCoveredError("no such root type")
        names = self._engine.names
        return tuple(
            _compile_root_field(kind, key, details, selection, names)
            for key, details in selection.root_fields(kind).items()
        )


def _is_of_the_log(engine: Engine, document: Document, operation: OperationDefinitionNode) -> bool:
    """Tell whether an operation has the same answer whenever it is run at the same head.

    Looks at names anywhere in the document: a condition may let a field in later, and to share
    one operation too few costs time only.
    """
    kind = engine.schema.query_type
    if operation.operation is not OperationType.QUERY or kind is None:
        return False
    fields = kind.fields
    return all(
        strawberry_field(fields[name]).metadata.get(OF_THE_LOG, False)
        for name in field_names(document) & fields.keys()
    )


def _compile_root_field(
    kind: GraphQLObjectType,
    key: str,
    details: list[FieldDetails],
    selection: Selection,
    names: NameConverter,
) -> RootField:
    node: FieldNode = details[0].node
    definition = kind.fields.get(node.name.value)
    if definition is None:
        raise NotCoveredError(f"root field {node.name.value}")  # __typename, introspection
    field = strawberry_field(definition)
    return RootField(
        key,
        _resolver(field),
        compile_arguments(definition, field, node, names),
        compile_completer(definition.type, details, selection),
        compile_weigher(definition.type, details, selection),
        compile_refusal(definition.type, key, details),
    )


def _resolver(field: StrawberryField) -> Callable[..., Awaitable[Any]]:
    """Return the resolver itself: an async function of `info` and the field's arguments."""
    resolver = field.base_resolver
    if (
        resolver is None
        or not resolver.is_async
        or resolver.info_parameter is None
        or resolver.self_parameter
        or resolver.root_parameter
        or resolver.parent_parameter
        or field.extensions
        or field.permission_classes
    ):
        raise NotCoveredError(f"resolver of {field.python_name}")
    return cast("Callable[..., Awaitable[Any]]", resolver.wrapped_func)


def compile_operation(
    engine: Engine, document: Document, operation: OperationDefinitionNode
) -> CompiledOperation | None:
    """Compile an operation of a valid document; None if it runs on graphql-core."""
    try:
        return CompiledOperation(engine, document, operation)
    except (GraphQLError, NotCoveredError):
        return None
