"""Who may use which root field: declared at each field, and enforced for every way to execute it.

graphql-core runs the root fields guarded. Compiled operations, which call resolvers directly, ask
`roles_of_operation` once when they are compiled, and leave what a caller may not use to
graphql-core, which says so.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)
from strawberry.types.field import StrawberryField

from db.tokens import Role
from resolvers.context import Context, ForbiddenError

_METADATA_KEY = "roles"
EVERY_ROLE = frozenset(Role)


def allowed_to(*roles: Role) -> Mapping[str, frozenset[Role]]:
    """Return the metadata of a root field: the roles that may use it, besides the manager's."""
    return {_METADATA_KEY: frozenset({*roles, Role.MANAGER})}


def roles_of_field(definition: GraphQLField) -> frozenset[Role]:
    """Return the roles that may use a root field: nobody, if that was forgotten."""
    field = definition.extensions.get("strawberry-definition")
    roles = field.metadata.get(_METADATA_KEY) if isinstance(field, StrawberryField) else None
    return frozenset() if roles is None else roles


def roles_of_operation(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
) -> frozenset[Role]:
    """Return the roles that may use every root field of a valid operation.

    Fields count whatever their `@skip` and `@include` say.
    """
    kind = schema.get_root_type(operation.operation)
    names = set(_field_names(operation.selection_set, fragments))
    own = [kind.fields[name] for name in names if name in kind.fields] if kind else []
    # The others are __typename and the introspection.
    return EVERY_ROLE.intersection(*map(roles_of_field, own))


def _field_names(
    selection_set: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[str]:
    """Yield the names of the fields that a selection set has, those of its fragments included."""
    sets, visited = [selection_set], set()
    while sets:
        for node in sets.pop().selections:
            if isinstance(node, FieldNode):
                yield node.name.value
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                # Once each: spreads of spreads would take exponential time.
                if name not in visited:
                    visited.add(name)
                    sets.append(fragments[name].selection_set)
            elif isinstance(node, InlineFragmentNode):
                sets.append(node.selection_set)


def guard_root_fields(schema: GraphQLSchema) -> None:
    """Let graphql-core ask for the caller's role before it calls a root field's resolver."""
    for kind in (schema.query_type, schema.mutation_type):
        for name, definition in _fields(kind):
            definition.resolve = _guarded(name, definition, definition.resolve)
    for name, definition in _fields(schema.subscription_type):
        definition.subscribe = _guarded(name, definition, definition.subscribe)


def _fields(kind: GraphQLObjectType | None) -> list[tuple[str, GraphQLField]]:
    return [] if kind is None else list(kind.fields.items())


def _guarded(
    name: str, definition: GraphQLField, resolve: Callable[..., Any] | None
) -> Callable[..., Any]:
    if resolve is None:
        raise TypeError(f"The root field {name} has no resolver.")
    roles = roles_of_field(definition)

    def resolve_if_allowed(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        context: Context = info.context
        if not context.may_use(roles):
            raise ForbiddenError(f"{_role_of(context)} may not use {name}.")
        # Half of a mutation would be worse than none.
        if info.operation.operation is OperationType.MUTATION and not context.may_use(
            roles_of_operation(info.schema, info.operation, info.fragments)
        ):
            raise ForbiddenError(
                f"{_role_of(context)} may not use every field of this mutation: nothing was done."
            )
        return resolve(source, info, **arguments)

    return resolve_if_allowed


def _role_of(context: Context) -> str:
    return "Nobody" if context.caller is None else f"The role {context.caller.role.value}"
