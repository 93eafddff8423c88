"""Our own fields compile, with all of their arguments and all that they have to tell.

A field that doesn't still works, ten times as slowly: nothing else would say so.
"""

import pytest
from graphql import GraphQLObjectType, get_named_type
from graphql.type import GraphQLField

from execution.engine import build_engine
from schema.sdl import vocabulary
from tests.support.compiled import compiled

SCHEMA = vocabulary()._schema
ROOTS = {
    "query": SCHEMA.query_type,
    "mutation": SCHEMA.mutation_type,
    "subscription": SCHEMA.subscription_type,
}


def selection(field: GraphQLField) -> str:
    """Select everything below a field."""
    kind = get_named_type(field.type)
    if not isinstance(kind, GraphQLObjectType):
        return ""
    below = (f"{name} {selection(each)}" for name, each in kind.fields.items())
    return f"{{ {' '.join(below)} }}"


@pytest.mark.parametrize(
    ("operation", "name"),
    [(operation, name) for operation, root in ROOTS.items() if root for name in root.fields],
)
def test_field_compiles(operation: str, name: str) -> None:
    root = ROOTS[operation]
    assert root is not None
    field = root.fields[name]
    declared = ", ".join(f"${each}: {given.type}" for each, given in field.args.items())
    passed = ", ".join(f"{each}: ${each}" for each in field.args)
    head = f"{operation} ({declared}) {{ {name}({passed})" if passed else f"{operation} {{ {name}"
    assert compiled(build_engine(), f"{head} {selection(field)} }}") is not None
