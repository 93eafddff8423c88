"""Compile the way out: from what a resolver returns to the data of the response.

Each function takes the one shape that is right, for example a record with all its attributes, and
deviates on everything else: a null where none may be, a value of another type, an awaitable.
"""

from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLLeafType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    Undefined,
    get_named_type,
    is_leaf_type,
)
from graphql.execution.collect_fields import FieldDetails
from strawberry.types.field import StrawberryField

from execution.compiled.boundary import DeviationError, NotCoveredError
from execution.compiled.selection import Selection

_INT = 2**31
Completer = Callable[[Any], Any]


def strawberry_field(definition: GraphQLField) -> StrawberryField:
    """Return the Strawberry field behind a field of the schema."""
    field = definition.extensions.get("strawberry-definition")
    if not isinstance(field, StrawberryField):
        raise NotCoveredError("a field that is not Strawberry's")
    return field


def compile_completer(kind: Any, fields: list[FieldDetails], selection: Selection) -> Completer:
    """Return a function that completes a value of this type."""
    if isinstance(kind, GraphQLNonNull):
        return _compile_present(kind.of_type, fields, selection)
    present = _compile_present(kind, fields, selection)
    return lambda value: None if value is None else present(value)


def _compile_present(kind: Any, fields: list[FieldDetails], selection: Selection) -> Completer:
    """Return a function that completes a value that may not be null: it deviates on None."""
    if isinstance(kind, GraphQLList):
        return _compile_list(compile_completer(kind.of_type, fields, selection))
    if isinstance(kind, GraphQLObjectType):
        return _compile_object(kind, fields, selection)
    if is_leaf_type(kind):
        return _compile_leaf(kind)
    raise NotCoveredError(f"type {kind}")


def _compile_list(item: Completer) -> Completer:
    def complete(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise DeviationError
        return [item(element) for element in value]

    return complete


def _compile_leaf(kind: GraphQLLeafType) -> Completer:
    coerce = kind.coerce_output_value

    def complete(value: Any) -> Any:
        coerced = None if value is None else coerce(value)
        if coerced is None or coerced is Undefined:
            raise DeviationError
        return coerced

    # The values that nearly always come take a shorter way to the same result.
    if isinstance(kind, GraphQLEnumType):
        names = {kind.coerce_input_value(name): name for name in kind.values}
        member = type(next(iter(names)))
        return lambda value: names[value] if type(value) is member else complete(value)
    if kind.name in ("String", "Boolean"):
        plain = str if kind.name == "String" else bool
        return lambda value: value if type(value) is plain else complete(value)
    if kind.name == "Int":
        return lambda value: (
            value if type(value) is int and -_INT <= value < _INT else complete(value)
        )
    if kind.name == "ID":
        return lambda value: (
            value if type(value) is str else str(value) if type(value) is int else complete(value)
        )
    return complete


def _compile_object(
    kind: GraphQLObjectType, fields: list[FieldDetails], selection: Selection
) -> Completer:
    if kind.is_type_of is not None:
        raise NotCoveredError(f"type {kind} checks its values")
    parts = [
        (key, *_compile_field(kind, details, selection))
        for key, details in selection.subfields(kind, fields).items()
    ]

    def complete(value: Any) -> Any:
        if value is None:
            raise DeviationError
        return {key: complete_field(getattr(value, name)) for key, name, complete_field in parts}

    return complete


def _compile_field(
    kind: GraphQLObjectType, details: list[FieldDetails], selection: Selection
) -> tuple[str, Completer]:
    """Return the attribute that Strawberry's default resolver reads, and its completer."""
    node = details[0].node
    if node.name.value == "__typename":
        return "__class__", lambda _: kind.name  # every object has that attribute
    definition = kind.fields[node.name.value]
    field = strawberry_field(definition)
    if not field.is_basic_field or definition.args:
        raise NotCoveredError(f"field {kind}.{node.name.value} has a resolver")
    return field.python_name, compile_completer(definition.type, details, selection)


Weigher = Callable[[Any], int]


def compile_weigher(kind: Any, fields: list[FieldDetails], selection: Selection) -> Weigher | None:
    """Return a function that counts the values in a value's lists; None if it has no lists.

    `paced_executor` counts the same: what is too large for one is too large for the other.
    """
    if isinstance(kind, GraphQLNonNull):
        return compile_weigher(kind.of_type, fields, selection)
    if isinstance(kind, GraphQLList):
        return _compile_list_weigher(kind.of_type, fields, selection)
    if isinstance(kind, GraphQLObjectType):
        return _compile_object_weigher(kind, fields, selection)
    return None


def _compile_list_weigher(item: Any, fields: list[FieldDetails], selection: Selection) -> Weigher:
    of_kind = get_named_type(item)
    is_object = isinstance(of_kind, GraphQLObjectType)
    each = len(selection.subfields(of_kind, fields)) if is_object else 1
    weigh_item = compile_weigher(item, fields, selection)
    if weigh_item is None:
        return lambda value: 0 if value is None else len(value) * each
    weigh = weigh_item
    return lambda value: 0 if value is None else len(value) * each + sum(map(weigh, value))


def _compile_object_weigher(
    kind: GraphQLObjectType, fields: list[FieldDetails], selection: Selection
) -> Weigher | None:
    parts = []
    for details in selection.subfields(kind, fields).values():
        definition = kind.fields.get(details[0].node.name.value)
        weigh = definition and compile_weigher(definition.type, details, selection)
        if definition and weigh:
            parts.append((strawberry_field(definition).python_name, weigh))
    if not parts:
        return None
    return lambda value: (
        0 if value is None else sum([weigh(getattr(value, name)) for name, weigh in parts])
    )
