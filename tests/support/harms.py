"""What may happen to a database file while it is served."""

import os
from collections.abc import Callable
from pathlib import Path

# Harms the database, and returns where its file is afterwards; none if it has no name any more.
Harm = Callable[[Path], Path | None]


def moved(path: Path) -> Path:
    return path.rename(path.with_name("elsewhere.db"))


def moved_with_its_wal(path: Path) -> Path:
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").rename(path.with_name(f"elsewhere.db{end}"))
    return moved(path)


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> Path:
    kept = path.with_name("kept.db")
    os.link(path, kept)
    path.with_name("other.db").rename(path)
    return kept


def folder_moved(path: Path) -> Path:
    return path.parent.rename(path.parent.with_name("renamed")) / path.name


def folder_replaced(path: Path) -> Path:
    kept = folder_moved(path)
    path.parent.mkdir()
    path.with_name(path.name).write_bytes(b"")
    return kept


def moved_and_linked(path: Path) -> Path:
    """As for a larger disk: the WAL stays where it was."""
    away = path.with_name("away")
    away.mkdir()
    there = path.rename(away / path.name)
    path.symlink_to(there)
    return there


def wal_deleted(path: Path) -> Path:
    Path(f"{path}-wal").unlink()
    return path


def wal_moved(path: Path) -> Path:
    Path(f"{path}-wal").rename(f"{path}-wal-before")
    return path


def wal_replaced(path: Path) -> Path:
    Path(f"{path}-other").write_bytes(Path(f"{path}-wal").read_bytes())
    Path(f"{path}-other").rename(f"{path}-wal")
    return path


def index_deleted(path: Path) -> Path:
    Path(f"{path}-shm").unlink()
    return path


def overwritten(path: Path) -> None:
    path.write_bytes(path.with_name("other.db").read_bytes())


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def wal_emptied(path: Path) -> None:
    Path(f"{path}-wal").write_bytes(b"")


# What is committed after these is not found by the next start.
LOSSES: list[Harm] = [
    moved,
    moved_with_its_wal,
    deleted,
    replaced,
    folder_moved,
    folder_replaced,
    moved_and_linked,
    wal_deleted,
    wal_moved,
    wal_replaced,
    overwritten,
    emptied,
    wal_emptied,
]
HARMS = [*LOSSES, index_deleted]
