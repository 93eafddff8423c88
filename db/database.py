"""An open database, whichever it is: what the service is put together from."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from db.order_log import OrderLog
from db.reader import OrderReader
from db.store import Store


async def nothing_to_do() -> None:
    """Do nothing between batches."""


@dataclass(frozen=True, slots=True)
class Database:
    """The parts of one database. `name` is safe to show: it holds no password."""

    name: str
    store: Store
    reader: OrderReader
    log: OrderLog
    after_commit: Callable[[], Awaitable[None]] = nothing_to_do
