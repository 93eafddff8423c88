"""GraphQL over HTTP as npm's `graphql-http` audits it, against real servers."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.node_packages import install, run
from tests.support.server import ROOT, ServerProcess


@pytest.fixture(scope="module")
def audits() -> Path:
    """Return the program that audits."""
    return install(ROOT / "tests/support/node/audits") / "audits.mjs"


@pytest.mark.parametrize("compiled", [True, False])
def test_all_audits_pass_without_a_warning(audits: Path, tmp_path: Path, compiled: bool) -> None:
    with ServerProcess(tmp_path, compiled_operations=compiled) as server:
        printed = run(audits, f"{server.url}/graphql")
        results: list[dict[str, Any]] = [json.loads(line) for line in printed.splitlines()]
        assert [result for result in results if result["status"] != "ok"] == []
        assert sum(result["id"] != "introspection" for result in results) == 61
        assert sum(result["id"] == "introspection" for result in results) == 2
        assert "Traceback" not in server.log
