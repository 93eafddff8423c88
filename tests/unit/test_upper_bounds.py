"""A library of whose insides we use some has an upper bound: a newer one may lack them.

Whether the installed ones have them is what the seam tests say.
"""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# The place that names their insides, and the test that looks for them.
LIBRARIES = {
    "aiosqlite": ("db/driver.py", "tests/db/test_driver_seams.py"),
    "asyncpg": ("db/driver.py", "tests/db/test_driver_seams.py"),
    "sqlalchemy": ("db/driver.py", "tests/db/test_driver_seams.py"),
    "graphql-core": ("execution/generic.py", "tests/unit/test_insides.py"),
    "httptools": ("server/wire/in_step.py", "tests/unit/test_insides.py"),
    "strawberry-graphql": ("execution/engine.py", "tests/unit/test_insides.py"),
    "uvicorn": ("server/wire/http_protocol.py", "tests/unit/test_insides.py"),
    "websockets": ("server/wire/websocket_protocol.py", "tests/unit/test_insides.py"),
}


def requirements() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {known.name: known for known in map(Requirement, project["dependencies"])}


@pytest.mark.parametrize("library", LIBRARIES)
def test_library_with_an_inside_that_we_use_has_an_upper_bound(library: str) -> None:
    clauses = requirements()[library].specifier
    assert any(clause.operator in ("<", "<=", "==", "~=") for clause in clauses), (
        f"{library} needs an upper bound in pyproject.toml: {LIBRARIES[library][0]} uses what a "
        "newer version may lack."
    )


@pytest.mark.parametrize("library", LIBRARIES)
def test_installed_version_is_within_its_bounds(library: str) -> None:
    bounds, installed = requirements()[library].specifier, version(library)
    assert bounds.contains(installed), f"{library} {installed} is installed, not {bounds}."


@pytest.mark.parametrize("library", LIBRARIES)
def test_its_insides_are_named_where_the_table_says(library: str) -> None:
    for name in LIBRARIES[library]:
        word = library.removesuffix("-graphql").removesuffix("-core")
        assert re.search(rf"\b{word}\b", (ROOT / name).read_text(), re.IGNORECASE), name


def test_every_upper_bound_has_its_reason() -> None:
    bounded = {
        name
        for name, known in requirements().items()
        if any(clause.operator in ("<", "<=", "==", "~=") for clause in known.specifier)
    }
    assert bounded <= set(LIBRARIES), (
        "An upper bound keeps security fixes away: name the inside that it is for, or remove it."
    )
