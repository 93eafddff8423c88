"""Compile the check of a request's variables against the types that its operation declares."""

from collections.abc import Callable, Mapping
from typing import Any

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLString,
    OperationDefinitionNode,
    Undefined,
    type_from_ast,
)
from graphql.execution.values import get_variable_values
from graphql.type import is_required_input_field
from graphql.utilities.coerce_input_value import coerce_default_value

from execution.compiled.boundary import DeviationError, NotCoveredError

Coercer = Callable[[Any], Any]
Variables = Mapping[str, Any]

_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1


def _exactly(kind: type) -> Coercer:
    def coerce(value: Any) -> Any:
        if type(value) is kind:
            return value
        raise DeviationError

    return coerce


def _int(value: Any) -> Any:
    if type(value) is int and _INT_MIN <= value <= _INT_MAX:
        return value
    raise DeviationError


# What graphql-core also accepts (1.0 for Int, 7 for ID) is rare: it is left to it.
_LEAVES: dict[str, Coercer] = {
    GraphQLString.name: _exactly(str),
    GraphQLID.name: _exactly(str),
    GraphQLBoolean.name: _exactly(bool),
    GraphQLFloat.name: _exactly(float),
    GraphQLInt.name: _int,
}


def compile_coercer(kind: GraphQLInputType) -> Coercer:
    """Return a function that takes a JSON value of this type as it is, or deviates."""
    if isinstance(kind, GraphQLNonNull):
        return _compile_present(kind.of_type)
    present = _compile_present(kind)
    return lambda value: None if value is None else present(value)


def _compile_present(kind: Any) -> Coercer:
    if isinstance(kind, GraphQLList):
        return _compile_list(compile_coercer(kind.of_type))
    if isinstance(kind, GraphQLInputObjectType):
        return _compile_input_object(kind)
    if isinstance(kind, GraphQLEnumType):
        return _compile_enum(kind)
    if kind.name in _LEAVES:
        return _LEAVES[kind.name]
    if kind.name == "DateTime":
        return _compile_text(kind)
    raise NotCoveredError(f"input type {kind}")


def _compile_list(item: Coercer) -> Coercer:
    def coerce(value: Any) -> Any:
        if type(value) is not list:
            raise DeviationError
        return [item(element) for element in value]

    return coerce


def _compile_text(kind: GraphQLScalarType) -> Coercer:
    """Let a scalar read a text; what it refuses graphql-core says."""

    def coerce(value: Any) -> Any:
        if type(value) is not str:
            raise DeviationError
        return kind.coerce_input_value(value)

    return coerce


def _compile_enum(kind: GraphQLEnumType) -> Coercer:
    members = {name: kind.coerce_input_value(name) for name in kind.values}

    def coerce(value: Any) -> Any:
        member = members.get(value) if type(value) is str else None
        if member is None:
            raise DeviationError
        return member

    return coerce


def _compile_input_object(kind: GraphQLInputObjectType) -> Coercer:
    if kind.is_one_of:
        raise NotCoveredError(f"input type {kind}")
    fields = [
        (name, compile_coercer(field.type), is_required_input_field(field))
        for name, field in kind.fields.items()
    ]
    names = kind.fields.keys()
    defaults = {
        name: coerce_default_value(field)
        for name, field in kind.fields.items()
        if has_default(field)
    }

    def coerce(value: Any) -> Any:
        if type(value) is not dict or not value.keys() <= names:
            raise DeviationError
        coerced = defaults.copy()
        for name, coerce_field, required in fields:
            if name in value:
                coerced[name] = coerce_field(value[name])
            elif required:
                raise DeviationError
        return coerced

    return coerce


def has_default(definition: Any) -> bool:
    """Tell whether an argument or input field has a default in the schema."""
    return definition.default_value is not Undefined or definition.default is not None


def compile_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode
) -> Callable[[Variables], dict[str, Any]]:
    """Return a function that checks a request's variables and adds their defaults."""
    expected = []
    for definition in operation.variable_definitions or ():
        kind = type_from_ast(schema, definition.type)
        defaults = get_variable_values(schema, [definition], {})
        default = None if isinstance(defaults, list) else defaults.coerced
        name = definition.variable.name.value
        expected.append((name, compile_coercer(kind), default))  # type: ignore[arg-type]

    def coerce(given: Variables) -> dict[str, Any]:
        coerced: dict[str, Any] = {}
        for name, coerce_variable, default in expected:
            if name in given:
                coerced[name] = coerce_variable(given[name])
            elif default is None:  # it is required
                raise DeviationError
            else:
                coerced.update(default)
        return coerced

    return coerce
