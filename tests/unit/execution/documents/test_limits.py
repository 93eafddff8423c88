"""Limits of documents: each named with its code, before validation, in linear time."""

from itertools import product

import pytest
from graphql import GraphQLError, get_introspection_query

from execution.documents.cache import DocumentCache
from execution.documents.limits import DocumentLimitError, DocumentLimits, parse_within_limits
from execution.engine import build_engine
from execution.errors import code_of
from tests.support.hostile import DOCUMENTS

LIMITS = DocumentLimits()


@pytest.fixture(scope="module")
def documents() -> DocumentCache:
    return build_engine().documents


def refusal(documents: DocumentCache, text: str) -> tuple[str, str]:
    with pytest.raises(GraphQLError) as caught:
        documents.get(text)
    assert len(documents) == 0, "what is refused is not kept"
    return code_of(caught.value).name, caught.value.message


def numbered(selection: str, count: int) -> str:
    return " ".join(selection.replace("#", str(number)) for number in range(count))


def nested(levels: int) -> str:
    return "{ a " * levels + "}" * levels


@pytest.mark.parametrize(
    ("code", "number", "within", "beyond"),
    [
        (
            "DOCUMENT_TOO_LARGE",
            LIMITS.characters,
            "{ __typename }".ljust(LIMITS.characters),
            "{ __typename }".ljust(LIMITS.characters + 1),
        ),
        (
            "TOO_MANY_TOKENS",
            LIMITS.tokens,
            "{ a(b: [" + "1 " * (LIMITS.tokens - 9) + "]) }",
            "{ a(b: [" + "1 " * (LIMITS.tokens - 8) + "]) }",
        ),
        (
            "TOO_MANY_TOKENS",
            LIMITS.tokens,
            "#\n" * LIMITS.tokens + "{ a }",
            "#\n" * (LIMITS.tokens + 1) + "{ a }",
        ),
        ("TOO_DEEP", LIMITS.depth, nested(LIMITS.depth), nested(LIMITS.depth + 1)),
        (
            "TOO_MANY_ALIASES",
            LIMITS.aliases,
            f"{{ a {{ {numbered('b#: c', LIMITS.aliases)} }} }}",
            f"{{ a {{ {numbered('b#: c', LIMITS.aliases + 1)} }} }}",
        ),
        (
            "TOO_MANY_ROOT_FIELDS",
            LIMITS.root_fields,
            f"{{ {numbered('a#', LIMITS.root_fields)} }}",
            f"{{ ...F }} fragment F on Query {{ {numbered('a#', LIMITS.root_fields + 1)} }}",
        ),
        (
            "TOO_MANY_FIELDS",
            LIMITS.fields,
            f"{{ a {{ {numbered('b#', LIMITS.fields - 1)} }} }}",
            f"{{ a {{ {numbered('b#', LIMITS.fields)} }} }}",
        ),
        (
            "TOO_MANY_FRAGMENTS",
            LIMITS.fragments,
            "{ a } " + numbered("fragment F# on Query { a }", LIMITS.fragments),
            "{ a } " + numbered("fragment F# on Query { a }", LIMITS.fragments + 1),
        ),
        (
            "TOO_MANY_DIRECTIVES",
            LIMITS.directives,
            f"query {numbered('@a#', LIMITS.directives // 2)} "
            f"{{ a {numbered('@b#', LIMITS.directives // 2)} }}",
            f"query {numbered('@a#', LIMITS.directives)} {{ a @b }}",
        ),
    ],
)
def test_limit_is_named_and_met_exactly(
    documents: DocumentCache, code: str, number: int, within: str, beyond: str
) -> None:
    parse_within_limits(within, LIMITS)
    found, message = refusal(documents, beyond)
    assert found == code
    assert str(number) in message


@pytest.mark.parametrize(
    ("spread", "code"),
    [
        ("{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }", "FRAGMENT_CYCLE"),
        ("{ a } fragment A on Query { b { ...A } }", "FRAGMENT_CYCLE"),
        (
            "{ ...F0 } "
            + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(19))
            + " fragment F19 on Query { b: a }",
            "TOO_MANY_ALIASES",
        ),
        (
            "{ ...F0 } "
            + " ".join(f"fragment F{n} on Query {{ a {{ ...F{n + 1} }} }}" for n in range(10))
            + " fragment F10 on Query { b }",
            "TOO_DEEP",
        ),
    ],
)
def test_what_fragments_multiply_is_counted_after_spreading(
    documents: DocumentCache, spread: str, code: str
) -> None:
    assert refusal(documents, spread)[0] == code


@pytest.mark.parametrize("options", list(product([True, False], repeat=3)))
def test_introspection_of_tools_is_within_the_limits(
    documents: DocumentCache, options: tuple[bool, ...]
) -> None:
    described, deprecated, everything = options
    text = get_introspection_query(
        descriptions=described,
        input_value_deprecation=deprecated,
        specified_by_url=everything,
        directive_is_repeatable=everything,
        schema_description=everything,
        experimental_directive_deprecation=False,
        one_of=everything,
    )
    document = build_engine().documents.get(text)
    assert document.errors == []


def test_introspection_has_an_end(documents: DocumentCache) -> None:
    depth = "type { ofType { " * 15
    text = "{ __schema { types { fields { " + depth + "name" + " }" * 34
    assert refusal(documents, text)[0] == "TOO_DEEP"


def test_refused_document_is_refused_again_without_reading_it(documents: DocumentCache) -> None:
    text = DOCUMENTS["too many fields"]
    errors = []
    for _ in range(2):
        with pytest.raises(DocumentLimitError) as caught:
            documents.get(text)
        errors.append(caught.value)
    assert errors[0] is errors[1]


def test_syntax_error_is_not_taken_for_a_limit() -> None:
    for text in ("{ a(b: ) }", "{" + "a " * 900, "#\n" * 900 + "{", '"', "{ a } }" + " a" * 2000):
        with pytest.raises(GraphQLError) as caught:
            parse_within_limits(text, LIMITS)
        assert not isinstance(caught.value, DocumentLimitError)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_errors_of_hostile_documents_are_few(documents: DocumentCache, name: str) -> None:
    try:
        errors = documents.get(DOCUMENTS[name]).errors
    except GraphQLError as error:
        errors = [error]
    assert len(errors) <= 6
    assert sum(len(error.message) for error in errors) < 64_000
