"""Programs between clients, instances and PostgreSQL, with the manual's configuration."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from tests.support.databases import PostgresDatabase
from tests.support.documents import SEVERAL_INSTANCES
from tests.support.server import free_port
from tests.support.waiting import wait_until


def find(program: str) -> str:
    """Return a program's path; without it a test is skipped, but never where nothing may be."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None and "BISTRO92_TEST_NOTHING_SKIPPED" not in os.environ:
        pytest.skip(f"{program} is not installed (apt-get install {program})")
    assert found, f"{program} is not installed"
    return found


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@contextmanager
def running(command: Sequence[str], port: int, log: Path) -> Iterator[None]:
    """Run a program until it listens, and end it."""

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_until(lambda: process.poll() is not None or listens(), command[0])
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


def nginx_command(folder: Path, site: str) -> list[str]:
    """Write a configuration that serves a site from a folder; return the command that runs it."""
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{path}_temp_path {folder}/{path};\n" for path in paths)
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off; pid {folder}/nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{site}}}\n"
    )
    return [find("nginx"), "-p", str(folder), "-c", f"{folder}/nginx.conf"]


@contextmanager
def nginx(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """Run the manual's nginx before servers on these ports; return its address."""
    port = free_port()
    pairs = [(f"127.0.0.1:800{n}", f"127.0.0.1:{to}") for n, to in enumerate(ports)]
    (site,) = SEVERAL_INSTANCES.of("nginx")
    site = replaced(site, *pairs, ("listen 80;", f"listen 127.0.0.1:{port};"))
    command = nginx_command(folder, site)
    with running(command, port, folder / "nginx.log"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def pgbouncer(folder: Path, database: PostgresDatabase) -> Iterator[URL]:
    """Run the manual's PgBouncer before a database; return the URL that goes through it."""
    program = find("pgbouncer")
    port = free_port()
    url = make_url(database.url)
    host = url.query.get("host") or url.host
    (configuration,) = SEVERAL_INSTANCES.of("ini")
    configuration = replaced(
        configuration,
        ("bistro92 = host=127.0.0.1", f"{url.database} = host={host}"),
        ("port=5432 user=bistro92", f"port={url.port or 5432} user={url.username}"),
        ("listen_port = 6432", f"listen_port = {port}\nunix_socket_dir ="),
    )
    (folder / "pgbouncer.ini").write_text(configuration)
    command = [program, f"{folder}/pgbouncer.ini"]
    if os.geteuid() == 0:  # it refuses to run as root
        socket_folder = Path(str(host))
        command[1:1] = ["-u", socket_folder.owner() if socket_folder.is_dir() else "nobody"]
    with running(command, port, folder / "pgbouncer.log"):
        yield url.set(host="127.0.0.1", port=port).difference_update_query(["host"])
