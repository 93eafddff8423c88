"""What to say to a server, and how to read its answers: GraphQL, or the classic REST API."""

from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from bench.load.http import encode_request
from bench.load.screen import Opening

Json = dict[str, Any]

ALL_FIELDS = "id table items { name quantity } createdAt cursor"
CREATE = f"""mutation CreateOrder($input: CreateOrderInput!) {{
  createOrder(input: $input) {{ order {{ {ALL_FIELDS} }} errors {{ code message field }} }}
}}"""
PAGE = f"""query Orders($first: Int) {{
  orders(first: $first) {{ nodes {{ {ALL_FIELDS} }} }}
}}"""
_PAGE_AFTER = f"""query Orders($first: Int, $after: String) {{
  orders(first: $first, after: $after) {{ nodes {{ {ALL_FIELDS} }} }}
}}"""

# Ten screens that want the same in different words: nothing but sharing differs between them.
SELECTIONS = (
    ALL_FIELDS,
    "table id items { name quantity } createdAt cursor",
    "cursor id table items { name quantity } createdAt",
    "createdAt cursor id table items { name quantity }",
    "items { name quantity } createdAt cursor id table",
    "id table items { quantity name } createdAt cursor",
    "table id items { quantity name } createdAt cursor",
    "cursor id table items { quantity name } createdAt",
    "createdAt cursor id table items { quantity name }",
    "items { quantity name } createdAt cursor id table",
)


class Dialect(Protocol):
    """One API."""

    def __hash__(self) -> int: ...

    def create(self, order: Json) -> bytes:
        """Return the request that places an order."""

    def page(self, first: int, after: str | None = None) -> bytes:
        """Return the request for a page of orders."""

    def screen(self, selection: str = ALL_FIELDS, after: str | None = None) -> Opening:
        """Return how a screen is opened."""

    def created(self, body: bytes) -> Json:
        """Read the answer to an order; raises `ValueError` if it is an error."""

    def orders(self, body: bytes) -> list[Json]:
        """Read a page."""

    def event(self, payload: bytes) -> Json:
        """Read the order that a screen got."""


def _data(body: bytes) -> Json:
    answer: Json = orjson.loads(body)
    if answer.get("errors"):
        raise ValueError(f"errors: {answer['errors']}")
    data: Json = answer["data"]
    return data


@dataclass(frozen=True)
class GraphQL:
    """Our API, which the GraphQL peers speak as well."""

    path: str = "/graphql"

    def _request(self, query: str, variables: Json) -> bytes:
        return encode_request("POST", self.path, {"query": query, "variables": variables})

    def create(self, order: Json) -> bytes:
        """Return the mutation."""
        return self._request(CREATE, {"input": order})

    def page(self, first: int, after: str | None = None) -> bytes:
        """Return the query."""
        if after is None:
            return self._request(PAGE, {"first": first})
        return self._request(_PAGE_AFTER, {"first": first, "after": after})

    def screen(self, selection: str = ALL_FIELDS, after: str | None = None) -> Opening:
        """Return a `graphql-transport-ws` subscription."""
        follow = f"subscription Follow {{ orderCreated {{ {selection} }} }}"
        payload: Json = {"query": follow}
        if after is not None:
            follow = f"""subscription Follow($after: String) {{
              orderCreated(after: $after) {{ {selection} }}
            }}"""
            payload = {"query": follow, "variables": {"after": after}}
        message = {"id": "1", "type": "subscribe", "payload": payload}
        return Opening(self.path, "graphql-transport-ws", message)

    def created(self, body: bytes) -> Json:
        """Read the payload."""
        payload = _data(body)["createOrder"]
        if payload["errors"]:
            raise ValueError(f"errors: {payload['errors']}")
        order: Json = payload["order"]
        return order

    def orders(self, body: bytes) -> list[Json]:
        """Read the nodes."""
        nodes: list[Json] = _data(body)["orders"]["nodes"]
        return nodes

    def event(self, payload: bytes) -> Json:
        """Read a `next` message."""
        message = orjson.loads(payload)
        if message["type"] != "next" or message["payload"].get("errors"):
            raise ValueError(f"no order: {message}")
        order: Json = message["payload"]["data"]["orderCreated"]
        return order


@dataclass(frozen=True)
class Rest:
    """The classic design."""

    def create(self, order: Json) -> bytes:
        """Return the POST."""
        return encode_request("POST", "/api/order", order)

    def page(self, first: int, after: str | None = None) -> bytes:
        """Return the GET; this API has one page."""
        if after is not None:
            raise ValueError("the REST peer has no cursors")
        return encode_request("GET", f"/api/orders?first={first}")

    def screen(self, selection: str = ALL_FIELDS, after: str | None = None) -> Opening:
        """Return the socket, which sends every order whole."""
        if after is not None or selection != ALL_FIELDS:
            raise ValueError("the REST peer has neither cursors nor selections")
        return Opening("/ws", None, None)

    def created(self, body: bytes) -> Json:
        """Read the order."""
        order: Json = orjson.loads(body)
        return order

    def orders(self, body: bytes) -> list[Json]:
        """Read the list."""
        orders: list[Json] = orjson.loads(body)
        return orders

    def event(self, payload: bytes) -> Json:
        """Read the order."""
        return self.created(payload)
