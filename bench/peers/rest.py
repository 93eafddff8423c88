"""The classic REST design: FastAPI, aiosqlite with a lock around writes, a broadcast loop."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import aiosqlite
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field

_TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY, table_name TEXT NOT NULL, created_at TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS order_items (
    id INTEGER PRIMARY KEY,
    order_id INTEGER NOT NULL REFERENCES orders (id),
    name TEXT NOT NULL,
    quantity INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS ix_items_order ON order_items (order_id);
"""


class Item(BaseModel):
    """One line of an order."""

    name: str = Field(min_length=1, max_length=100)
    quantity: int = Field(ge=1, le=999)


class NewOrder(BaseModel):
    """An order to be placed."""

    table: str = Field(min_length=1, max_length=64)
    items: list[Item] = Field(min_length=1, max_length=100)


class Order(NewOrder):
    """A stored order."""

    id: int
    createdAt: datetime  # noqa: N815 - the name in the JSON


class Screens:
    """The connected screens; each order is sent to one after the other."""

    def __init__(self) -> None:
        self._screens: list[WebSocket] = []

    async def follow(self, screen: WebSocket) -> None:
        """Keep a screen connected until it leaves."""
        await screen.accept()
        self._screens.append(screen)
        try:
            while True:
                await screen.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            self._screens.remove(screen)

    async def broadcast(self, order: Order) -> None:
        """Send an order to every screen."""
        text = order.model_dump_json()
        for screen in list(self._screens):
            with suppress(WebSocketDisconnect, RuntimeError):
                await screen.send_text(text)


class Store:
    """The orders on disk: one writer at a time, one commit per order."""

    def __init__(self, connection: aiosqlite.Connection, reading: aiosqlite.Connection) -> None:
        self._connection = connection
        # Of its own: on the writer's connection a reader would see half an order.
        self._reading = reading
        self._lock = asyncio.Lock()

    async def add(self, new: NewOrder) -> Order:
        """Store an order and return it."""
        created_at = datetime.now(UTC)
        async with self._lock:
            cursor = await self._connection.execute(
                "INSERT INTO orders (table_name, created_at) VALUES (?, ?)",
                (new.table, created_at.isoformat()),
            )
            await self._connection.executemany(
                "INSERT INTO order_items (order_id, name, quantity) VALUES (?, ?, ?)",
                [(cursor.lastrowid, item.name, item.quantity) for item in new.items],
            )
            await self._connection.commit()
        return Order(id=cursor.lastrowid or 0, createdAt=created_at, **new.model_dump())

    async def newest(self, first: int) -> list[Order]:
        """Return the newest orders, newest first."""
        rows = await self._reading.execute_fetchall(
            "SELECT id, table_name, created_at FROM orders ORDER BY id DESC LIMIT ?", (first,)
        )
        orders = {
            number: Order.model_construct(
                id=number, table=table, items=[], createdAt=datetime.fromisoformat(created_at)
            )
            for number, table, created_at in rows
        }
        items = await self._reading.execute_fetchall(
            "SELECT order_id, name, quantity FROM order_items WHERE order_id BETWEEN ? AND ? "
            "ORDER BY id",
            (min(orders, default=0), max(orders, default=0)),
        )
        for number, name, quantity in items:
            orders[number].items.append(Item.model_construct(name=name, quantity=quantity))
        return list(orders.values())


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    path = os.environ["BENCH_DATABASE"]
    async with aiosqlite.connect(path) as connection, aiosqlite.connect(path) as reading:
        await connection.executescript(_TABLES)
        app.state.store = Store(connection, reading)
        app.state.screens = Screens()
        yield


app = FastAPI(lifespan=_lifespan)


@app.post("/api/order")
async def create_order(new: NewOrder) -> Order:
    """Store an order, show it on every screen, and answer."""
    order: Order = await app.state.store.add(new)
    await app.state.screens.broadcast(order)
    return order


@app.get("/api/orders")
async def list_orders(first: int = 50) -> list[Order]:
    """Answer with the newest orders."""
    newest: list[Order] = await app.state.store.newest(first)
    return newest


@app.websocket("/ws")
async def follow(screen: WebSocket) -> None:
    """Show orders as they are placed."""
    await app.state.screens.follow(screen)
