"""docs/several-instances.md is true: its nginx and its PgBouncer run between real processes."""

import asyncio
import re
import shlex
from pathlib import Path

import pytest

from db.postgres.connecting import postgres_url
from tests.support.databases import PostgresDatabase
from tests.support.documents import README, SEVERAL_INSTANCES, Reader
from tests.support.instances import Guests, Instances, first_cursor, watch
from tests.support.programs import nginx, pgbouncer
from tests.support.server import ROOT
from tests.support.waiting import until, wait_until

pytestmark = pytest.mark.postgres


def test_instance_is_started_as_the_manual_says(postgres: PostgresDatabase, tmp_path: Path) -> None:
    """With a database and a port of the test's own, and for this machine only."""
    create, start, _ = SEVERAL_INSTANCES.of("sh")
    assert create == "createdb bistro92\n"  # the fixture has done that
    assert start in README.of("sh")
    script = re.sub(r"URL=\S+", f"URL='{postgres.url}'", start).replace("0.0.0.0", "127.0.0.1")
    with Reader(tmp_path) as reader:
        reader.begin(f"bash -ec {shlex.quote(script)}", ROOT, "instance.log")
        wait_until(reader.is_ready, "the instance")
        (token,) = re.findall(r"^b92_\w+$", reader.printed("instance.log"), re.M)
        assert reader.execute("{ orders { nodes { id } } }")["errors"]
        answer = reader.execute("{ orders { nodes { id } } }", token=token)
        assert answer == {"data": {"orders": {"nodes": []}}}
    assert postgres.rows("SELECT name, role FROM access_tokens") == [("till", "manager")]


@pytest.mark.usefixtures("database_kind")
@pytest.mark.parametrize("name", ["README.md", "docs/several-instances.md"])
def test_urls_of_the_documents_are_accepted(name: str) -> None:
    text = (ROOT / name).read_text()
    urls = re.findall(r"(BISTRO92_DATABASE_\w*URL)=(postgresql\S+/\w+)", text)
    assert urls
    for setting, url in urls:
        assert postgres_url(url, setting).database == "bistro92"


async def test_orders_and_screens_go_on_behind_nginx_while_instances_come_and_go(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    clients, each, screens = 10, 60, 6
    total = clients * each
    with (
        Instances(tmp_path, postgres, 3) as servers,
        nginx(tmp_path, [server.port for server in servers]) as url,
    ):
        cursor = first_cursor(servers[0])
        guests = Guests([url])
        seen: list[list[int]] = [[] for _ in range(screens)]
        watching = [asyncio.create_task(watch([url], cursor, total + 1, ids)) for ids in seen]
        placing = [asyncio.create_task(guests.place_all(n, each)) for n in range(clients)]
        await until(lambda: len(guests.acknowledged) > total // 4, "a quarter of the orders")
        servers[0].kill()
        await until(lambda: len(guests.acknowledged) > total // 2, "half of the orders")
        await asyncio.to_thread(servers[0].start)
        assert await asyncio.to_thread(servers[1].stop) == 0
        await asyncio.gather(*placing, *watching)
    everything = list(range(2, total + 2))
    assert sorted(guests.acknowledged.values()) == everything
    assert seen == [everything] * screens
    assert postgres.rows("SELECT count(*) FROM orders") == [(total + 1,)]


async def test_instances_work_through_pgbouncer_in_transaction_mode(
    postgres: PostgresDatabase, tmp_path: Path
) -> None:
    clients, each = 20, 25
    total = clients * each
    assert "BISTRO92_DATABASE_PREPARED_STATEMENTS=false" in SEVERAL_INSTANCES.of("sh")[-1]
    with pgbouncer(tmp_path, postgres) as through:
        settings = {
            "database_url": through.render_as_string(hide_password=False),
            "database_listen_url": postgres.url,
            "database_prepared_statements": False,
        }
        with Instances(tmp_path, postgres, 2, **settings) as servers:
            cursor = first_cursor(servers[0])
            guests = Guests([server.url for server in servers])
            seen: list[list[int]] = [[], []]
            watching = [
                asyncio.create_task(watch([server.url], cursor, total + 1, ids))
                for server, ids in zip(servers, seen, strict=True)
            ]
            await asyncio.gather(*(guests.place_all(n, each) for n in range(clients)), *watching)
            for server in servers:
                page = server.data("{ orders(first: 200) { nodes { id } } }")["orders"]["nodes"]
                assert int(page[0]["id"]) == total + 1
            backends = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            ((connections,),) = postgres.rows(backends)
    everything = list(range(2, total + 2))
    assert sorted(guests.acknowledged.values()) == everything
    assert seen == [everything] * 2
    assert connections <= 4 + 2 + 1, "PgBouncer's pool, those that listen, and the witness"
