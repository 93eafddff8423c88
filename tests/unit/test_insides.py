"""What we use of libraries below their public face, and that the installed versions have it.

The table is the one place that names these modules; attributes are found in our own code. The
drivers' are in `db/driver.py`.
"""

import ast
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import (
    BaseGraphQLTransportWSHandler,
)
from strawberry.types.field import StrawberryField
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from schema.sdl import vocabulary
from server.wire.forwarded import Forwarded
from server.wire.http_protocol import LaneCycle
from tests.support.server import ROOT

FOLDERS = ("server", "execution", "schema", "resolvers")
LIBRARIES = ("uvicorn", "websockets", "httptools", "strawberry", "graphql")
# Documented, or all of a module is meant for others.
PUBLIC = {
    "uvicorn",
    "websockets.exceptions",
    "websockets.http11",
    "httptools",
    "strawberry",
    "strawberry.asgi",
    "strawberry.http.exceptions",
    "strawberry.schema.name_converter",
    "strawberry.subscriptions",
    "strawberry.types.field",
    "graphql",
}
# Modules that nobody has promised, and what we take from them.
INSIDES = {
    "uvicorn._types": {"ASGISendEvent"},
    "uvicorn.middleware.proxy_headers": {"ProxyHeadersMiddleware"},
    "uvicorn.protocols.http.flow_control": {"FlowControl"},
    "uvicorn.protocols.http.httptools_impl": {
        "HttpToolsProtocol",
        "RequestResponseCycle",
        "STATUS_LINE",
    },
    "uvicorn.protocols.utils": {"ClientDisconnected"},
    "uvicorn.protocols.websockets.websockets_sansio_impl": {"WebSocketsSansIOProtocol"},
    "websockets.protocol": {"State"},
    "websockets.speedups": {"apply_mask"},
    "websockets.streams": {"StreamReader"},
    "websockets.utils": {"apply_mask"},
    "strawberry.http.ides": {"get_graphql_ide_html"},
    "strawberry.schema.schema": {"StrawberryGraphQLCoreExecutionContext"},
    "strawberry.schema.validation_rules.maybe_null": {"MaybeNullValidationRule"},
    "strawberry.schema.validation_rules.one_of": {"OneOfInputValidationRule"},
    "strawberry.subscriptions.protocols.graphql_transport_ws.handlers": {
        "BaseGraphQLTransportWSHandler",
        "Operation",
    },
    "strawberry.subscriptions.protocols.graphql_transport_ws.types": {
        "ConnectionInitMessage",
        "Message",
        "SubscribeMessage",
    },
    "strawberry.types.base": {
        "StrawberryList",
        "StrawberryObjectDefinition",
        "StrawberryOptional",
        "get_object_definition",
    },
    "graphql.execution.collect_fields": {
        "FieldDetails",
        "FragmentDetails",
        "collect_fields",
        "collect_subfields",
    },
    "graphql.execution.values": {"VariableValues", "get_argument_values", "get_variable_values"},
    "graphql.type": {"is_required_input_field"},
    "graphql.utilities.coerce_input_value": {"coerce_default_value"},
    "graphql.validation.rules": {"overlapping_fields_can_be_merged"},
    "graphql.validation.validate": {"ValidationAbortedError"},
}


@cache
def _trees() -> dict[Path, ast.Module]:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return {path: ast.parse(path.read_text()) for path in [*files, ROOT / "app.py"]}


def _imports() -> Iterator[tuple[Path, str, str]]:
    """Yield what our code imports from the libraries: the file, the module, the name."""
    for path, tree in _trees().items():
        for node in ast.walk(tree):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            if isinstance(node, ast.ImportFrom) and module.partition(".")[0] in LIBRARIES:
                for alias in node.names:
                    yield path.relative_to(ROOT), module, alias.name


def test_every_inside_is_named_here() -> None:
    for path, module, name in _imports():
        assert module in PUBLIC or name in INSIDES.get(module, ()), (
            f"{path} imports {name} from {module}, which nobody has promised: name it here."
        )


def test_nothing_is_named_that_is_not_used() -> None:
    used = {(module, name) for _, module, name in _imports()}
    named = {(module, name) for module, names in INSIDES.items() for name in names}
    assert named <= used


@pytest.mark.parametrize("module", INSIDES)
def test_inside_is_there(module: str) -> None:
    found: ModuleType = importlib.import_module(module)
    for name in INSIDES[module]:
        assert hasattr(found, name), f"{module} has no {name} any more: see who imports it."


