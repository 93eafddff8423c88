"""Every root field has roles, and nothing gets round them."""

import json
from typing import Any

import pytest
import strawberry
from graphql import GraphQLObjectType, GraphQLSchema

from db.tokens import Role, Tokens
from execution.engine import Engine, build_engine
from execution.operations import Operations
from resolvers.context import Context, Service
from schema.roles import allowed_to, roles_of_field
from server.access.callers import is_local
from server.access.gate import Gate
from server.asgi.state import Run, state_of_run
from server.http.fast_path import FastPath, FastPathMiddleware
from tests.conftest import OpenService
from tests.support.databases import AnyDatabase
from tests.support.tokens import create_tokens, gate_of, tokens_of

EXPECTED = {
    "Query.order": set(Role),
    "Query.orders": set(Role),
    "Mutation.createOrder": {Role.FLOOR, Role.MANAGER},
    "Subscription.orderCreated": {Role.KITCHEN, Role.MANAGER},
}


def root_types(core: GraphQLSchema) -> list[GraphQLObjectType]:
    kinds = [core.query_type, core.mutation_type, core.subscription_type]
    return [kind for kind in kinds if kind is not None]


def test_every_root_field_has_roles() -> None:
    schema = build_engine().schema
    roles = {
        f"{kind.name}.{name}": roles_of_field(definition)
        for kind in root_types(schema)
        for name, definition in kind.fields.items()
    }
    forgotten = [name for name, found in roles.items() if not found]
    assert forgotten == [], "say who may use them: metadata=allowed_to(…)"
    assert {name: set(found) for name, found in roles.items() if name in EXPECTED} == EXPECTED
    assert all(Role.MANAGER in found for found in roles.values())


Info = strawberry.Info[Context, None]
CALLS: list[str] = []


async def _secret(info: Info) -> str:
    CALLS.append("secret")
    return "the recipe"


async def _menu(info: Info) -> str:
    CALLS.append("menu")
    return "soup"


@strawberry.type
class Query:
    secret = strawberry.field(resolver=_secret, metadata=allowed_to(Role.FLOOR))
    menu = strawberry.field(resolver=_menu, metadata=allowed_to(Role.FLOOR, Role.KITCHEN))
    forgotten = strawberry.field(resolver=_menu)


@strawberry.type
class Mutation:
    menu = strawberry.mutation(resolver=_menu, metadata=allowed_to(Role.FLOOR, Role.KITCHEN))
    secret = strawberry.mutation(resolver=_secret, metadata=allowed_to(Role.FLOOR))


class Client:
    """Asks the fast lane, ahead of an application that nothing must be left to."""

    def __init__(self, gate: Gate, service: Service) -> None:
        engine = Engine(strawberry.Schema(query=Query, mutation=Mutation))
        self._run = Run(service, gate, Operations(engine, service, compiled=True))
        lane = FastPath("/graphql", body_max_bytes=10_000)
        self._app = FastPathMiddleware(self._nothing, lane)

    async def _nothing(self, scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the lane has left a request to the layers")

    async def ask(self, query: str, token: str) -> Any:
        sent: list[Any] = []
        body = json.dumps({"query": query}).encode()

        async def receive() -> Any:
            return {"type": "http.request", "body": body}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [
            (b"host", b"127.0.0.1:1"),
            (b"content-type", b"application/json"),
            (b"authorization", f"Bearer {token}".encode()),
        ]
        scope = {
            "type": "http",
            "method": "POST",
            "scheme": "http",
            "path": "/graphql",
            "headers": headers,
            "state": state_of_run(self._run),
        }
        await self._app(scope, receive, send)
        return json.loads(sent[-1]["body"])


@pytest.mark.parametrize(
    "query", ["{ secret }", "{ a: secret menu }", "{ ...F } fragment F on Query { secret }"]
)
async def test_an_answer_in_memory_is_given_to_no_other_role(
    open_service: OpenService, database: AnyDatabase, query: str
) -> None:
    """Every role sends the same bytes; the answer to the first is kept."""
    tokens = await create_tokens(database)
    gate = gate_of(database)
    async with gate.access.opened(), open_service() as service:
        client = Client(gate, service)
        for role in (Role.FLOOR, Role.KITCHEN, Role.MANAGER, Role.KITCHEN):
            answer = await client.ask(query, tokens[role])
            if role is Role.KITCHEN:
                assert "recipe" not in str(answer["data"])
                (error,) = answer["errors"]
                assert error["extensions"] == {"code": "FORBIDDEN"}
                assert error["path"][-1] in ("secret", "a")
                assert error["message"] == "The role kitchen may not use secret."
            else:
                assert "recipe" in str(answer["data"])


@pytest.mark.parametrize("order", ["a: menu b: secret", "b: secret a: menu"])
async def test_mutation_with_one_forbidden_field_does_nothing(
    open_service: OpenService, database: AnyDatabase, order: str
) -> None:
    tokens = await create_tokens(database)
    gate = gate_of(database)
    async with gate.access.opened(), open_service() as service:
        client = Client(gate, service)
        CALLS.clear()
        answer = await client.ask(f"mutation {{ {order} }}", tokens[Role.KITCHEN])
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
        assert CALLS == []
        await client.ask(f"mutation {{ {order} }}", tokens[Role.FLOOR])
        assert sorted(CALLS) == ["menu", "secret"]


async def test_a_field_whose_roles_were_forgotten_is_nobody_s(
    open_service: OpenService, database: AnyDatabase
) -> None:
    tokens = await create_tokens(database)
    gate = gate_of(database)
    async with gate.access.opened(), open_service() as service:
        answer = await Client(gate, service).ask("{ forgotten }", tokens[Role.MANAGER])
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def local(server: str, client: str) -> dict[str, Any]:
    return {"type": "http", "server": (server, 8000), "client": (client, 5)}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (local("127.0.0.1", "127.0.0.1"), True),
        (local("::1", "::1"), True),
        (local("::ffff:127.0.0.1", "::ffff:127.0.0.1"), True),
        (local("192.168.1.5", "192.168.1.5"), False),
        (local("127.0.0.1", "203.0.113.9"), False),
        (local("127.0.0.1", "localhost.evil.example"), False),
        ({"type": "http", "server": ("/run/bistro92.sock", None), "client": None}, False),
        ({"type": "http"}, False),
    ],
)
async def test_open_for_connections_on_this_machine_only(
    database: AnyDatabase, scope: dict[str, Any], expected: bool
) -> None:
    """Whatever the server was told to listen on, as `uvicorn app:app --host 0.0.0.0`."""
    assert is_local(scope) is expected
    access = gate_of(database).access
    assert access.caller_of(scope, None) is None, "before it is opened"
    async with access.opened():
        assert (access.caller_of(scope, None) is not None) is expected


async def test_verified_tokens_do_not_grow_without_bound(database: AnyDatabase) -> None:
    tokens = await create_tokens(database)
    access = gate_of(database).access
    async with access.opened():
        for number in range(10_000):
            # Valid each time, written differently.
            header = f"Bearer {' ' * number}{tokens[Role.FLOOR]}".encode()
            assert access.caller_of({}, header) is not None
    assert len(access._verified) <= 4096


async def test_once_closed_it_stays_closed(database: AnyDatabase) -> None:
    """Also if the tokens are replaced by none."""
    async with tokens_of(database) as store:
        await store.create(Role.FLOOR, "bar")
    access = gate_of(database).access
    scope = local("127.0.0.1", "127.0.0.1")
    async with access.opened():
        access._update(Tokens(()))
        assert access.caller_of(scope, None) is None
