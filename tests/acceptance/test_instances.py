"""Several instances on one PostgreSQL: no order lost, doubled or unseen, whoever comes and goes."""

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx2 as httpx
import pytest
from sqlalchemy import make_url

from tests.support.databases import LOSE_THE_SECOND, Cluster, PostgresDatabase
from tests.support.instances import Guests, Instances, first_cursor, watch
from tests.support.orders import CREATE_ORDER, FOLLOW, soup_input
from tests.support.screen import open_screen
from tests.support.waiting import until

pytestmark = pytest.mark.postgres

# At the end of the transaction, after its entries have their numbers and before it is committed.
DAWDLE = """
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON log_entries DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.seq % 10 = 0) EXECUTE FUNCTION dawdle()
"""


def stored(database: PostgresDatabase) -> dict[str, int]:
    return dict(database.rows("SELECT idempotency_key, id FROM orders WHERE id > 1"))


async def intrude(database: PostgresDatabase, guests: Guests, total: int) -> None:
    """Take the log's head now and then, and give it back changed by nothing, or not at all."""
    dice = random.Random(1)
    connection = await database.connect()
    while len(guests.acknowledged) < total:
        await connection.execute("BEGIN; SELECT FROM log_head FOR UPDATE")
        await asyncio.sleep(dice.random() * 0.03)
        await connection.execute(dice.choice(["COMMIT", "ROLLBACK"]))
        await asyncio.sleep(dice.random() * 0.1)
    await connection.close()


