"""The same API as a typical developer writes it with Strawberry: no log, no batches, no caches.

A SQLModel session per request, one writer at a time, a queue for each subscriber.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import strawberry
from sqlalchemy import event
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload
from sqlmodel import Field, Relationship, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL


class OrderRow(SQLModel, table=True):
    """An order."""

    __tablename__ = "orders"

    id: int | None = Field(default=None, primary_key=True)
    table_name: str
    created_at: datetime
    items: list["ItemRow"] = Relationship()


class ItemRow(SQLModel, table=True):
    """One line of an order."""

    __tablename__ = "order_items"

    id: int | None = Field(default=None, primary_key=True)
    order_id: int | None = Field(default=None, foreign_key="orders.id", index=True)
    name: str
    quantity: int


engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ.get('BENCH_DATABASE', ':memory:')}")
new_session = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)
writing = asyncio.Lock()
queues: list[asyncio.Queue["Order"]] = []


@event.listens_for(engine.sync_engine, "connect")
def _set_pragmas(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


@strawberry.type
class OrderItem:
    """One line of an order."""

    name: str
    quantity: int


@strawberry.type
class Order:
    """A stored order."""

    id: strawberry.ID
    table: str
    items: list[OrderItem]
    created_at: datetime
    cursor: str

    @classmethod
    def of(cls, row: OrderRow) -> "Order":
        """Map a row."""
        return cls(
            id=strawberry.ID(str(row.id)),
            table=row.table_name,
            items=[OrderItem(name=item.name, quantity=item.quantity) for item in row.items],
            created_at=row.created_at,
            cursor=str(row.id),
        )


@strawberry.input
class OrderItemInput:
    """One line of a new order."""

    name: str
    quantity: int


@strawberry.input
class CreateOrderInput:
    """A new order."""

    table: str
    items: list[OrderItemInput]
    idempotency_key: str | None = None


@strawberry.type
class OrderError:
    """What is wrong with an order."""

    code: str
    message: str
    field: str | None


@strawberry.type
class CreateOrderPayload:
    """The result of `createOrder`."""

    order: Order | None
    errors: list[OrderError]


@strawberry.type
class OrderConnection:
    """A page of orders."""

    nodes: list[Order]


@strawberry.type
class Query:
    """Reading."""

    @strawberry.field
    async def orders(self, first: int = 50) -> OrderConnection:
        """Return the newest orders, newest first."""
        newest = (
            select(OrderRow)
            .options(selectinload(OrderRow.items))  # type: ignore[arg-type]  # SQLModel: a list
            .order_by(col(OrderRow.id).desc())
            .limit(first)
        )
        async with new_session() as session:
            rows = (await session.exec(newest)).all()
        return OrderConnection(nodes=[Order.of(row) for row in rows])


@strawberry.type
class Mutation:
    """Writing."""

    @strawberry.mutation
    async def create_order(self, input: CreateOrderInput) -> CreateOrderPayload:  # noqa: A002
        """Store an order and show it to every subscriber."""
        row = OrderRow(
            table_name=input.table,
            created_at=datetime.now(UTC),
            items=[ItemRow(name=item.name, quantity=item.quantity) for item in input.items],
        )
        async with writing, new_session() as session:
            session.add(row)
            await session.commit()
        order = Order.of(row)
        for queue in queues:
            queue.put_nowait(order)
        return CreateOrderPayload(order=order, errors=[])


@strawberry.type
class Subscription:
    """Following."""

    @strawberry.subscription
    async def order_created(self) -> AsyncGenerator[Order, None]:
        """Yield each order that is placed from now on."""
        queue: asyncio.Queue[Order] = asyncio.Queue()
        queues.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            queues.remove(queue)


@asynccontextmanager
async def _lifespan(_app: Starlette) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield
    await engine.dispose()


view: GraphQL[None, None] = GraphQL(
    strawberry.Schema(Query, Mutation, Subscription),
    subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
)
app = Starlette(
    routes=[Route("/graphql", view), WebSocketRoute("/graphql", view)], lifespan=_lifespan
)
