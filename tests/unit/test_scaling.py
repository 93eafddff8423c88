"""docs/scaling.md shows what the simulation prints, and the simulation is plausible."""

import re

import pytest

from bench import simulate
from bench.simulate import BATCH_MS, ORDER_MS, Simulation
from tests.support.server import ROOT

DOCUMENT = (ROOT / "docs" / "scaling.md").read_text()


def test_tables_of_the_document_are_what_the_simulation_prints() -> None:
    for table in simulate.tables():
        assert table in DOCUMENT


def test_figures_of_the_document_are_those_that_the_simulation_starts_from() -> None:
    for name, text in re.findall(r"`([A-Z_]+) = ([\d.]+)`", DOCUMENT):
        assert getattr(simulate, name) == float(text)


def test_alone_an_order_takes_a_round_trip_and_the_database_s_work() -> None:
    outcome = Simulation(1, 1, 2.0).run()
    assert outcome.p50 == pytest.approx(2.0 + BATCH_MS + ORDER_MS)
    assert outcome.keeps_up


def test_what_queues_for_one_row_takes_its_turn() -> None:
    """A batch's turn comes when each of the others has had one: the arithmetic of the document."""
    instances, rate = 20, 5000
    outcome = Simulation(instances, rate, 0.5).run()
    cycle = instances * BATCH_MS / (1 - rate / 1000 * ORDER_MS)
    assert outcome.batches_per_second == pytest.approx(1000 / cycle * instances, rel=0.05)
    assert cycle < outcome.p50 < 2 * cycle
