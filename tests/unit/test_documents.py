"""The manual: what the code writes of it is up to date, links lead somewhere, programs are run."""

import re
from pathlib import Path

import pytest

from execution.codes import Code
from server.pages import pages
from server.settings import ENV_PREFIX, Settings
from tests.support.documents import Document
from tests.support.server import ROOT

MANUAL = [
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
]
# How many blocks of a kind a document has, and which test runs all of them. A new block is to be
# run as well: let the test do it, and count it here.
RUN = {
    ("README.md", "console"): (2, "acceptance/test_readme.py"),
    ("README.md", "graphql"): (3, "acceptance/test_readme.py"),
    ("README.md", "json"): (1, "acceptance/test_readme.py"),
    ("README.md", "sh"): (2, "acceptance/test_access_manual.py, test_several_instances_manual.py"),
    ("docs/access.md", "sh"): (1, "acceptance/test_access_manual.py"),
    ("docs/operations.md", "console"): (4, "acceptance/test_operations.py"),
    ("docs/operations.md", "nginx"): (1, "acceptance/test_operations.py"),
    ("docs/screens.md", "console"): (2, "acceptance/test_screens_manual.py"),
    ("docs/screens.md", "js"): (1, "acceptance/test_screens_manual.py"),
    ("docs/screens.md", "python"): (1, "acceptance/test_screens_manual.py"),
    ("docs/several-instances.md", "ini"): (1, "acceptance/test_several_instances_manual.py"),
    ("docs/several-instances.md", "nginx"): (1, "acceptance/test_several_instances_manual.py"),
    ("docs/several-instances.md", "sh"): (3, "acceptance/test_several_instances_manual.py"),
}
# Blocks that no test runs, and why.
NOT_RUN = {
    ("docs/compiler.md", "graphql"): "an operation to talk about",
    ("docs/operations.md", "caddy"): "Caddy is in no package archive; it was run by hand",
    ("docs/operations.md", "systemd"): "systemd must be what has started the machine",
}


@pytest.mark.parametrize("name", MANUAL)
def test_every_block_is_run_or_it_is_said_why_not(name: str) -> None:
    blocks = [kind for kind, _ in Document(name).blocks if kind]
    for kind in blocks:
        if (name, kind) not in NOT_RUN:
            count, test = RUN.get((name, kind), (0, "no test"))
            assert blocks.count(kind) == count, f"{name}: {test} runs {count} blocks of {kind}"


def test_nothing_is_counted_that_is_not_there() -> None:
    there = {(name, kind) for name in MANUAL for kind, _ in Document(name).blocks}
    assert {*RUN, *NOT_RUN} <= there
    for _, tests in RUN.values():
        for test in tests.removeprefix("acceptance/").split(", "):
            assert (ROOT / "tests/acceptance" / test).exists()


def _anchor(heading: str) -> str:
    """Return the name that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", MANUAL)
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / name).parent / file if file else ROOT / name
        assert path.exists(), f"{name} links to {target}, which is not there"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
            assert anchor in map(_anchor, headings), f"{name} links to {target}: no such heading"


@pytest.mark.parametrize("name", MANUAL)
def test_files_that_are_named_exist(name: str) -> None:
    if name == "docs/changelog.md":
        return  # of the past as well
    for file in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", (ROOT / name).read_text()):
        places = (ROOT / file, ROOT / "execution" / file)
        assert any(path.exists() for path in places), f"{name} names {file}, which is not there"


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_page_that_the_code_writes_is_up_to_date(path: Path) -> None:
    assert path.read_text() == pages()[path], "run `make docs` and look at the change"


def test_pages_name_every_setting_and_every_code() -> None:
    settings, api = (path.read_text() for path in pages())
    for name, field in Settings.model_fields.items():
        assert (
            f"| `{ENV_PREFIX}{name.upper()}` | `{field.default}` | {field.description} |"
            in settings
        )
    for code in Code:
        assert f"| `{code.name}` |" in api


@pytest.mark.parametrize("name", MANUAL)
def test_settings_that_are_named_exist(name: str) -> None:
    known = {f"{ENV_PREFIX}{field}".upper() for field in Settings.model_fields}
    named = set(re.findall(r"BISTRO92_[A-Z_]+[A-Z]", (ROOT / name).read_text()))
    assert {each for each in named if not each.startswith("BISTRO92_TEST_")} <= known
