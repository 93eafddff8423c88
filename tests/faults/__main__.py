"""`make faults` and `make soak`: the whole run, its table, and an exit status that says if it held.

python -m tests.faults [--short] [--only NAME]
python -m tests.faults soak [--minutes 30]
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.faults.causes import FAULTS, NOTHING
from tests.faults.migrating import SYNCS, killed_while_migrating
from tests.faults.report import table
from tests.faults.soak import soak
from tests.faults.stage import open_stage
from tests.faults.trial import Row, try_fault


def _faults(*, short: bool, only: str | None) -> bool:
    chosen = [fault for fault in FAULTS if only is None or only in fault.name]
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="bistro92-faults-") as folder,
        open_stage(Path(folder), short=short) as stage,
    ):
        print(f"the disk is a {stage.disk.kind}", file=sys.stderr, flush=True)
        asyncio.run(try_fault(stage, NOTHING))  # warm up: caches and pools are filled once
        for fault in chosen:
            if fault.needs_compiler and not stage.commits.available:
                sys.exit(f"{fault.name!r} needs a C compiler: install gcc, or use --only.")
            rows.append(asyncio.run(try_fault(stage, fault)))
            state = "FAILED" if rows[-1].problems else "held"
            print(f"{fault.name}: {state}", file=sys.stderr, flush=True)
    print(table(rows))
    return bool(rows) and not any(row.problems for row in rows)


def _migrations(*, short: bool) -> bool:
    problems = []
    for syncs in (3,) if short else range(SYNCS):
        with tempfile.TemporaryDirectory(prefix="bistro92-faults-") as folder:
            problems += killed_while_migrating(Path(folder), syncs=syncs)
    state = f"FAILED: {problems}" if problems else "held"
    print(f"kill -9 while migrating, {1 if short else SYNCS} times: {state}")
    return not problems


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("what", nargs="?", choices=["faults", "soak"], default="faults")
    parser.add_argument("--short", action="store_true", help="fewer and shorter faults")
    parser.add_argument("--only", help="faults whose name contains this")
    parser.add_argument("--minutes", type=float, default=30, help="how long to soak")
    chosen = parser.parse_args()
    if chosen.what == "soak":
        held = asyncio.run(soak(chosen.minutes))
    else:
        held = _faults(short=chosen.short, only=chosen.only)
        if chosen.only is None:
            held = _migrations(short=chosen.short) and held
    sys.exit(not held)


if __name__ == "__main__":
    main()