# Classes that ours are made from, or that we reach into; and the files that do.
BASES: dict[type, tuple[str, ...]] = {
    HttpToolsProtocol: (
        "server/wire/accounted.py",
        "server/wire/reading.py",
        "server/wire/in_step.py",
        "server/wire/http_protocol.py",
    ),
    WebSocketsSansIOProtocol: ("server/wire/websocket_protocol.py",),
    FlowControl: ("server/wire/flow.py",),
    uvicorn.Server: ("server/wire/server.py",),
    BaseGraphQLTransportWSHandler: (
        "server/websocket/admission.py",
        "server/websocket/handler.py",
    ),
    ASGIWebSocketAdapter: ("server/websocket/sending.py",),
}


def _attributes(nodes: Iterator[ast.AST], owner: str, context: type) -> set[str]:
    """Return the attributes of `self`, `super()` or `self.cycle` that are read or written."""
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, context)
        and ast.unparse(node.value) == owner
    }


def _defined(tree: ast.AST) -> set[str]:
    """Return what classes define: methods, what stands in their bodies, what `self` is given."""
    given = _attributes(ast.walk(tree), "self", ast.Store)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    given.add(part.name)
                elif isinstance(part, ast.Assign):
                    given |= {target.id for target in part.targets if isinstance(target, ast.Name)}
                elif isinstance(part, ast.AnnAssign) and part.value is not None:
                    given.add(ast.unparse(part.target))
    return given


def _has(kind: type) -> set[str]:
    """Return the attributes of a class and of its instances."""
    ours = [each for each in kind.__mro__ if each.__module__.partition(".")[0] in LIBRARIES]
    sources = [ast.parse(textwrap.dedent(inspect.getsource(each))) for each in ours]
    return set(dir(kind)).union(*map(_defined, sources))


@pytest.mark.parametrize("base", BASES, ids=lambda base: base.__name__)
def test_base_has_what_our_class_takes_from_it(base: type) -> None:
    trees = {file: _trees()[ROOT / file] for file in BASES[base]}
    own = set[str]().union(*map(_defined, trees.values()))
    there = _has(base)
    for file, tree in trees.items():
        used = _attributes(ast.walk(tree), "self", ast.Load) - own
        used |= _attributes(ast.walk(tree), "super()", ast.Load) - own
        missing = used - there
        assert not missing, f"{base.__name__} has no {missing} any more, and {file} uses it."


def test_request_under_way_has_what_we_reach_for() -> None:
    there = _has(RequestResponseCycle)
    for file in BASES[HttpToolsProtocol]:
        tree = _trees()[ROOT / file]
        used = _attributes(ast.walk(tree), "self.cycle", ast.Load)
        used |= _attributes(ast.walk(tree), "self.cycle", ast.Store)
        assert used <= there, f"uvicorn's cycle has no {used - there} any more: {file} uses it."


def test_what_uvicorn_asks_of_a_request_the_lane_answers() -> None:
    """Our own small cycle stands where uvicorn expects its own."""
    source = ast.parse(textwrap.dedent(inspect.getsource(HttpToolsProtocol)))
    asked = _attributes(ast.walk(source), "self.cycle", ast.Load)
    assert asked <= set(dir(LaneCycle)) | {"body"}, "uvicorn asks more of a request under way."


def test_proxy_headers_wait_for_nothing() -> None:
    """The lane takes its one step; a step more would leave it half done."""
    scope: dict[str, Any] = {
        "type": "http",
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "headers": [(b"x-forwarded-for", b"203.0.113.7"), (b"x-forwarded-proto", b"https")],
    }
    for _ in range(2):
        Forwarded(["127.0.0.1"]).apply(scope, tuple(scope["headers"]))
        assert (scope["client"][0], scope["scheme"]) == ("203.0.113.7", "https")


def test_schema_has_what_we_compile_from() -> None:
    """`_schema`, and the definitions of fields in the extensions of graphql-core's."""
    core = vocabulary()._schema
    assert core.query_type is not None
    for definition in core.query_type.fields.values():
        field = definition.extensions["strawberry-definition"]
        assert isinstance(field, StrawberryField)
        assert field.base_resolver is not None
        for name in ("is_async", "info_parameter", "self_parameter", "wrapped_func"):
            assert hasattr(field.base_resolver, name), f"a resolver of strawberry has no {name}"


def test_budget_of_comparing_fields_is_still_there() -> None:
    """We lower it; a name that nobody reads would leave documents that hold everybody up."""
    from graphql.validation.rules import overlapping_fields_can_be_merged as rule

    assert rule.MAX_COMPLEXITY_BUDGET == 5_000
    assert "MAX_COMPLEXITY_BUDGET" in inspect.getsource(rule).partition("class ")[2]
