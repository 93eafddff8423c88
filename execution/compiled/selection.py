"""Which fields an operation selects, for one setting of its `@skip` and `@include` conditions.

The fields are collected by graphql-core itself, once for each setting that occurs, so fragments,
merged fields and conditions mean exactly what they mean in the generic execution.
"""

from collections.abc import Mapping

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableNode,
    Visitor,
    visit,
)
from graphql.execution.collect_fields import (
    FieldDetails,
    FragmentDetails,
    collect_fields,
    collect_subfields,
)
from graphql.execution.values import VariableValues

from execution.compiled.boundary import NotCoveredError
from execution.documents.cache import Document


class _Conditions(Visitor):
    """Gathers the variables that conditions depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: object) -> None:
        """Note a condition; another directive is not covered."""
        if node.name.value not in ("skip", "include"):
            raise NotCoveredError(f"directive @{node.name.value}")
        for argument in node.arguments or ():
            if isinstance(argument.value, VariableNode):
                self.names.add(argument.value.name.value)


def condition_variables(document: Document) -> tuple[str, ...]:
    """Return the names of the variables that conditions depend on."""
    conditions = _Conditions()
    visit(document.ast, conditions)
    return tuple(sorted(conditions.names))


class _FieldNames(Visitor):
    """Gathers the names of all fields, at whatever depth."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        """Note a field."""
        self.names.add(node.name.value)


def field_names(document: Document) -> set[str]:
    """Return the names of all fields that a document mentions, whatever its conditions."""
    fields = _FieldNames()
    visit(document.ast, fields)
    return fields.names


class Selection:
    """The fields of one operation under one setting of its conditions."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: Document,
        operation: OperationDefinitionNode,
        conditions: Mapping[str, bool],
    ) -> None:
        self.schema = schema
        self._operation = operation
        self._conditions = VariableValues({}, dict(conditions))
        self._fragments = {
            node.name.value: FragmentDetails(node)
            for node in document.ast.definitions
            if isinstance(node, FragmentDefinitionNode)
        }

    def root_fields(self, kind: GraphQLObjectType) -> dict[str, list[FieldDetails]]:
        """Return the operation's fields by response key, in response order."""
        return collect_fields(
            self.schema, self._fragments, self._conditions, kind, self._operation
        ).grouped_field_set

    def subfields(
        self, kind: GraphQLObjectType, fields: list[FieldDetails]
    ) -> dict[str, list[FieldDetails]]:
        """Return the fields below these, by response key, in response order."""
        return collect_subfields(
            self.schema, self._fragments, self._conditions, self._operation, kind, fields
        ).grouped_field_set
