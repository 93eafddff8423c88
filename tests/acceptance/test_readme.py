"""The README is true: its commands and operations are run, and what they print is compared.

The port, the database and the folder are the test's own.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documents import README, SCREENS, Reader, matches, same
from tests.support.server import ROOT
from tests.support.waiting import wait_until


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with Reader(tmp_path) as opened:
        yield opened


@pytest.mark.timeout(120)
def test_readme_from_start_to_a_list_of_orders(reader: Reader) -> None:
    for tool in ("curl", "make", "bash"):
        assert shutil.which(tool), f"the README needs {tool}"
    (make_run, make_output), *others = README.commands()
    assert make_run == "make run"
    reader.serve()
    wait_until(
        lambda: matches(reader.translate(make_output), reader.printed(reader.server_log)),
        "make run to print what the README says",
    )
    for command, output in others:
        run = ["bash", "-c", reader.translate(command)]
        ended = subprocess.run(run, env=reader.environment, capture_output=True, text=True)
        assert matches(output, ended.stdout), (command, ended.stdout, ended.stderr)

    placing, following, listing = README.of("graphql")
    (placed,) = README.of("json")
    assert same(json.loads(placed), reader.execute(placing))
    assert following.startswith("subscription")
    page = reader.execute(listing)["data"]["orders"]
    assert [node["id"] for node in page["nodes"]] == ["1"]
    assert page["pageInfo"]["hasNextPage"] is False

    (errors,) = re.findall(r"`errors` is\s+`(\[.*?\])`", README.text)
    blank = placing.replace('"7"', '" "').replace("order-1", "order-2")
    assert reader.execute(blank)["data"]["createOrder"]["errors"] == json.loads(errors)


def test_subscription_of_the_readme_is_what_its_screens_send() -> None:
    _, subscription, _ = README.of("graphql")
    selection = re.search(r"\{ id .* \}", subscription)
    assert selection
    for kind in ("python", "js"):
        assert selection.group() in SCREENS.of(kind)[0]


def _drawn() -> dict[str, str]:
    """Return the folders and files of the README's drawing, and what it says of them."""
    (drawing,) = [text for _, text in README.blocks if text.startswith("app.py ")]
    found, parent = {}, ""
    for line in drawing.splitlines():
        name, _, purpose = line.strip().partition(" ")
        if not line.startswith(" "):
            parent = name
        found[name if parent == name else parent + name] = purpose.strip()
    return found


def test_house_that_is_drawn_is_the_tree() -> None:
    drawn = _drawn()
    for name, purpose in drawn.items():
        path = ROOT / name
        assert path.is_dir() if name.endswith("/") else path.is_file(), f"{name} is not there"
        assert purpose, f"{name}: what is it for?"
    packages = ("server", "execution", "schema", "resolvers", "db")
    rooms = [path.parent for name in packages for path in (ROOT / name).glob("*/__init__.py")]
    for room in [*rooms, ROOT / "db/migrations", *(ROOT / name for name in packages)]:
        name = f"{room.relative_to(ROOT)}/"
        assert name in drawn, f"The README doesn't draw {name}"
    tests = {f"{path.parent.name}/" for path in (ROOT / "tests").glob("*/test_*.py")}
    assert set(drawn["tests/"].split()) == tests
