"""Tell whether a file is a sound database of this version of Bistro92, or of an earlier one."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from db.errors import BackupError
from db.migrate import MIGRATIONS

_HEAD = "SELECT last_seq, last_order_id FROM log_head"
# Numbers have no gaps, and the head is the last of each: else something is missing or too much.
_EXTENTS = (
    "SELECT count(*), coalesce(min(seq), 1), coalesce(max(seq), 0) FROM log_entries",
    "SELECT count(*), coalesce(min(id), 1), coalesce(max(id), 0) FROM orders",
)


@dataclass(frozen=True, slots=True)
class LogSize:
    """What a database holds: the number of its newest log entry, and of its newest order."""

    last_seq: int
    last_order_id: int


def check(path: Path, name: Path) -> LogSize:
    """Read all of a database that nobody else has open, and return what it holds.

    `name` is what messages call it.

    Raises `BackupError` if it is damaged, incomplete, from a newer version, or not Bistro92's, and
    `sqlite3.Error` if it can't be read.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        _check_revision(connection, name)
        for pragma in ("integrity_check(1)", "foreign_key_check"):
            problems = connection.execute(f"PRAGMA {pragma}").fetchmany(1)
            if problems and problems != [("ok",)]:
                raise BackupError(f"{name} is damaged: {problems[0]}.")
        return _check_log(connection, name)


def _check_revision(connection: sqlite3.Connection, name: Path) -> None:
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    if not {"alembic_version", "log_head"} <= {name for (name,) in tables}:
        raise BackupError(f"{name} is not a database of Bistro92.")
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    for (revision,) in connection.execute("SELECT version_num FROM alembic_version"):
        if revision not in known:
            raise BackupError(f"{name} is from a newer version of Bistro92 (revision {revision}).")


def _check_log(connection: sqlite3.Connection, name: Path) -> LogSize:
    heads = connection.execute(_HEAD).fetchall()
    if len(heads) != 1:
        raise BackupError(f"{name} is damaged: the head of its log is missing.")
    for last, extent in zip(heads[0], _EXTENTS, strict=True):
        count, first, newest = connection.execute(extent).fetchone()
        if newest != last or count != last - first + 1:
            raise BackupError(
                f"{name} is damaged: its log has {count} of the {last} that it counts."
            )
    return LogSize(*heads[0])
