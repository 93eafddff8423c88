"""What is shared between requests and screens, and the frames that go out."""

import asyncio
import tracemalloc

import pytest
from graphql import OperationType

from db.records import EntryKind, LogEntry, LogHead, Order, to_datetime
from execution.bounded import BoundedMap
from execution.codes import Code
from execution.documents.cache import DocumentCache
from execution.engine import EngineLimits, build_engine
from execution.operations import Operations
from execution.request import GraphQLRequest
from execution.response import Response, executed
from execution.shared.answers import SharedAnswers
from execution.shared.events import SharedEvents
from resolvers.context import Service
from resolvers.order_created import OrderFeed
from server.websocket.raw_requests import SubscribedRequest
from tests.support.compiled import compiled
from tests.support.orders import FOLLOW, soup


async def answer_of(
    service: Service, answers: SharedAnswers, request: bytes, log: list[int]
) -> bytes:
    async def compute() -> Response:
        head = service.log.head.seq
        await asyncio.sleep(0)
        log.append(head)
        return Response(b'{"data":%d}' % head)

    found = answers.find(request)
    return (found or await answers.compute(request, compute)).body


async def test_read_is_computed_once_until_the_log_grows(service: Service) -> None:
    answers, computed = SharedAnswers(service.log), list[int]()
    for _ in range(3):
        assert await answer_of(service, answers, b"q", computed) == b'{"data":0}'
    assert computed == [0]
    await service.writer.create_order(soup())
    assert await answer_of(service, answers, b"q", computed) == b'{"data":1}', "its own write"
    assert computed == [0, 1]


async def test_readers_at_the_same_time_share_one_computation(service: Service) -> None:
    answers, computed = SharedAnswers(service.log), list[int]()
    asking = [answer_of(service, answers, b"q", computed) for _ in range(50)]
    assert set(await asyncio.gather(*asking)) == {b'{"data":0}'}
    assert computed == [0]


async def test_reader_that_leaves_does_not_take_the_others_with_it(service: Service) -> None:
    answers, computed = SharedAnswers(service.log), list[int]()
    first = asyncio.create_task(answer_of(service, answers, b"q", computed))
    other = asyncio.create_task(answer_of(service, answers, b"q", computed))
    await asyncio.sleep(0)
    first.cancel()
    assert await other == b'{"data":0}'
    assert computed == [0]


@pytest.mark.sqlite  # it publishes what is in no database
async def test_reader_that_asks_after_an_order_never_gets_the_answer_from_before(
    service: Service,
) -> None:
    """One asks; before it is answered an order is published; another asks."""
    answers, computed = SharedAnswers(service.log), list[int]()
    order = Order(1, 1, "1", (), to_datetime(0), "cursor")
    before = asyncio.create_task(answer_of(service, answers, b"q", computed))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # it has looked at the log
    publish(service, order)
    assert await answer_of(service, answers, b"q", computed) == b'{"data":1}'
    assert await before == b'{"data":0}'
    assert answers.find(b"q") == Response(b'{"data":1}')


def publish(service: Service, order: Order) -> None:
    """Publish in this very step, as the writer does."""
    head = service.log.head
    entry = LogEntry(head.seq + 1, EntryKind.ORDER_CREATED, order, 0)
    service.log.append([entry], LogHead(head.epoch, entry.seq, head.order_id + 1, 0))


async def test_error_is_not_kept(service: Service) -> None:
    answers = SharedAnswers(service.log)

    async def fail() -> Response:
        return executed({"order": None}, [{"message": "gone in a moment"}], [Code.OVERLOADED])

    await answers.compute(b"q", fail)
    assert answers.find(b"q") is None


async def test_answers_are_bounded(service: Service) -> None:
    answers = SharedAnswers(service.log)

    async def large() -> Response:
        return Response(b'{"data":"%b"}' % (b"x" * 1_000_000))

    for number in range(300):
        await answers.compute(b"%d" % number, large)
    assert len(answers._answers) == 8


async def test_event_is_encoded_once_for_all_screens_and_its_memory_is_bounded(
    service: Service,
) -> None:
    operation = compiled(build_engine(), FOLLOW)
    assert operation is not None
    (field,) = operation.plan(operation.coerce_variables({}))
    await asyncio.gather(*(service.writer.create_order(soup()) for _ in range(1000)))
    entries = await service.log.read(0, 1000)
    events = SharedEvents(max_bytes=100_000)
    assert events.response(field, entries[-1], OrderFeed.value_of) is events.response(
        field, entries[-1], OrderFeed.value_of
    )
    tracemalloc.start()
    for entry in entries:
        events.response(field, entry, OrderFeed.value_of)
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 50_000 < taken <= 120_000  # the table itself grows in steps


async def test_screens_with_the_same_text_share_a_compiled_operation(service: Service) -> None:
    operations = Operations(build_engine(), service, compiled=True)
    request = GraphQLRequest(FOLLOW, None, {})
    assert operations._select(request) is operations._select(request)


async def test_ever_new_documents_grow_nothing(service: Service) -> None:
    engine = build_engine(EngineLimits(documents_kept=16))
    documents: DocumentCache = engine.documents
    for number in range(100):
        documents.get(f"{{ a{number}: __typename }}")
    assert len(documents) == 16
    padding = "#" * 16_000
    for number in range(100):
        documents.get(f"{{ b{number}: __typename }} {padding}")
    kept = list(documents._documents)
    assert documents._documents.size == sum(map(len, kept)) <= 262_144
    documents.get("{ nothing }")
    assert "{ nothing }" not in documents._documents, "an invalid document is not kept"
    operations = Operations(engine, service, compiled=True)
    text = "query A { orders { nodes { id } } } query B { orders { nodes { id } } }"
    for number in range(100):
        unknown = SubscribedRequest({"query": text, "operationName": f"N{number}"})
        assert operations.kind_of(unknown) is None
        known = SubscribedRequest({"query": text, "operationName": "A"})
        assert operations.kind_of(known) is OperationType.QUERY
        assert len(documents.get(text).derived) == 1


def test_bounded_map_gives_up_its_oldest() -> None:
    kept: BoundedMap[str, str] = BoundedMap(
        max_entries=3, max_size=10, size_of=lambda key, value: len(key) + len(value)
    )
    for key in "abc":
        kept.keep(key, "x")
    kept.keep("a", "xx")  # anew: it is the newest, and counts once
    assert (list(kept), kept.size) == (["b", "c", "a"], 7)
    kept.keep("d", "x")
    assert (list(kept), kept.size) == (["c", "a", "d"], 7)
    kept.keep("e", "xxxxx")
    assert (list(kept), kept.size) == (["d", "e"], 8)
    kept.keep("f", "x" * 100)
    assert (list(kept), kept.size) == ([], 0)
