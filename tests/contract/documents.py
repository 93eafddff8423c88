"""Generate operations for a schema: aliases, fragments, directives, literals and variables."""

import json
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_composite_type,
)
from hypothesis import strategies as st

Draw = Any
ODD_VALUES: list[Any] = [
    None,
    "text",
    "",
    0,
    1,
    -1,
    2**31,
    1.0,
    1.5,
    True,
    [],
    [None],
    {},
    {"x": 1},
]
ODD_VALUES += [["good"], "\ud800", {"behaviour": "good"}, {"name": "a", "amount": "b"}]


@dataclass
class _Writer:
    """One operation while it is written."""

    draw: Draw
    schema: GraphQLSchema
    texts: list[str]
    fragments: dict[str, str] = field(default_factory=dict)
    definitions: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    depth: int = 0

    def chance(self, percent: int) -> bool:
        return bool(self.draw(st.integers(0, 99)) < percent)

    def value(self, kind: Any, *, odd: int = 0) -> Any:
        """Return a JSON value of this type; with a chance of `odd` percent, one of another."""
        if self.chance(odd):
            return self.draw(st.sampled_from(ODD_VALUES))
        if isinstance(kind, GraphQLNonNull):
            return self.present_value(kind.of_type, odd)
        return None if self.chance(15) else self.present_value(kind, odd)

    def present_value(self, kind: Any, odd: int) -> Any:
        if isinstance(kind, GraphQLList):
            count = self.draw(st.integers(0, 3))
            return [self.value(kind.of_type, odd=odd) for _ in range(count)]
        if isinstance(kind, GraphQLInputObjectType):
            return {
                name: self.value(part.type, odd=odd)
                for name, part in kind.fields.items()
                if isinstance(part.type, GraphQLNonNull) or self.chance(50)
            }
        choices: dict[str, list[Any]] = {
            "String": self.texts,
            "ID": ["a", "7"],
            "Int": [0, 1, 7, -(2**31)],
            "Float": [1.5, -0.25],
            "Boolean": [True, False],
        }
        return self.draw(st.sampled_from(choices[kind.name]))

    def variable(self, kind: Any) -> str:
        """Declare a variable of this type; maybe with a default, maybe without a value."""
        name = f"v{len(self.definitions)}"
        definition = f"${name}: {kind}"
        if self.chance(15):
            definition += f" = {self.literal(self.value(kind), kind)}"
        if isinstance(kind, GraphQLNonNull) or self.chance(80):
            self.values[name] = self.value(kind, odd=5)
        self.definitions.append(definition)
        return f"${name}"

    def literal(self, value: Any, kind: Any, *, with_variables: bool = False) -> str:
        """Write a value; parts of it may become variables."""
        if with_variables and self.chance(15):
            return self.variable(kind)
        inner = kind.of_type if isinstance(kind, GraphQLNonNull) else kind
        if isinstance(value, list):
            part = inner.of_type if isinstance(inner, GraphQLList) else inner
            items = (self.literal(item, part, with_variables=with_variables) for item in value)
            return f"[{', '.join(items)}]"
        if isinstance(value, dict):
            fields = inner.fields
            kinds = {name: part.type for name, part in fields.items()}
            parts = (
                f"{name}: {self.literal(item, kinds[name], with_variables=with_variables)}"
                for name, item in value.items()
            )
            return f"{{{', '.join(parts)}}}"
        return json.dumps(value)

    def arguments(self, definition: GraphQLField) -> str:
        written = []
        for name, argument in definition.args.items():
            if isinstance(argument.type, GraphQLNonNull) or self.chance(50):
                if self.chance(50):
                    text = self.variable(argument.type)
                else:
                    text = self.literal(
                        self.value(argument.type), argument.type, with_variables=True
                    )
                written.append(f"{name}: {text}")
        return f"({', '.join(written)})" if written else ""

    def directives(self) -> str:
        if not self.chance(12):
            return ""
        name = self.draw(st.sampled_from(["skip", "include"]))
        if self.chance(50):
            condition = self.draw(st.sampled_from(["true", "false"]))
        else:
            condition = self.variable(GraphQLNonNull(self.schema.type_map["Boolean"]))
        return f" @{name}(if: {condition})"

    def field(self, kind: GraphQLObjectType) -> str:
        # At the root it is not covered.
        names = [*kind.fields, *(["__typename"] if self.depth > 1 else [])]
        name = self.draw(st.sampled_from(names))
        alias = f"{self.draw(st.sampled_from('abcd'))}: " if self.chance(25) else ""
        if name == "__typename":
            return f"{alias}__typename{self.directives()}"
        definition = kind.fields[name]
        text = f"{alias}{name}{self.arguments(definition)}{self.directives()}"
        inner = get_named_type(definition.type)
        return f"{text} {self.selection(inner)}" if is_composite_type(inner) else text

    def selection(self, kind: Any) -> str:
        self.depth += 1
        count = self.draw(st.integers(1, 4 if self.depth < 3 else 1))
        parts = [self.part(kind) if self.depth < 5 else "__typename" for _ in range(count)]
        self.depth -= 1
        return f"{{ {' '.join(parts)} }}"

    def part(self, kind: Any) -> str:
        if self.chance(10):
            condition = self.draw(st.sampled_from(["", f"on {kind}"]))
            return f"... {condition}{self.directives()} {self.selection(kind)}"
        if self.chance(10):
            name = f"F{len(self.fragments)}"
            self.fragments[name] = ""
            self.fragments[name] = f"fragment {name} on {kind} {self.selection(kind)}"
            spread = f"...{name}{self.directives()}"
            return f"{spread} ...{name}" if self.chance(20) else spread
        return self.field(kind)


@st.composite
def operations(
    draw: Draw,
    schema: GraphQLSchema,
    texts: list[str],
    kinds: tuple[str, ...] = ("query", "mutation"),
) -> tuple[str, dict[str, Any]]:
    """Return a document of one operation, and variables for it."""
    kind = draw(st.sampled_from(["query", "mutation"]))
    root = schema.query_type if kind == "query" else schema.mutation_type
    writer = _Writer(draw, schema, texts)
    selection = writer.selection(root)
    definitions = f"({', '.join(writer.definitions)})" if writer.definitions else ""
    parts = [f"{kind} Generated{definitions} {selection}", *writer.fragments.values()]
    return "\n".join(parts), writer.values
