"""Checkpoints of the SQLite WAL, made by the writer's own connection between batches.

Automatic checkpoints never wait for readers, so under constant reading the WAL only grows. These
wait for the reads that are under way (each a few milliseconds) and then empty the file.
"""

import logging
import os
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.engines import driver_of

logger = logging.getLogger("bistro92.checkpoint")


async def checkpoint(writer_engine: AsyncEngine) -> bool:
    """Move the WAL into the database and empty it; tell whether all of it could be moved.

    Only for the task that owns the writer. It waits for running reads up to the busy timeout.
    """
    async with writer_engine.connect() as connection:
        # Through the driver: a statement of SQLAlchemy's would begin a transaction first.
        driver = await driver_of(connection)
        ((busy, _, _),) = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        return not busy


def wal_bytes(path: Path) -> int:
    """Return the size of the database's write-ahead log."""
    try:
        return os.stat(f"{path}-wal").st_size
    except FileNotFoundError:
        return 0


class Checkpointer:
    """Empties the WAL between batches whenever it has outgrown its limit."""

    def __init__(self, writer_engine: AsyncEngine, path: Path, *, wal_max_bytes: int) -> None:
        self._engine = writer_engine
        self._path = path
        self._wal_max_bytes = wal_max_bytes
        self._due_at_bytes = wal_max_bytes

    async def run_if_due(self) -> None:
        """Checkpoint if the WAL is due. A failure is logged and tried again after more growth."""
        if wal_bytes(self._path) >= self._due_at_bytes:
            await self.run()

    async def run(self) -> None:
        """Checkpoint. A failure is logged: what is in the WAL is as durable as the database."""
        size = wal_bytes(self._path)
        try:
            complete = await checkpoint(self._engine)
        except (DBAPIError, sqlite3.Error) as error:
            logger.warning("the WAL (%d bytes) could not be checkpointed: %s", size, error)
            complete = False
        # Orders wait during a checkpoint: one that a reader held up is not repeated each batch.
        self._due_at_bytes = self._wal_max_bytes if complete else size + self._wal_max_bytes
