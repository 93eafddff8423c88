"""Compile the arguments of a root field: from checked variables to what its resolver takes."""

from collections.abc import Callable, Iterator
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLField,
    GraphQLNonNull,
    ListValueNode,
    Node,
    ObjectValueNode,
    Undefined,
    VariableNode,
)
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.schema.name_converter import NameConverter
from strawberry.types.base import (
    StrawberryList,
    StrawberryObjectDefinition,
    StrawberryOptional,
    get_object_definition,
)
from strawberry.types.field import StrawberryField

from execution.compiled.boundary import DeviationError, NotCoveredError
from execution.compiled.variables import has_default

Converter = Callable[[Any], Any]
Arguments = Callable[[dict[str, Any]], dict[str, Any]]


def compile_arguments(
    definition: GraphQLField, field: StrawberryField, node: FieldNode, names: NameConverter
) -> Arguments:
    """Return a function from checked variables to the resolver's keyword arguments."""
    converters = {
        names.from_argument(argument): (
            argument.python_name,
            compile_converter(argument.type, names),
        )
        for argument in field.arguments
    }
    collect = _compile_values(definition, node)

    def build(variables: dict[str, Any]) -> dict[str, Any]:
        arguments = {}
        for name, value in collect(variables).items():
            python_name, convert = converters[name]
            arguments[python_name] = convert(value)
        return arguments

    return build


def _compile_values(definition: GraphQLField, node: FieldNode) -> Arguments:
    """Return a function from checked variables to the values of the given arguments."""
    if any(has_default(argument) for argument in definition.args.values()):
        raise NotCoveredError("an argument with a default")
    direct, literal = _split(definition, node)
    if not _has_variables(literal.values()):
        constants = _literal_values(definition, node, literal, {})
        return lambda variables: _with_direct(constants, direct, variables)
    return lambda variables: _with_direct(
        _literal_values(definition, node, literal, variables), direct, variables
    )


def _split(
    definition: GraphQLField, node: FieldNode
) -> tuple[list[tuple[str, str, bool]], dict[str, Node]]:
    """Return arguments that are a variable (name, variable, required), and the literal ones."""
    direct: list[tuple[str, str, bool]] = []
    literal: dict[str, Node] = {}
    for argument in node.arguments or ():
        name, value = argument.name.value, argument.value
        if isinstance(value, VariableNode):
            required = isinstance(definition.args[name].type, GraphQLNonNull)
            direct.append((name, value.name.value, required))
        else:
            literal[name] = value
    return direct, literal


def _has_variables(values: Any) -> bool:
    return any(isinstance(node, VariableNode) for value in values for node in _walk(value))


def _walk(value: Node) -> Iterator[Node]:
    yield value
    if isinstance(value, ListValueNode):
        for item in value.values:
            yield from _walk(item)
    elif isinstance(value, ObjectValueNode):
        for field in value.fields:
            yield from _walk(field.value)


def _literal_values(
    definition: GraphQLField, node: FieldNode, literal: dict[str, Node], variables: dict[str, Any]
) -> dict[str, Any]:
    """Let graphql-core build the values of literals, variables within them included."""
    wanted = {name: definition.args[name] for name in literal}
    if not wanted:
        return {}
    try:
        return get_argument_values(
            GraphQLField(definition.type, wanted), node, VariableValues({}, variables)
        )
    except GraphQLError:
        raise DeviationError from None


def _with_direct(
    values: dict[str, Any], direct: list[tuple[str, str, bool]], variables: dict[str, Any]
) -> dict[str, Any]:
    values = dict(values)
    for name, variable, required in direct:
        value = variables.get(variable, Undefined)
        if required and (value is Undefined or value is None):
            raise DeviationError
        if value is not Undefined:
            values[name] = value
    return values


def compile_converter(kind: Any, names: NameConverter) -> Converter:
    """Return a function that turns a checked value into what Strawberry hands to resolvers."""
    if isinstance(kind, StrawberryOptional):
        inner = compile_converter(kind.of_type, names)
        return lambda value: None if value is None else inner(value)
    if isinstance(kind, StrawberryList):
        item = compile_converter(kind.of_type, names)
        return lambda value: [item(element) for element in value]
    definition = get_object_definition(kind)
    if definition is None:
        return lambda value: value
    if not definition.is_input or definition.from_input is not None:
        raise NotCoveredError(f"input type {definition.name}")
    return _compile_instance(definition, names)


def _compile_instance(definition: StrawberryObjectDefinition, names: NameConverter) -> Converter:
    make = definition.origin
    fields = {
        names.from_field(field): (
            field.python_name,
            compile_converter(field.resolve_type(type_definition=definition), names),
        )
        for field in definition.fields
    }

    def convert(value: dict[str, Any]) -> Any:
        given = {}
        for name, item in value.items():
            python_name, convert_field = fields[name]
            given[python_name] = convert_field(item)
        return make(**given)

    return convert
