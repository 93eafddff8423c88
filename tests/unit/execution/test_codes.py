"""Every error has a code of the one list, and nowhere else is one written out."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.errors import Bistro92Error, IdempotencyKeyReusedError
from execution.codes import Code, Stage
from execution.errors import code_of_cause
from execution.response import Response
from server.http.answers import to_answer
from server.media_types import GRAPHQL_RESPONSE, JSON
from tests.support.server import ROOT


def _subclasses(kind: type[Bistro92Error]) -> Iterator[type[Bistro92Error]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


def test_every_expected_failure_has_a_code() -> None:
    # A key that belongs to another order is data of the API: `OrderErrorCode` has it.
    for kind in {*_subclasses(Bistro92Error)} - {IdempotencyKeyReusedError}:
        assert code_of_cause(kind.__new__(kind)) is not Code.INTERNAL_SERVER_ERROR, kind


def _texts(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_no_code_is_written_out() -> None:
    names = {code.name for code in Code}
    for folder in ("server", "execution", "schema", "resolvers", "db"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not names & _texts(path), f"{path}: use execution.codes.Code"


@pytest.mark.parametrize("code", Code)
def test_status_is_one_that_the_list_names(code: Code) -> None:
    assert code.meaning
    response = Response(b"{}", code.stage, code)
    if not code.statuses:
        return  # on sockets only
    for media_type in (JSON, GRAPHQL_RESPONSE):
        answer = to_answer(response, media_type, "id")
        is_well_formed = code.stage is not Stage.REQUEST and media_type == JSON
        assert answer.status in ({200} if is_well_formed else code.statuses)
        assert (answer.status == 503) == (b"retry-after" in dict(answer.more))
