"""The short form of `make faults`: every fault, caused once or a few times in a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.causes import FAULTS, NOTHING
from tests.faults.commits import Commits
from tests.faults.migrating import killed_while_migrating
from tests.faults.stage import Stage, open_stage
from tests.faults.trial import Fault, try_fault


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One server for all faults, as in life: what one leaves behind, the next one meets."""
    with open_stage(tmp_path_factory.mktemp("faults"), short=True) as opened:
        yield opened


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_nothing_is_lost_doubled_or_unseen(stage: Stage, fault: Fault) -> None:
    if fault.needs_compiler and not stage.commits.available:
        pytest.skip("there is no C compiler: commits can't be made to fail")
    row = await try_fault(stage, fault)
    assert not row.problems, "\n".join(row.problems)
    assert row.verdict.acknowledged > 10
    assert row.times or fault is NOTHING


def test_killed_while_migrating_starts_the_next_time(tmp_path: Path) -> None:
    if not Commits(tmp_path).available:
        pytest.skip("there is no C compiler: a commit can't be held up")
    assert killed_while_migrating(tmp_path, syncs=3) == []