async def test_log_has_no_gap_and_no_disorder_however_commits_are_delayed(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    """Two instances write, a third one's screens follow, live and from the beginning again."""
    clients, each = 40, 50
    total = clients * each
    with Instances(tmp_path, postgres, 3) as servers:
        cursor = first_cursor(servers[0])
        postgres.change(DAWDLE)
        guests = Guests([server.url for server in servers[:2]])
        seen: list[list[int]] = [[] for _ in range(5)]
        follower = [servers[2].url]
        screens = [asyncio.create_task(watch(follower, cursor, total + 1, ids)) for ids in seen]
        await asyncio.gather(
            intrude(postgres, guests, total),
            *(guests.place_all(client, each) for client in range(clients)),
        )
        await asyncio.gather(*screens)
        again: list[int] = []
        await watch(follower, cursor, total + 1, again)
    everything = list(range(2, total + 2))
    assert seen == [everything] * 5
    assert again == everything
    assert stored(postgres) == guests.acknowledged
    assert postgres.rows("SELECT seq FROM log_entries ORDER BY seq") == [
        (seq,) for seq in range(1, total + 2)
    ]


async def test_instance_killed_under_load_then_each_restarted_in_turn(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    clients, each = 12, 60
    total = clients * each
    with Instances(tmp_path, postgres, 3) as servers:
        cursor = first_cursor(servers[0])
        urls = [server.url for server in servers]
        guests = Guests(urls)
        seen: list[list[int]] = [[] for _ in range(6)]
        screens = [
            # Each begins on an instance of its own, in turn.
            asyncio.create_task(watch(urls[n % 3 :] + urls[: n % 3], cursor, total + 1, ids))
            for n, ids in enumerate(seen)
        ]
        placing = [asyncio.create_task(guests.place_all(n, each)) for n in range(clients)]

        async def placed(part: float) -> None:
            await until(lambda: len(guests.acknowledged) > part * total, f"{part} of the orders")

        await placed(0.2)
        servers[1].kill()
        await placed(0.4)
        await asyncio.to_thread(servers[1].start)
        for part, server in zip((0.5, 0.6, 0.7), servers, strict=True):
            await placed(part)
            assert await asyncio.to_thread(server.stop) == 0
            await asyncio.to_thread(server.start)
        await asyncio.gather(*placing, *screens)
    everything = list(range(2, total + 2))
    assert seen == [everything] * 6
    assert stored(postgres) == guests.acknowledged
    assert sorted(guests.acknowledged.values()) == everything
    assert guests.codes <= {"UNAVAILABLE"}


def deaf(postgres: PostgresDatabase) -> dict[str, object]:
    """Settings of instances that hear of nothing: they know only what they look for."""
    elsewhere = make_url(postgres.url).set(database="postgres")
    url = elsewhere.render_as_string(hide_password=False)
    return {"database_listen_url": url, "database_poll_seconds": 60}


async def test_order_placed_on_any_instance_is_on_every_screen(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    """By hints alone: nobody polls."""
    with Instances(tmp_path, postgres, 3, database_poll_seconds=60) as servers:
        async with AsyncExitStack() as stack:
            screens = [
                await stack.enter_async_context(open_screen(server.socket_url))
                for server in servers
            ]
            for screen in screens:
                await screen.subscribe(FOLLOW)
                await screen.settle()
            for number in range(1, 31):
                servers[number % 3].data(CREATE_ORDER, input=soup_input())
                for screen in screens:
                    assert (await screen.orders(1))[0]["id"] == f"{number}"


def test_order_placed_on_any_instance_is_in_every_query_at_once(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    """In a query whose answer is remembered on each instance, and in ones that are new to it."""
    newest = "{ orders(first: 1) { nodes { id } } }"
    with Instances(tmp_path, postgres, 3, **deaf(postgres)) as servers:
        for number in range(1, 31):
            created = servers[number % 3].data(CREATE_ORDER, input=soup_input())
            order = {"id": created["createOrder"]["order"]["id"]}
            for server in servers:
                match number // 3 % 3:
                    case 0:
                        (node,) = server.data(newest)["orders"]["nodes"]
                    case 1:
                        node = server.data(f'{{ order(id: "{number}") {{ id }} }}')["order"]
                    case _:
                        (node,) = server.data(f"{{ o{number}: {newest[2:]}")[f"o{number}"]["nodes"]
                assert node == order


async def test_cursor_of_an_instance_holds_on_one_that_has_not_heard_of_it(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    with Instances(tmp_path, postgres, 2, **deaf(postgres)) as (one, two):
        async with open_screen(two.socket_url) as screen:
            for number in range(30):
                order = one.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"]
                await screen.subscribe(FOLLOW, operation=f"{number}", after=order["cursor"])
                await screen.settle()  # an error would come before it
                await screen.send({"id": f"{number}", "type": "complete"})


async def test_instances_that_knew_more_than_the_database_end_and_their_screens_are_told(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    """As after a failover to a replica that lacked the newest order."""
    with Instances(tmp_path, postgres, 2) as (ahead, other):
        kept, lost = (
            ahead.data(CREATE_ORDER, input=soup_input())["createOrder"]["order"] for _ in range(2)
        )
        async with open_screen(ahead.socket_url) as screen:
            await screen.settle()
            other.kill()
            ahead.process.suspend()
            postgres.change(*LOSE_THE_SECOND)
            await asyncio.to_thread(other.start)
            placed = other.data(CREATE_ORDER, input=soup_input("new"))
            ahead.process.resume()
            assert (await screen.closed())[0] == 1012
        await until(lambda: not ahead.is_running, "the end")
        assert ahead.stop() == 1
        assert "replaced" in ahead.log
        await asyncio.to_thread(ahead.start)
        for server in (ahead, other):
            async with open_screen(server.socket_url) as screen:
                await screen.subscribe(FOLLOW, after=lost["cursor"])
                assert (await screen.error())["extensions"] == {"code": "CURSOR_EXPIRED"}
                await screen.subscribe(FOLLOW, operation="2", after=kept["cursor"])
                (order,) = await screen.orders(1)
                assert order["id"] == placed["createOrder"]["order"]["id"] == lost["id"]


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """A server that the test may restart."""
    cluster = Cluster(own=True)
    yield cluster
    cluster.close()


@pytest.mark.usefixtures("database_kind")
async def test_database_restarted_under_load(own_cluster: Cluster, tmp_path: Path) -> None:
    clients, each = 10, 60
    total = clients * each
    with own_cluster.database() as database, Instances(tmp_path, database, 2) as servers:
        cursor = first_cursor(servers[0])
        urls = [server.url for server in servers]
        guests = Guests(urls)
        seen: list[list[int]] = [[] for _ in range(4)]
        screens = [
            asyncio.create_task(watch([urls[n % 2]], cursor, total + 1, ids))
            for n, ids in enumerate(seen)
        ]
        placing = [asyncio.create_task(guests.place_all(n, each)) for n in range(clients)]
        await until(lambda: len(guests.acknowledged) > total // 4, "a quarter of the orders")
        await asyncio.to_thread(own_cluster.stop_at_once)
        for server in servers:
            assert server.http.get("/readyz").status_code == 503
            assert server.http.get("/healthz").status_code == 200
            for query in ("{ orders { nodes { id } } }", CREATE_ORDER):
                answer = await asyncio.to_thread(server.execute, query, input=soup_input())
                assert answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        await asyncio.to_thread(own_cluster.start)
        for server in servers:
            await until(server.is_ready, "recovery")
        await until(lambda: len(guests.acknowledged) > total // 2, "half of the orders")
        await asyncio.to_thread(own_cluster.stop_at_once)
        await asyncio.to_thread(own_cluster.start)
        await asyncio.gather(*placing, *screens)
        everything = list(range(2, total + 2))
        assert stored(database) == guests.acknowledged
        assert sorted(guests.acknowledged.values()) == everything
        assert seen == [everything] * 4
        assert guests.codes == {"UNAVAILABLE"}
        assert all("Traceback" not in server.log for server in servers)


async def test_one_key_sent_to_all_instances_at_once_is_one_order(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    keys = 60
    with Instances(tmp_path, postgres, 3) as servers:
        async with httpx.AsyncClient(timeout=20) as http:

            async def place(url: str, key: str) -> str:
                body = {"query": CREATE_ORDER, "variables": {"input": soup_input("1", key)}}
                answer = (await http.post(f"{url}/graphql", json=body)).json()
                return json.dumps(answer["data"]["createOrder"])

            for key in range(keys):
                answers = await asyncio.gather(
                    *(place(server.url, str(key)) for server in servers for _ in range(2))
                )
                assert len(set(answers)) == 1, answers
    assert postgres.rows("SELECT count(*), max(id) FROM orders") == [(keys, keys)]
