"""`python app.py backup FILE` and `python app.py restore FILE`."""

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from db.errors import BackupError, StartError
from db.opening import database_file
from db.sqlite.backup import back_up, restore
from server.commands.reporting import done, refused
from server.settings import Settings

if TYPE_CHECKING:
    from argparse import _SubParsersAction


def add_commands(subparsers: "_SubParsersAction[ArgumentParser]") -> None:
    """Add the commands; each sets `run` to its function, which returns the exit status."""
    backing_up = subparsers.add_parser(
        "backup", help="write a checked copy of the database to a new file, also while serving"
    )
    backing_up.add_argument("file", type=Path, help="the file to write; it must not exist")
    backing_up.set_defaults(run=run_backup)
    restoring = subparsers.add_parser(
        "restore", help="put a backup in the database's place, while the service is stopped"
    )
    restoring.add_argument("file", type=Path, help="the backup; it stays as it is")
    restoring.set_defaults(run=run_restore)


def run_backup(settings: Settings, arguments: Namespace) -> int:
    """Back up the configured database."""
    try:
        size = back_up(_file(settings), arguments.file.absolute())
    except (BackupError, StartError) as error:
        return refused(f"No backup was made. {error}")
    return done(f"{arguments.file}: {size.last_order_id} orders, log at {size.last_seq}.")


def run_restore(settings: Settings, arguments: Namespace) -> int:
    """Restore the configured database."""
    try:
        database = _file(settings)
        size, kept = restore(arguments.file.absolute(), database)
    except (BackupError, StartError) as error:
        return refused(f"Nothing was restored. {error}")
    replaced = f" The replaced database is {kept}." if kept else ""
    return done(
        f"{database}: {size.last_order_id} orders, log at {size.last_seq}.{replaced} "
        "Screens that come back get CURSOR_EXPIRED and start anew."
    )


def _file(settings: Settings) -> Path:
    file = database_file(settings.database())
    if file is None:
        raise BackupError("PostgreSQL has means of its own: see docs/several-instances.md.")
    return file
