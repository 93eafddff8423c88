"""The limits of documents hold on the socket, and refuse the operation, not the socket."""

import pytest

from tests.support.hostile import DOCUMENTS
from tests.support.screen import open_screen
from tests.support.server import ServerProcess


@pytest.mark.parametrize("compiled", [True, False])
async def test_document_beyond_a_limit_ends_its_operation(
    tmp_path_factory: pytest.TempPathFactory, compiled: bool
) -> None:
    folder = tmp_path_factory.mktemp("socket")
    with ServerProcess(folder, compiled_operations=compiled, introspection=False) as server:
        async with open_screen(server.socket_url) as screen:
            for text, code in (
                (DOCUMENTS["too many fields"], "TOO_MANY_FIELDS"),
                (DOCUMENTS["a cycle of fragments"], "FRAGMENT_CYCLE"),
                ("{ __schema { types { name } } }", "INTROSPECTION_DISABLED"),
                ("{", "GRAPHQL_PARSE_FAILED"),
            ):
                await screen.subscribe(text, operation=code)
                assert (await screen.error())["extensions"] == {"code": code}
            await screen.subscribe("{ ordres }")
            assert "Did you mean" not in (await screen.error())["message"]
            await screen.subscribe("{ orders { nodes { id } } }")
            assert await screen.next() == {"orders": {"nodes": []}}
