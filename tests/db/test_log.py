"""The log: a reader with a cursor misses nothing and sees nothing twice."""

import asyncio
import random
from contextlib import aclosing

import pytest

from db.order_log import PAGE_ENTRIES, OrderLog
from db.records import LogEntry
from resolvers.context import Service
from tests.conftest import OpenService
from tests.support.orders import soup


async def take(log: OrderLog, after: int, count: int) -> list[LogEntry]:
    entries: list[LogEntry] = []
    async with aclosing(log.follow(after)) as pages:
        while len(entries) < count:
            entries += await anext(pages)
    return entries


async def create_orders(service: Service, count: int) -> None:
    await asyncio.gather(*(service.writer.create_order(soup(str(n))) for n in range(count)))


async def follow(service: Service, after: int, up_to: int, pause: random.Random) -> list[int]:
    """Follow to an entry, now and then as slowly as a screen that is busy."""
    seen: list[int] = []
    async with aclosing(service.log.follow(after)) as pages:
        async for page in pages:
            seen += [entry.seq for entry in page]
            if page[-1].seq == up_to:
                break
            for _ in range(pause.choice([0, 0, 0, 1, 30])):
                await asyncio.sleep(0)
    return seen


@pytest.mark.parametrize("memory_max_entries", [1, 7, 5000])
@pytest.mark.parametrize("seed", range(4))
async def test_seam_between_replay_and_live_has_no_gap_and_no_duplicate(
    open_service: OpenService, memory_max_entries: int, seed: int
) -> None:
    """Followers join at random moments, from random places, while orders are written."""
    dice = random.Random(seed)
    total = 600
    async with open_service(log_memory_max_entries=memory_max_entries) as service:
        followers: list[tuple[int, asyncio.Task[list[int]]]] = []
        created = 0
        while created < total:
            count = min(dice.randint(1, 40), total - created)
            created += count
            writing = asyncio.create_task(create_orders(service, count))
            for _ in range(dice.randint(0, 50)):
                await asyncio.sleep(0)
            after = dice.randint(0, service.log.head.seq)
            task = asyncio.create_task(follow(service, after, total, random.Random(created)))
            followers.append((after, task))
            if dice.random() < 0.5:
                await writing
        for after, task in followers:
            assert await task == list(range(after + 1, total + 1))
        assert len(followers) > 10


async def test_slow_reader_falls_back_to_the_database(open_service: OpenService) -> None:
    async with open_service(log_memory_max_entries=10) as service:
        async with aclosing(service.log.follow(0)) as slow:
            await create_orders(service, 1)
            entries = await anext(slow)
            await create_orders(service, 500)
            assert len(service.log._newest) == 10
            while len(entries) < 501:
                entries = entries + await anext(slow)
        assert [entry.seq for entry in entries] == list(range(1, 502))
        assert entries[-1].order == service.log._newest[-1].order


async def test_entries_are_the_same_from_memory_and_from_the_database(
    open_service: OpenService,
) -> None:
    async with open_service() as service:
        await create_orders(service, 3 * PAGE_ENTRIES)
        from_memory = await service.log.read(0, 1000)
        head = service.log.head
        from_database = await service.reader.entries(
            epoch=head.epoch, after=0, up_to=head.seq, count=1000
        )
    assert from_memory == from_database


async def test_restart_goes_on_where_it_stopped(open_service: OpenService) -> None:
    async with open_service() as service:
        await create_orders(service, 30)
        before, seen = service.log.head, await service.log.read(0, 1000)
    async with open_service(log_memory_max_entries=10) as service:
        assert service.log.head == before
        assert len(service.log._newest) == 10
        await create_orders(service, 1)
        again = await take(service.log, 0, 31)
    assert again[:30] == seen
    assert again[30].seq == 31


async def test_one_append_wakes_every_waiting_reader(service: Service) -> None:
    waiting = [asyncio.create_task(take(service.log, 0, 1)) for _ in range(200)]
    await asyncio.sleep(0)
    await create_orders(service, 1)
    assert {entries[0].seq for entries in await asyncio.gather(*waiting)} == {1}


@pytest.mark.sqlite
async def test_reader_waits_while_the_database_cannot_be_read(
    open_service: OpenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.order_log._READ_RETRY_SECONDS", 0.01)
    async with open_service(log_memory_max_entries=1, reader_connections=1) as service:
        await create_orders(service, 50)
        engine = service.reader._engine
        async with engine.connect() as connection:
            await connection.exec_driver_sql("PRAGMA query_only=OFF")
            await connection.exec_driver_sql("CREATE TEMP TABLE log_entries (other TEXT)")
        reading = asyncio.create_task(take(service.log, 0, 50))
        await asyncio.wait({reading}, timeout=0.1)
        assert not reading.done()
        async with engine.connect() as connection:
            await connection.exec_driver_sql("DROP TABLE temp.log_entries")
        assert [entry.seq for entry in await reading] == list(range(1, 51))


async def test_entries_that_do_not_follow_the_head_are_refused(service: Service) -> None:
    await create_orders(service, 2)
    entries, head = await service.log.read(0), service.log.head
    with pytest.raises(ValueError, match="don't follow"):
        service.log.append(entries, head)
    assert service.log.head == head
