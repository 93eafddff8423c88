"""`python app.py migrate-to URL`: from a SQLite file to PostgreSQL."""

import asyncio
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

from db.errors import MoveError, StartError
from db.move.copying import Moved, move
from db.sqlite.engines import sqlite_path
from server.commands.reporting import done, refused
from server.settings import Settings

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_commands(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the command; it sets `run` to its function, which returns the exit status."""
    moving = subparsers.add_parser(
        "migrate-to", help="copy the SQLite database, log and all, into an empty PostgreSQL one"
    )
    # Not one exactly: argparse would print what is too much, and there may be a password in it.
    moving.add_argument(
        "urls", nargs="*", metavar="URL", help="postgresql+asyncpg://user@host:5432/database"
    )
    moving.set_defaults(run=run_migrate_to)


def run_migrate_to(settings: Settings, arguments: Namespace) -> int:
    """Copy the configured database to the one that is named."""
    if len(arguments.urls) != 1:
        return refused("Name one database: migrate-to postgresql+asyncpg://user@host:5432/database")
    try:
        moved = asyncio.run(
            move(
                sqlite_path(settings.database_url),
                arguments.urls[0],
                prepared_statements=settings.database_prepared_statements,
            )
        )
    except (MoveError, StartError) as error:
        return refused(f"Nothing was moved. {error}")
    except KeyboardInterrupt:
        return refused("Interrupted. Run it again: a target that is complete is refused.")
    return done(_in_words(moved))


def _in_words(moved: Moved) -> str:
    rows = ", ".join(f"{count} {name}" for name, count in moved.rows.items())
    lines = [
        f"{moved.source} is copied to {moved.target}, up to order {moved.head.order_id} and log "
        f"entry {moved.head.seq}: {rows}. All of it was read back and compared (SHA-256)."
    ]
    if moved.is_served:
        missing = moved.source_newest_order - moved.head.order_id
        lines.append(
            f"The source is being served: orders after {moved.head.order_id} are not in the copy "
            f"({missing} by now). To move without loss, stop the service first."
        )
    return "\n".join(lines)
