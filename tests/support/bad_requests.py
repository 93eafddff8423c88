"""Requests that are refused, each with its code: the same on every edge."""

from typing import Any

from tests.support.hostile import DOCUMENTS
from tests.support.orders import CREATE_ORDER, FOLLOW

Request = dict[str, Any]

TWO = "query A { a: serverTime } query B { b: serverTime }"
LIST = (
    "query List($first: Int, $after: String) "
    "{ orders(first: $first, after: $after) { nodes { id } } }"
)
NEEDS = "query Needs($id: ID!) { order(id: $id) { id } }"
BAD, FAILS, INVALID, INPUT = (
    "BAD_REQUEST",
    "OPERATION_RESOLUTION_FAILURE",
    "GRAPHQL_VALIDATION_FAILED",
    "BAD_USER_INPUT",
)

# What is no GraphQL request: HTTP answers 400, whatever type of answer is accepted.
SHAPES: dict[str, Request] = {
    "nothing": {},
    "no query": {"variables": {}},
    "a query that is null": {"query": None},
    "variables that are a list": {"query": LIST, "variables": []},
    "variables that are a list, of two operations": {"query": TWO, "variables": []},
    "variables that are a number": {"query": LIST, "variables": 7},
    "variables that are false": {"query": LIST, "variables": False},
    "extensions that are a list": {"query": LIST, "extensions": []},
    "extensions that are a number": {"query": LIST, "extensions": 7},
    "a name that is none": {"query": LIST, "operationName": "é"},
    "a name that is none, of two operations": {"query": TWO, "operationName": "Ä"},
    "odd parts of a document that is none": {"query": "{", "variables": [], "extensions": 1},
}
# What can't be said by GET, where all is text.
SHAPES_OF_JSON: dict[str, Request] = {
    "a query that is a number": {"query": 7},
    "a query that is an object": {"query": {"a": 1}},
    "variables that are text": {"query": LIST, "variables": "{}"},
    "variables that are empty text": {"query": LIST, "variables": ""},
    "extensions that are text": {"query": LIST, "extensions": "x"},
    "a name that is a number": {"query": LIST, "operationName": 7},
    "a name that is an object": {"query": LIST, "operationName": {}},
    "a name that is no text": {"query": LIST, "operationName": "\ud800"},
}
# What is refused before anything is executed.
REFUSED: dict[str, tuple[Request, str]] = {
    "an empty document": ({"query": ""}, "GRAPHQL_PARSE_FAILED"),
    "a document of spaces": ({"query": " \n"}, "GRAPHQL_PARSE_FAILED"),
    "a comment only": ({"query": "# nothing"}, "GRAPHQL_PARSE_FAILED"),
    "a syntax error": ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
    "a syntax error later": ({"query": "{ orders { nodes { id } } } }"}, "GRAPHQL_PARSE_FAILED"),
    "a syntax error, and a name": ({"query": "{", "operationName": "A"}, "GRAPHQL_PARSE_FAILED"),
    "two operations without a name": ({"query": TWO}, FAILS),
    "two operations and an empty name": ({"query": TWO, "operationName": ""}, FAILS),
    "two operations and no name": ({"query": TWO, "operationName": None}, FAILS),
    "two operations and another name": ({"query": TWO, "operationName": "C"}, FAILS),
    "a query and a mutation": ({"query": f"{LIST} {CREATE_ORDER}"}, INVALID),
    "a query, a mutation with a name": (
        {"query": f"{LIST} {CREATE_ORDER.replace('mutation', 'mutation Create')}"},
        FAILS,
    ),
    "one operation and another name": ({"query": LIST, "operationName": "Other"}, FAILS),
    "one operation, not its case": ({"query": LIST, "operationName": "list"}, FAILS),
    "no name, and one is asked for": ({"query": "{ serverTime }", "operationName": "A"}, FAILS),
    "a name with a space": ({"query": LIST, "operationName": "List "}, FAILS),
    "a name of 5,000 letters": ({"query": LIST, "operationName": "L" * 5_000}, FAILS),
    "a fragment only": ({"query": "fragment F on Query { serverTime }"}, INVALID),
    "a fragment only, and a name": (
        {"query": "fragment F on Query { serverTime }", "operationName": "F"},
        INVALID,
    ),
    "a type": ({"query": "type Query { a: Int }"}, INVALID),
    "an unknown field": ({"query": "{ ordres { nodes { id } } }"}, INVALID),
    "an unknown field, twice": ({"query": "{ ordres } query { ordres }"}, INVALID),
    "an unknown argument": ({"query": "{ orders(frist: 1) { nodes { id } } }"}, INVALID),
    "an unknown variable": ({"query": "{ orders(first: $n) { nodes { id } } }"}, INVALID),
    "an unknown type": ({"query": "query ($a: Nothing) { serverTime }"}, INVALID),
    "an unknown fragment": ({"query": "{ ...F }"}, INVALID),
    "no selection": ({"query": "{ orders }"}, INVALID),
    "a selection of a leaf": ({"query": "{ serverTime { a } }"}, INVALID),
    "a value of another type": ({"query": '{ orders(first: "1") { nodes { id } } }'}, INVALID),
    "two subscriptions in one": (
        {"query": "subscription { a: orderCreated { id } b: orderCreated { id } }"},
        INVALID,
    ),
    "a variable of another type": ({"query": LIST, "variables": {"first": "1"}}, INPUT),
    "a variable that is a list": ({"query": LIST, "variables": {"first": [1, 2]}}, INPUT),
    "a variable that is too large": ({"query": LIST, "variables": {"first": 2**31}}, INPUT),
    "a variable that is true": ({"query": LIST, "variables": {"first": True}}, INPUT),
    "a missing variable": ({"query": NEEDS}, INPUT),
    "a variable that is null": ({"query": NEEDS, "variables": {"id": None}}, INPUT),
    "variables that are null": ({"query": NEEDS, "variables": None}, INPUT),
    "a variable of another type, uncompiled": (
        {"query": LIST.replace("{ orders", "{ __typename orders"), "variables": {"first": "1"}},
        INPUT,
    ),
    "a missing variable, uncompiled": (
        {"query": NEEDS.replace("{ order", "{ __typename order")},
        INPUT,
    ),
    "too many variables": (
        {"query": "{ __typename }", "variables": {"a": [1] * 4000}},
        "VARIABLES_TOO_LARGE",
    ),
    "too deep": ({"query": "{ a: orders " * 12 + "}" * 12}, "TOO_DEEP"),
    "far too deep": ({"query": "{ a " * 330 + "}" * 330}, "GRAPHQL_PARSE_FAILED"),
    "too many tokens": ({"query": "{ " + "serverTime " * 1001 + "}"}, "TOO_MANY_TOKENS"),
    "too many fields": ({"query": DOCUMENTS["too many fields"]}, "TOO_MANY_FIELDS"),
    "too many aliases": (
        {"query": "{" + " ".join(f"a{n}: serverTime" for n in range(16)) + "}"},
        "TOO_MANY_ALIASES",
    ),
    "a cycle of fragments": ({"query": DOCUMENTS["a cycle of fragments"]}, "FRAGMENT_CYCLE"),
}
# What a field refuses while it is executed: a response with data.
FIELDS: dict[str, tuple[Request, str]] = {
    "a cursor that is none": ({"query": LIST, "variables": {"after": "x"}}, "BAD_CURSOR"),
    "an empty cursor": ({"query": LIST, "variables": {"after": ""}}, "BAD_CURSOR"),
    "a cursor that is no text": ({"query": LIST, "variables": {"after": "é\n"}}, "BAD_CURSOR"),
    "a page of none": ({"query": LIST, "variables": {"first": 0}}, INPUT),
    "a page too large": ({"query": LIST, "variables": {"first": 201}}, INPUT),
    "two ends": ({"query": "{ orders(first: 1, last: 1) { nodes { id } } }"}, INPUT),
    "one of two fields": (
        {"query": '{ serverTime orders(after: "x") { nodes { id } } }'},
        "BAD_CURSOR",
    ),
    "a cursor that is none, uncompiled": (
        {"query": '{ __typename orders(after: "x") { nodes { id } } }'},
        "BAD_CURSOR",
    ),
}
# Mutations: what isn't refused before is not allowed by GET.
MUTATIONS: dict[str, tuple[Request, str]] = {
    "a missing input": ({"query": CREATE_ORDER}, INPUT),
    "an input of another type": ({"query": CREATE_ORDER, "variables": {"input": 7}}, INPUT),
    "an input without items": (
        {"query": CREATE_ORDER, "variables": {"input": {"table": "1"}}},
        INPUT,
    ),
    "an unknown input field": (
        {"query": CREATE_ORDER, "variables": {"input": {"table": "1", "items": [], "x": 1}}},
        INPUT,
    ),
    "an item of another type": (
        {"query": CREATE_ORDER, "variables": {"input": {"table": "1", "items": [{"name": 1}]}}},
        INPUT,
    ),
}
# What only a socket can ask for.
SUBSCRIPTIONS: dict[str, tuple[Request, str]] = {
    "a variable of another type": ({"query": FOLLOW, "variables": {"last": "1"}}, INPUT),
    "a cursor that is none": ({"query": FOLLOW, "variables": {"after": "x"}}, "BAD_CURSOR"),
    "both": ({"query": FOLLOW, "variables": {"after": "x", "last": 1}}, INPUT),
    "too many": ({"query": FOLLOW, "variables": {"last": 201}}, INPUT),
    "two": (
        {"query": "subscription A { orderCreated { id } } subscription B { orderCreated { id } }"},
        FAILS,
    ),
}
