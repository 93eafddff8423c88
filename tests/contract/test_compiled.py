"""Compiled operations answer as graphql-core does: the same bytes, the same calls of resolvers.

`BISTRO92_TEST_EXAMPLES=100000` runs more of it than CI does.
"""

import asyncio
import json
import os
from collections import Counter
from typing import Any

import pytest
from graphql import GraphQLError
from hypothesis import HealthCheck, given, settings

from execution.compiled.operation import CompiledOperation
from execution.compiled.running import run_compiled
from execution.documents.cache import Document
from execution.generic import run_generic
from tests.contract.documents import operations
from tests.contract.menu import BEHAVIOURS, MenuContext, build_menu
from tests.support.compiled import compiled

EXAMPLES = int(os.environ.get("BISTRO92_TEST_EXAMPLES", "2000"))
MENU = build_menu()


def answer_generic(document: Document, variables: dict[str, Any], context: Any) -> Any:
    return json.loads(asyncio.run(run_generic(MENU, document, None, variables, context)).body)


def answer_compiled(operation: CompiledOperation, variables: dict[str, Any], context: Any) -> Any:
    return json.loads(asyncio.run(run_compiled(MENU, operation, variables, context)).body)


def compare(text: str, variables: dict[str, Any]) -> str:
    """Run an operation both ways; return what kind of answer it had."""
    try:
        document = MENU.documents.get(text)
    except GraphQLError:
        return "syntax"
    if document.errors:
        return "invalid"
    operation = compiled(MENU, text)
    if operation is None:
        return "not covered"
    one, other = MenuContext(), MenuContext()
    expected = answer_generic(document, variables, one)
    found = answer_compiled(operation, variables, other)
    assert found == expected
    assert list(map(str, _keys(found))) == list(map(str, _keys(expected)))
    assert Counter(other.calls) == Counter(one.calls)
    if "mutation" in text:
        assert other.calls == one.calls
    return "errors" if "errors" in found else "data"


def _keys(value: Any) -> list[Any]:
    """Return all keys of a response in their order: it is the selection's, in both."""
    if isinstance(value, dict):
        return [part for key, item in value.items() for part in (key, *_keys(item))]
    return [part for item in value for part in _keys(item)] if isinstance(value, list) else []


@pytest.mark.timeout(900)
def test_any_operation_has_the_same_answer_from_both() -> None:
    kinds: Counter[str] = Counter()

    @given(operations(MENU.schema, list(BEHAVIOURS)))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    def run(generated: tuple[str, dict[str, Any]]) -> None:
        kinds[compare(*generated)] += 1

    run()
    print(dict(kinds))  # noqa: T201 - shown with -s: what the comparison has seen
    # A generator that makes only refused documents would prove nothing.
    assert kinds["data"] > EXAMPLES // 10
    assert kinds["errors"] > EXAMPLES // 10


COOK_TWO = """mutation {{
  a: {first}(input: {{behaviour: "{behaviour}"}}) {{ name }}
  b: cook(input: {{behaviour: "good"}}) {{ name }}
}}"""
CONDITIONS = """query ($s: Boolean!) {
  dish(behaviour: "good") { name @skip(if: $s) ...F @include(if: $s) }
}
fragment F on Dish { price name }"""
MERGED = """{
  a: sureDish(behaviour: "overloaded") { name }
  a: sureDish(behaviour: "overloaded") { code }
}"""
ODD = [
    ("query ($n: Int = 3) { count(number: $n) }", {}),
    ("query ($n: Int = 3) { count(number: $n) }", {"n": None}),
    ("query ($n: Int) { count(number: $n) }", {}),
    ("query ($n: Int) { count(number: $n) }", {"n": 1.0}),
    ("query ($n: Int) { count(number: $n) }", {"n": "1"}),
    ("query ($n: Int) { count(number: $n) }", {"n": True}),
    ("query ($n: Int) { count(number: $n) }", {"n": 2**31}),
    ("query ($n: Int!) { count(number: $n) }", {}),
    ("query ($n: Int) { count(number: $n) }", {"unknown": 1}),
    ('query ($b: [String!]!) { dishes(behaviours: $b) { name } }', {"b": "good"}),
    ('query ($b: [String!]!) { dishes(behaviours: $b) { name } }', {"b": ["good", None]}),
    ('{ a: dish(behaviour: "raise") { name } b: dish(behaviour: "raise") { name } }', {}),
    ('{ a: dish(behaviour: "raise") { name } b: sureDish(behaviour: "raise") { name } }', {}),
    ('{ dish(behaviour: "overloaded") { name } }', {}),
    (MERGED, {}),
    ('query ($b: [String!]!) { sureDishes(behaviours: $b) { name } }', {"b": ["overloaded"]}),
    ('mutation { a: sureCook(input: {behaviour: "overloaded"}) { name } }', {}),
    ('{ dish(behaviour: "overloaded") { name } count }', {}),
    ('query ($b: String = "good") { dish(behaviour: $b) { name } }', {"b": None}),
    ("mutation ($i: CookInput!) { cook(input: $i) { name } }", {"i": {"behaviour": "good"}}),
    ("mutation ($i: CookInput!) { cook(input: $i) { name } }", {"i": {"behaviour": "a", "x": 1}}),
    (COOK_TWO.format(first="sureCook", behaviour="raise"), {}),
    (COOK_TWO.format(first="cook", behaviour="raise"), {}),
    (COOK_TWO.format(first="sureCook", behaviour="null name"), {}),
    ('mutation ($k: ID) { cook(input: {behaviour: "good", codes: [$k]}) { code } }', {}),
    ('mutation ($w: Float) { cook(input: {behaviour: "good", weight: $w}) { code } }', {}),
    ('mutation ($w: Float) { cook(input: {behaviour: "good", weight: $w}) { code } }', {"w": 1}),
    (CONDITIONS, {"s": True}),
    (CONDITIONS, {"s": False}),
    ('query ($s: Boolean = false) { dish(behaviour: "good") { name @skip(if: $s) } }', {}),
    ('{ dish(behaviour: "good") { side { name } side { price } } }', {}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "variables"), ODD)
def test_operations_that_are_known_to_be_tricky(text: str, variables: dict[str, Any]) -> None:
    assert compare(text, variables) in ("data", "errors")


@pytest.mark.parametrize(
    "text",
    [
        "{ __schema { types { name } } }",
        '{ __type(name: "Dish") { name } }',
        "{ __typename }",
        "query A { count } query B { count }",
        "{ nothing }",
        "{",
    ],
)
def test_what_is_not_covered_is_left_to_graphql_core(text: str) -> None:
    assert compiled(MENU, text) is None
