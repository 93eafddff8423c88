"""Storing a batch: what the writer asks of a database, and what it is told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from db.errors import IdempotencyKeyReusedError
from db.lifecycle.changes import Change, Outcome
from db.records import LogEntry, LogHead, NewOrder, Order

Request = NewOrder | Change
Result = Order | IdempotencyKeyReusedError | Outcome


@dataclass(frozen=True, slots=True)
class Stored:
    """What each request of a batch came to, and the parts of the log that are to be published."""

    outcomes: Sequence[Result]
    unpublished: Sequence[tuple[Sequence[LogEntry], LogHead]]


class Store(Protocol):
    """A database that numbers and stores batches. For the writer's task only."""

    async def store(self, requests: Sequence[Request], published: LogHead) -> Stored:
        """Store a batch in one transaction, or nothing of it.

        `published` is the head of this process's log. Raises `UnavailableError` if the database
        fails or its answer to the commit is lost (the log tells what became of the batch then), and
        the database's own error if it refuses what it was asked to store.
        """
