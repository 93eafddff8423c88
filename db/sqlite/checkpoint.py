"""Checkpoints of the SQLite WAL, made by the writer's own connection between batches.

Automatic checkpoints never wait for readers, so under constant reading the WAL only grows. These
wait for the reads that are under way (each a few milliseconds) and then empty the file. A backup
reads for as long as it takes: while one runs, the WAL grows, and orders must not wait for it.
"""

import logging
import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.driver import driver_of
from db.sqlite.served_file import ServedFile

logger = logging.getLogger("bistro92.checkpoint")

_BUSY_TIMEOUT_MS = 100
# Orders wait during a checkpoint. One that was held up comes again when this many times what it
# took has passed: a twentieth of the time at the most.
_PAUSE_FACTOR = 20
_PAUSE_MIN_SECONDS = 2.0


async def checkpoint(writer_engine: AsyncEngine) -> bool:
    """Move the WAL into the database and empty it; tell whether all of it could be moved.

    Only for the task that owns the writer. It waits for running reads, but not for long ones.
    """
    async with writer_engine.connect() as connection:
        # Through the driver: a statement of SQLAlchemy's would begin a transaction first.
        driver = await driver_of(connection)
        ((usual_ms,),) = await driver.execute_fetchall("PRAGMA busy_timeout")
        await driver.execute_fetchall(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        try:
            ((busy, _, _),) = await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            await driver.execute_fetchall(f"PRAGMA busy_timeout={usual_ms}")
        return not busy


def wal_bytes(path: Path) -> int:
    """Return the size of the database's WAL; 0 if it isn't there, or can't be looked at."""
    try:
        return os.stat(f"{path}-wal").st_size
    except OSError:
        return 0


class Checkpointer:
    """Empties the WAL between batches whenever it has outgrown its limit."""

    def __init__(self, writer_engine: AsyncEngine, file: ServedFile, *, wal_max_bytes: int) -> None:
        self._engine = writer_engine
        self._file = file
        self._wal_max_bytes = wal_max_bytes
        self._not_before = 0.0

    async def run_if_due(self) -> None:
        """Checkpoint if the WAL is due. A failure is logged and tried again after a pause."""
        if (
            wal_bytes(self._file.path) >= self._wal_max_bytes
            and time.monotonic() >= self._not_before
        ):
            await self.run()

    async def run(self) -> None:
        """Checkpoint. A failure is logged: what is in the WAL is as durable as the database."""
        size = wal_bytes(self._file.path)
        began = time.monotonic()
        try:
            with self._file.being_written():
                complete = await checkpoint(self._engine)
        except (DBAPIError, sqlite3.Error) as error:
            logger.warning("the WAL (%d bytes) could not be checkpointed: %s", size, error)
            complete = False
        if not complete:
            ended = time.monotonic()
            pause = max(_PAUSE_MIN_SECONDS, _PAUSE_FACTOR * (ended - began))
            self._not_before = ended + pause
