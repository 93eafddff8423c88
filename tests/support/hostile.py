"""Requests made to hold a server up: each as large as it may be, each slow in its own way."""

import json

from tests.support.orders import CREATE_ORDER

_BODY_BYTES = 128 * 1024 - 512


def _body(query: str, **variables: object) -> bytes:
    return json.dumps({"query": query, "variables": variables}).encode()


def _items(item: object, count: int) -> bytes:
    return _body(CREATE_ORDER, input={"table": "1", "items": [item] * count})


def _repeated(selection: str, count: int) -> str:
    return " ".join([selection] * count)


def _numbered(selection: str, count: int) -> str:
    return " ".join(selection.replace("#", str(number)) for number in range(count))


def _deep(kind: bytes, levels: int) -> bytes:
    opening, closing = kind[:-1], kind[-1:]
    value = opening * levels + b"1" + closing * levels
    return b'{"query": "{ __typename }", "variables": {"a": ' + value + b"}}"


_ITEM = "{ items { name } }"
_FRAGMENTS = _numbered("fragment F# on Order { items { name } items { name } }", 20)
_DOUBLING = " ".join(
    f"fragment F{number} on Order {{ ...F{number + 1} ...F{number + 1} }}" for number in range(19)
)

DOCUMENTS = {
    "one field many times": f"{{ orders {{ nodes {{ {_repeated('id', 290)} }} }} }}",
    "too many fields": f"{{ orders {{ nodes {{ {_repeated('id', 980)} }} }} }}",
    "nested fields": _repeated(f"{{ orders {{ nodes {_ITEM} }} }}", 1)[:-1]
    + _repeated(f"orders {{ nodes {_ITEM} }}", 19)
    + "}",
    "many fragments": f"{{ orders {{ nodes {{ {_numbered('...F#', 20)} }} }} }} {_FRAGMENTS}",
    "doubling fragments": f"{{ orders {{ nodes {{ ...F0 }} }} }} {_DOUBLING} "
    "fragment F19 on Order { id }",
    "a cycle of fragments": "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }",
    "inline fragments": f"{{ orders {{ nodes {{ {_repeated('... { id }', 240)} }} }} }}",
    "nested inline fragments": "{" + "... {" * 190 + "__typename" + "}" * 191,
    "many operations": _numbered("query Q# { __typename }", 160),
    "unknown fields": f"{{ {_numbered('ordres#', 900)} }}",
    "unknown arguments": f"{{ orders({_numbered('firts#: 1', 240)}) {{ nodes {{ id }} }} }}",
    "unknown input fields": "mutation { createOrder(input: {"
    + _numbered("tabel#: 1", 300)
    + "}) { order { id } } }",
    "unknown variables": f"query ({_numbered('$v#: Int', 240)}) {{ __typename }}",
    "unknown directives": f"{{ __typename {_numbered('@d#', 400)} }}",
    "aliases of pages": "{"
    + _numbered("a#: orders(first: 200) { nodes { id items { name quantity } } }", 15)
    + "}",
    "pages from disk": "{"
    + _numbered('a#: orders(first: 200, table: "1") { nodes { items { name } } }', 10)
    + "}",
    "not compiled": "{ __typename orders(first: 200) { nodes { id items { name quantity } } } }",
    "aliases of items": "{ orders(first: 200) { nodes { items {"
    + _numbered("a#: name", 15)
    + "} } } }",
    "introspection, many times": "{"
    + _numbered("a#: __schema { types { name fields { name args { name } } } }", 15)
    + "}",
    "braces": "{" * 60_000,
    "brackets": f"{{ order(id: {'[' * 60_000}) {{ id }} }}",
    "comments": "{ __typename }" + "#\n" * 16_000,
    "commas": "{ __typename" + "," * 32_000 + "}",
    "a long comment": "{ __typename } #" + "x" * 32_000,
    "a long name": f"{{ {'a' * 32_000} }}",
    "a long number": f"{{ orders(first: {'1' * 32_000}) {{ nodes {{ id }} }} }}",
    "a long string": f'{{ order(id: "{"x" * 32_000}") {{ id }} }}',
    "escapes": '{ order(id: "' + "\\n" * 16_000 + '") { id } }',
    "a block string": '{ order(id: """' + "\n " * 16_000 + '""") { id } }',
    "a huge document": '{ order(id: """' + "\n" * 60_000 + '""") { id } }',
    "zeros": "\0" * 20_000,
}

BODIES = {
    "brackets in JSON": b"[" * _BODY_BYTES,
    "objects in JSON": b'{"a":' * (_BODY_BYTES // 5),
    "deep variables": _deep(b"[]", 900),
    "deeper variables": _deep(b"[]", 60_000),
    "lone surrogate and deep": b'{"query": "\\ud800", "variables": ' + b"[" * 100_000,
    "digits": b"1" * _BODY_BYTES,
    "long numbers": b'{"query": "\\ud800", "a": [' + b",".join([b"1" * 4299] * 29) + b"]}",
    "items that are numbers": _items(1, 40_000),
    "items that are empty": _items({}, 32_000),
    "items of other types": _items({"name": 1, "quantity": "a"}, 4_000),
    "items with unknown names": _items({"nam": "a", "quantty": 1}, 4_000),
    "items with odd numbers": _items({"name": "a", "quantity": 1.0}, 3_500),
    "too many items": _items({"name": "", "quantity": 0}, 4_000),
    "unknown input names": _body(CREATE_ORDER, input={f"tabel{n}": 1 for n in range(9_000)}),
    "unknown variable names": _body("{ __typename }", **{f"v{n}": 1 for n in range(9_000)}),
    "a long cursor": _body(
        "query ($a: String) { orders(after: $a) { nodes { id } } }", a="A" * 120_000
    ),
    "a batch": json.dumps([{"query": "{ __typename }"}] * 4_000).encode(),
    "not UTF-8": b"\xff" * _BODY_BYTES,
    "an endless string": b'"' + b"\\n" * (_BODY_BYTES // 2),
    **{name: _body(text) for name, text in DOCUMENTS.items()},
}
