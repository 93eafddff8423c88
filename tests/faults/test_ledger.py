"""The checks of the fault suite find what they are there to find."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.footprint import RSS_TOLERANCE_BYTES, Footprint
from tests.faults.ledger import Ledger, Verdict

pytestmark = pytest.mark.sqlite

TABLES = ("a", "b", "c", "d")


def store(sqlite_file: Path, rows: dict[int, str]) -> None:
    with closing(sqlite3.connect(sqlite_file)) as connection, connection:
        connection.execute("CREATE TABLE orders (id INTEGER, table_name TEXT)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", rows.items())


def compare(sqlite_file: Path, stored: dict[int, str], seen: dict[int, str]) -> Verdict:
    """Orders 11 to 14 are acknowledged, and one screen has followed from 10."""
    store(sqlite_file, stored)
    ledger = Ledger()
    sight = ledger.watch(10)
    for number, table in enumerate(TABLES, 11):
        ledger.acknowledge(table, number)
    for number, table in seen.items():
        sight.see(number, table)
    return ledger.compare(sqlite_file, 10)


ALL = dict(enumerate(TABLES, 11))


def test_all_is_well(sqlite_file: Path) -> None:
    verdict = compare(sqlite_file, {1: "earlier", **ALL}, ALL)
    assert verdict == Verdict(4, 0, 0, 0, 0, ())
    assert verdict.holds


@pytest.mark.parametrize(
    ("stored", "seen", "found"),
    [
        ({11: "a", 12: "b", 13: "c"}, {11: "a", 12: "b", 13: "c"}, "lost"),
        ({**ALL, 15: "d"}, {**ALL, 15: "d"}, "doubled"),
        (ALL, {11: "a", 12: "b", 13: "c"}, "unseen"),
        (ALL, {11: "a", 13: "c", 14: "d"}, "unseen"),
    ],
)
def test_what_is_wrong_is_counted(
    sqlite_file: Path, stored: dict[int, str], seen: dict[int, str], found: str
) -> None:
    verdict = compare(sqlite_file, stored, seen)
    assert getattr(verdict, found) == 1
    assert not verdict.holds


def test_order_that_is_shown_twice_or_late_is_counted(sqlite_file: Path) -> None:
    ledger = Ledger()
    sight = ledger.watch(10)
    for number in (11, 12, 12, 11):
        sight.see(number, f"{number}")
    store(sqlite_file, {})
    assert ledger.compare(sqlite_file, 10).repeated == 2


def test_screen_that_is_shown_another_order_is_found(sqlite_file: Path) -> None:
    verdict = compare(sqlite_file, ALL, {**ALL, 12: "x"})
    assert "shown other orders" in verdict.problems[0]


def test_order_that_nobody_was_told_of_is_found(sqlite_file: Path) -> None:
    verdict = compare(sqlite_file, {**ALL, 15: "e"}, {**ALL, 15: "e"})
    assert "nobody was told of" in verdict.problems[0]


def test_two_answers_for_one_order_are_found() -> None:
    ledger = Ledger()
    ledger.acknowledge("a", 1)
    ledger.acknowledge("a", 2)
    assert ledger.problems == ["a was acknowledged as 1 and as 2"]


def test_what_a_fault_leaves_behind_is_found() -> None:
    before = Footprint(rss_bytes=2**26, descriptors=20, threads=4, cpu_share=0)
    assert before.problems_after(before) == []
    more = Footprint(before.rss_bytes + RSS_TOLERANCE_BYTES + 1, 23, 6, 1.0)
    assert len(more.problems_after(before)) == 4
