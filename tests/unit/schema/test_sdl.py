"""The schema as clients see it, and the layers behind it."""

import subprocess
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    get_named_type,
)

from schema.sdl import SDL_PATH, sdl
from tests.support.server import ROOT


@pytest.fixture
def schema() -> GraphQLSchema:
    return build_schema(SDL_PATH.read_text())


def own_types(schema: GraphQLSchema) -> list[GraphQLNamedType]:
    return [kind for name, kind in schema.type_map.items() if not name.startswith("__")]


def test_committed_schema_is_up_to_date() -> None:
    assert SDL_PATH.read_text() == sdl(), "run `make schema` and look at the change"


def test_everything_is_described(schema: GraphQLSchema) -> None:
    undescribed = []
    for kind in own_types(schema):
        parts: dict[str, object] = {kind.name: kind}
        if isinstance(kind, GraphQLObjectType):
            for name, field in kind.fields.items():
                parts[f"{kind.name}.{name}"] = field
                parts |= {f"{kind.name}.{name}({a})": arg for a, arg in field.args.items()}
        elif isinstance(kind, GraphQLInputObjectType):
            parts |= {f"{kind.name}.{name}": field for name, field in kind.fields.items()}
        elif isinstance(kind, GraphQLEnumType):
            parts |= {f"{kind.name}.{name}": value for name, value in kind.values.items()}
        undescribed += [name for name, part in parts.items() if not part.description]  # type: ignore[attr-defined]
    assert undescribed == []


def test_no_type_leads_back_to_itself(schema: GraphQLSchema) -> None:
    """A cycle would let a short query cost gigabytes."""

    def visit(kind: GraphQLNamedType, path: tuple[str, ...]) -> None:
        assert kind.name not in path, " → ".join((*path, kind.name))
        if isinstance(kind, GraphQLObjectType):
            for field in kind.fields.values():
                visit(get_named_type(field.type), (*path, kind.name))

    for kind in own_types(schema):
        visit(kind, ())


def test_layers_are_kept() -> None:
    command = [str(Path(ROOT, ".venv/bin/lint-imports")), "--no-logo"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
