"""What a database may be called: every name that a file or its folder can have."""

import os
from pathlib import Path

import pytest
from sqlalchemy import URL

from app import run_service
from db.errors import StartError
from db.move.source import MOVED_TABLES, open_snapshot
from db.sqlite.backup import back_up, restore
from db.sqlite.engines import sqlite_path
from db.tokens import Role
from server.settings import Settings
from tests.support.databases import SqliteFile, stored_ids
from tests.support.orders import soup
from tests.support.tokens import tokens_of

pytestmark = pytest.mark.sqlite

NAMES = [
    "what?",
    "number #1",
    "100%",
    "%41",
    "mode=ro?mode=memory",
    "día 🍕",
    "a@b:c",
    'it\'s "so"',
]


@pytest.fixture(params=NAMES)
def odd(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteFile:
    """A database whose folder and file have a name with a meaning in URLs."""
    folder = tmp_path / request.param
    folder.mkdir()
    return SqliteFile(folder / f"{request.param}.db")


async def test_everything_is_at_the_name_that_was_given(odd: SqliteFile, tmp_path: Path) -> None:
    settings = Settings.model_validate({"database_url": odd.url})
    async with run_service(settings) as service, tokens_of(odd) as tokens:
        await service.writer.create_order(soup())
        await tokens.create(Role.FLOOR, "bar")
        backup = odd.path.with_name(f"{odd.path.name}-copy")
        assert back_up(odd.path, backup).last_order_id == 1
        await service.writer.create_order(soup())
    with open_snapshot(odd.path) as snapshot:
        assert snapshot.head.order_id == 2
        assert [len(list(snapshot.rows(table))) for table in MOVED_TABLES] == [2, 4, 2, 1]
    async with tokens_of(odd, read_only=True) as tokens:
        assert [token.name for token in (await tokens.load()).all] == ["bar"]
    assert stored_ids(odd) == [1, 2]
    _, kept = restore(backup, odd.path)
    assert stored_ids(odd) == [1]
    assert kept is not None
    assert {path.name for path in odd.path.parent.iterdir()} == {
        odd.path.name,
        f"{odd.path.name}.lock",
        f"{odd.path.name}.tokens",
        backup.name,
        kept.name,
    }
    assert list(tmp_path.iterdir()) == [odd.path.parent]


async def test_file_in_the_folder_that_the_service_is_started_in(
    odd: SqliteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(odd.path.parent)
    url = "sqlite+aiosqlite:///bistro92.db"
    async with run_service(Settings.model_validate({"database_url": url})) as service:
        await service.writer.create_order(soup())
    assert stored_ids(SqliteFile(odd.path.parent / "bistro92.db")) == [1]


@pytest.mark.parametrize(
    ("name", "message"), [("a\0b", "can be no file"), ("pipe", "must be a file")]
)
def test_name_that_no_database_can_have_is_refused(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    url = URL.create("sqlite+aiosqlite", database=name).render_as_string()
    with pytest.raises(StartError, match=message):
        sqlite_path(url)
