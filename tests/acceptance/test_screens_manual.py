"""docs/screens.md is true: its screens run, lose their server, and miss nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import README, SCREENS, Reader, same_lines
from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.waiting import wait_until


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Reader(tmp_path) as opened:
        yield opened


@pytest.mark.timeout(300)
def test_screens_come_back_and_miss_nothing(reader: Reader) -> None:
    reader.serve()
    placing = README.of("graphql")[0]
    assert reader.execute(placing)["data"]["createOrder"]["order"]
    reader.save("python")
    reader.save("js")
    reader.install_packages()
    outputs = dict(SCREENS.commands())
    screens = list(outputs)
    assert screens == ["python screen.py", "node screen.mjs"]
    for command in screens:
        reader.begin(command, reader.folder, command.split()[1] + ".log")
    expected_lines = [outputs[command].strip().splitlines() for command in screens]
    for table in ("8", "9"):
        # Each time the server has been away, and an order was placed before anyone came back.
        _wait_for_lines(reader, screens, expected_lines)
        reader.stop_serving()
        reader.serve()
        order = reader.execute(CREATE_ORDER, input=soup_input(table))["data"]["createOrder"][
            "order"
        ]
        for lines in expected_lines:
            lines.append(f"#{order['id']} table {table}, … s ago: 1 × Soup, 2 × Bread")
    _wait_for_lines(reader, screens, expected_lines)


def _wait_for_lines(reader: Reader, screens: list[str], expected: list[list[str]]) -> None:
    for command, lines in zip(screens, expected, strict=True):
        log = command.split()[1] + ".log"
        wait_until(
            lambda log=log, lines=lines: same_lines(lines, reader.printed(log)),  # type: ignore[misc]
            f"{command} to show {lines}",
        )
