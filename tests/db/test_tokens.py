"""The tokens: what is stored of them, and that any number of processes may write them."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from db.errors import StartError
from db.tables import access_metadata
from db.tokens import Role, TokenError
from tests.support.databases import AnyDatabase
from tests.support.server import ROOT, clean_environment
from tests.support.tokens import tokens_of


async def test_migrations_make_the_table_that_the_code_declares(database: AnyDatabase) -> None:
    def differences(connection: Connection) -> list[object]:
        # On PostgreSQL the orders are in the same database.
        context = MigrationContext.configure(
            connection,
            opts={"include_name": lambda name, kind, _: kind != "table" or name == "access_tokens"},
        )
        return list(compare_metadata(context, access_metadata))

    async with tokens_of(database) as store, store._engine.connect() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.sqlite
async def test_only_a_hash_is_stored(sqlite_file: Path) -> None:
    async with tokens_of(sqlite_file) as store:
        text = await store.create(Role.KITCHEN, "grill")
    prefix, token_id, secret = text.split("_")
    assert (prefix, len(secret)) == ("b92", 40)
    stored = Path(f"{sqlite_file}.tokens").read_bytes()
    assert token_id.encode() in stored
    assert secret.encode() not in stored


async def test_exactly_the_active_tokens_are_known(database: AnyDatabase) -> None:
    async with tokens_of(database) as store:
        grill, bar = [await store.create(Role.KITCHEN, name) for name in ("grill", "bar")]
        await store.revoke("grill")
        tokens = await store.load()
    assert tokens.verify(grill) is None
    found = tokens.verify(bar)
    assert found is not None
    assert (found.name, found.role) == ("bar", Role.KITCHEN)
    for wrong in (bar[:-1], bar + "0", bar[:-1] + "g", bar.upper(), f"{grill[:13]}{bar[13:]}", ""):
        assert tokens.verify(wrong) is None, wrong
    assert [token.name for token in tokens.all] == ["grill", "bar"]


async def test_a_name_belongs_to_one_active_token(database: AnyDatabase) -> None:
    async with tokens_of(database) as store:
        first = await store.create(Role.FLOOR, "bar")
        with pytest.raises(TokenError, match="There is a token named 'bar'"):
            await store.create(Role.KITCHEN, "bar")
        await store.revoke(first.split("_")[1])
        await store.create(Role.KITCHEN, "bar")
        with pytest.raises(TokenError, match="no token 'grill'"):
            await store.revoke("grill")
        for name in ("", " ", "a\nb", "x" * 65, "0123abcd"):
            with pytest.raises(TokenError):
                await store.create(Role.FLOOR, name)


@pytest.mark.sqlite
async def test_many_processes_may_write_while_another_reads(sqlite_file: Path) -> None:
    """SQLite's journal, not its write-ahead log: see docs/decisions/0010."""
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from db.tokens import Role\n"
        "from tests.support.tokens import tokens_of\n"
        "async def main():\n"
        "    async with tokens_of(Path(sys.argv[1])) as store:\n"
        "        for number in range(10):\n"
        "            await store.create(Role.FLOOR, f'{sys.argv[2]}-{number}')\n"
        "asyncio.run(main())\n"
    )
    async with tokens_of(sqlite_file, read_only=True) as reader:
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(sqlite_file), name],
                cwd=ROOT,
                env=clean_environment(),
            )
            for name in "ab"
        ]
        seen = 0
        while any(writer.poll() is None for writer in writers):
            count = len((await reader.load()).all)
            assert count >= seen
            seen = count
            await asyncio.sleep(0)
        assert [writer.returncode for writer in writers] == [0, 0]
        assert len((await reader.load()).all) == 20
    with closing(sqlite3.connect(f"{sqlite_file}.tokens")) as witness:
        assert witness.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert witness.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.sqlite
async def test_a_reader_cannot_write(sqlite_file: Path) -> None:
    async with tokens_of(sqlite_file, read_only=True) as reader:
        with pytest.raises(TokenError, match="can't be used"):
            await reader.create(Role.FLOOR, "bar")


@pytest.mark.sqlite
async def test_file_that_holds_no_tokens_is_refused(sqlite_file: Path) -> None:
    Path(f"{sqlite_file}.tokens").write_text(
        "not a database, but long enough to be looked at " * 20
    )
    with pytest.raises(StartError, match=r"tokens can't be opened or migrated"):
        async with tokens_of(sqlite_file):
            pass


@pytest.mark.sqlite
async def test_a_reader_sees_the_file_that_was_put_in_its_place(
    sqlite_file: Path, tmp_path: Path
) -> None:
    async with tokens_of(sqlite_file) as store:
        await store.create(Role.FLOOR, "old")
    async with tokens_of(tmp_path / "other.db") as store:
        await store.create(Role.FLOOR, "new")
    file = Path(f"{sqlite_file}.tokens")
    async with tokens_of(sqlite_file, read_only=True) as reader:
        assert [token.name for token in (await reader.load()).all] == ["old"]
        (tmp_path / "other.db.tokens").rename(file)
        assert [token.name for token in (await reader.load()).all] == ["new"]
        file.unlink()
        with pytest.raises(TokenError):
            await reader.load()
        assert not file.exists(), "reading makes no empty file, in which no token is revoked"
