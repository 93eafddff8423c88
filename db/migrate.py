"""Bring a database to this version's tables at start, wholly or not at all."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from db.errors import StartError

MIGRATIONS = Path(__file__).parent / "migrations"


def _nothing(_connection: Connection) -> None:
    """Prepare nothing: nobody else uses the database."""


async def migrate(
    engine: AsyncEngine,
    name: str,
    migrations: Path = MIGRATIONS,
    *,
    before_change: Callable[[Connection], None] = _nothing,
) -> None:
    """Apply all missing migrations in one transaction.

    The engine is a migration engine; `name` is what error messages call the database;
    `before_change` runs in the transaction before tables change that are there already. Raises
    `StartError`, having changed nothing, if the database is from a newer version, is not
    Bistro92's, can't be read, or if a migration fails.
    """
    try:
        async with engine.begin() as connection:
            await connection.run_sync(upgrade, name, migrations, before_change)
    except StartError:
        raise
    except Exception as error:
        cause = error.orig if isinstance(error, DBAPIError) else repr(error)
        raise StartError(
            f"The database {name} can't be opened or migrated: {cause}. Nothing was changed."
        ) from error


def upgrade(
    connection: Connection,
    name: str,
    migrations: Path = MIGRATIONS,
    before_change: Callable[[Connection], None] = _nothing,
) -> None:
    """Apply all missing migrations in a transaction that the caller has begun: see `migrate`."""
    config = _config(migrations)
    # env.py runs on this connection, inside the transaction that the caller began.
    config.attributes["connection"] = connection
    known = ScriptDirectory.from_config(config)
    present = _refuse_foreign(connection, name, known)
    if present and present != {known.get_current_head()}:
        before_change(connection)
    command.upgrade(config, "head")


def scripts() -> ScriptDirectory:
    """Return this version's migrations."""
    return ScriptDirectory.from_config(_config(MIGRATIONS))


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config


def _refuse_foreign(connection: Connection, name: str, scripts: ScriptDirectory) -> set[str]:
    """Return the revision that the database has, none if it is empty; or raise `StartError`."""
    present = MigrationContext.configure(connection).get_current_heads()
    known = {revision.revision for revision in scripts.walk_revisions()}
    if unknown := set(present) - known:
        raise StartError(
            f"The database {name} is from a newer version of Bistro92 (revision "
            f"{', '.join(sorted(unknown))}; this version knows up to "
            f"{scripts.get_current_head()}). Upgrade Bistro92, or use another database."
        )
    if not present and (tables := inspect(connection).get_table_names()):
        raise StartError(
            f"The database {name} is not Bistro92's: it has tables ({', '.join(tables[:3])}) but "
            "no revision. Set BISTRO92_DATABASE_URL to another one."
        )
    return set(present)
