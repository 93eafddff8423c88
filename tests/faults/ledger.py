"""What was acknowledged and what was seen, and how that compares with the database."""

import sqlite3
import zlib
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Sight:
    """What one screen has seen: orders after `start`, up to `place`, as a checksum.

    One that has ended was switched off: what came later, it need not have seen.
    """

    start: int
    place: int = field(init=False)
    checksum: int = 0
    missed: int = 0
    repeated: int = 0
    ended: bool = False

    def __post_init__(self) -> None:
        self.place = self.start

    def see(self, order_id: int, table: str) -> None:
        """Note an order. Ids have no gaps, so each must be one more than the last."""
        if order_id <= self.place:
            self.repeated += 1
            return
        self.missed += order_id - self.place - 1
        self.place = order_id
        self.checksum = _add(self.checksum, order_id, table)


@dataclass(frozen=True)
class Verdict:
    """Counts of what must be none, over all orders and screens."""

    acknowledged: int
    lost: int
    doubled: int
    unseen: int
    repeated: int
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        counts = (self.lost, self.doubled, self.unseen, self.repeated)
        return not any(counts) and not self.problems


class Ledger:
    """Everything that clients and screens were told. Each order is of a table of its own."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, int] = {}
        self.sights: list[Sight] = []
        self.refusals: Counter[str] = Counter()
        self.problems: list[str] = []

    def acknowledge(self, table: str, order_id: int) -> None:
        """Note an answer; the same order must have the same id each time."""
        first = self.acknowledged.setdefault(table, order_id)
        if first != order_id:
            self.problems.append(f"{table} was acknowledged as {first} and as {order_id}")

    def watch(self, start: int) -> Sight:
        """Begin to note what a screen sees after this order."""
        self.sights.append(Sight(start))
        return self.sights[-1]

    def compare(self, database: Path, after: int) -> Verdict:
        """Compare with what the database holds after this order."""
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as witness:
            rows = witness.execute("SELECT id, table_name FROM orders WHERE id > ?", (after,))
            stored = dict(sorted(rows))
            intact = witness.execute("PRAGMA integrity_check").fetchall()
        problems = [*self.problems, *_strange(stored, after, set(self.acknowledged))]
        if intact != [("ok",)]:
            problems.append(f"integrity check: {intact}")
        times = Counter(stored.values())
        unseen, wrong = self._unseen(stored, after)
        return Verdict(
            acknowledged=len(self.acknowledged),
            lost=sum(stored.get(i) != table for table, i in self.acknowledged.items()),
            doubled=sum(count - 1 for count in times.values()),
            unseen=unseen,
            repeated=sum(sight.repeated for sight in self.sights),
            problems=(*problems, *wrong),
        )

    def _unseen(self, stored: dict[int, str], after: int) -> tuple[int, list[str]]:
        newest = max(stored, default=after)
        unseen = sum(
            sight.missed + (0 if sight.ended else max(0, newest - sight.place))
            for sight in self.sights
        )
        wrong = [
            f"the screen from {sight.start} was shown other orders than are stored"
            for sight in self.sights
            if not sight.missed and sight.checksum != _checksum(stored, sight)
        ]
        return unseen, wrong


def _strange(stored: dict[int, str], after: int, known: set[str]) -> list[str]:
    problems = []
    if list(stored) != list(range(after + 1, after + len(stored) + 1)):
        problems.append("the ids have gaps")
    if foreign := set(stored.values()) - known:
        problems.append(f"{len(foreign)} orders that nobody was told of: {sorted(foreign)[:3]}")
    return problems


def _checksum(stored: dict[int, str], sight: Sight) -> int:
    checksum = 0
    for order_id in range(sight.start + 1, sight.place + 1):
        checksum = _add(checksum, order_id, stored.get(order_id, ""))
    return checksum


def _add(checksum: int, order_id: int, table: str) -> int:
    return zlib.crc32(f"{order_id} {table}\n".encode(), checksum)
