"""`python app.py`, begun from a process that has imported it already.

Imports are most of a start: more than a second for each of some hundred servers and commands. Tests
of the start itself, and of what ends it, run the real one.
"""

import json
import os
import queue
import random
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


class WarmProcess:
    """What `subprocess.Popen` is for others."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None
        self._ended = threading.Event()

    def end(self, status: int) -> None:
        self._status = status
        self._ended.set()

    def poll(self) -> int | None:
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("app.py", timeout or 0)
        assert self._status is not None
        return self._status

    def send_signal(self, number: int) -> None:
        if self._status is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Nursery:
    """The process that has imported the program, and its children."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._lock = threading.Lock()
        self._begun: queue.Queue[WarmProcess] = queue.Queue()
        self._children: dict[int, WarmProcess] = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            pid, status = json.loads(line)
            if status is None:
                self._children[pid] = WarmProcess(pid)
                self._begun.put(self._children[pid])
            else:
                self._children.pop(pid).end(status)

    def begin(
        self, arguments: Sequence[str], environment: Mapping[str, str], out: Path, err: Path
    ) -> WarmProcess:
        order = [list(arguments), dict(environment), str(out), str(err)]
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            return self._begun.get(timeout=60)


@cache
def _nursery() -> _Nursery:
    return _Nursery()


def begin(
    arguments: Sequence[str], environment: Mapping[str, str], out: Path, err: Path
) -> WarmProcess:
    """Begin `app.py`, which appends what it says to two files, or to one."""
    return _nursery().begin(arguments, environment, out, err)


def _become(arguments: list[str], environment: dict[str, str], out: str, err: str) -> None:
    """Be `python app.py` in a new process, as if it had just been imported."""
    import app

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, path in ((0, os.devnull), (1, out), (2, err)):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND | os.O_CREAT
        file = os.open(path, flags, 0o600)
        os.dup2(file, number)
    os.closerange(3, 1024)
    os.environ.clear()
    os.environ.update(environment)
    random.seed()
    sys.argv = ["app.py", *arguments]
    app.main()


def _status_of_child(order: bytes) -> int:
    try:
        _become(*json.loads(order))
    except SystemExit as ending:
        if isinstance(ending.code, str):
            sys.stderr.write(f"{ending.code}\n")
            return 1
        return ending.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _begin_child(order: bytes) -> None:
    pid = os.fork()
    if pid:
        os.write(1, json.dumps([pid, None]).encode() + b"\n")
        return
    status = 1
    try:
        status = _status_of_child(order)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _report_ended() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        code = os.waitstatus_to_exitcode(status)
        os.write(1, json.dumps([pid, code]).encode() + b"\n")


def _main() -> None:
    import app  # noqa: F401 - this is what it is for

    hearing, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    waiting = b""
    while True:
        ready, _, _ = select.select([0, hearing], [], [])
        if hearing in ready:
            os.read(hearing, 4096)
            _report_ended()
        if 0 in ready:
            data = os.read(0, 1 << 20)
            if not data:
                return
            *orders, waiting = (waiting + data).split(b"\n")
            for order in orders:
                _begin_child(order)


if __name__ == "__main__":
    _main()
