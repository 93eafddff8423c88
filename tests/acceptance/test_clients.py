"""Real clients against a real server: the `gql` library over HTTP and over the socket."""

import asyncio
from typing import Any

from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.websockets import WebsocketsTransport

from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.server import ServerProcess

ORDERS = """
query ($first: Int, $after: String, $last: Int, $before: String) {
  orders(first: $first, after: $after, last: $last, before: $before) {
    nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


def over_http(server: ServerProcess) -> Client:
    return Client(transport=AIOHTTPTransport(f"{server.url}/graphql"))


def over_socket(server: ServerProcess) -> Client:
    protocols = ["graphql-transport-ws"]
    return Client(transport=WebsocketsTransport(server.socket_url, subprotocols=protocols))


async def run(session: AsyncClientSession, query: str, **variables: object) -> dict[str, Any]:
    return await session.execute(GraphQLRequest(query, variable_values=variables))


async def follow(server: ServerProcess, after: str, count: int) -> list[int]:
    seen = []
    async with over_socket(server) as session:
        request = GraphQLRequest(FOLLOW, variable_values={"after": after})
        async for result in session.subscribe(request):
            seen.append(int(result["orderCreated"]["id"]))
            if len(seen) == count:
                break
    return seen


async def test_create_list_page_both_ways_and_follow(server: ServerProcess) -> None:
    async with over_http(server) as http:
        first = (await run(http, CREATE_ORDER, input=soup_input()))["createOrder"]["order"]
        following = asyncio.create_task(follow(server, first["cursor"], 9))
        for _ in range(9):
            await run(http, CREATE_ORDER, input=soup_input())
        assert await following == list(range(2, 11))
        async with over_socket(server) as socket:
            for session in (http, socket):
                older = (await run(session, ORDERS, first=4))["orders"]
                oldest = await run(session, ORDERS, first=6, after=older["pageInfo"]["endCursor"])
                newer = await run(
                    session, ORDERS, last=4, before=oldest["orders"]["pageInfo"]["startCursor"]
                )
                assert [int(node["id"]) for node in older["nodes"]] == [10, 9, 8, 7]
                assert [int(n["id"]) for n in oldest["orders"]["nodes"]] == [6, 5, 4, 3, 2, 1]
                assert newer["orders"]["nodes"] == older["nodes"]


async def test_50_concurrent_clients_lose_and_double_nothing(server: ServerProcess) -> None:
    """Half of them place over HTTP, half over the socket; ten screens watch."""
    per_client, clients = 10, 50

    async def place(number: int) -> list[int]:
        async with (over_http if number % 2 else over_socket)(server) as session:
            answers = [
                await run(session, CREATE_ORDER, input=soup_input(f"{number}-{n}"))
                for n in range(per_client)
            ]
        return [int(answer["createOrder"]["order"]["id"]) for answer in answers]

    first = server.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
    total = per_client * clients
    screens = [asyncio.create_task(follow(server, first["cursor"], total)) for _ in range(10)]
    placed = await asyncio.gather(*(place(number) for number in range(clients)))
    everything = list(range(2, total + 2))
    assert sorted(order_id for ids in placed for order_id in ids) == everything
    assert await asyncio.gather(*screens) == [everything] * 10
