"""A PostgreSQL server of the machine's own binaries, in a folder of its own, gone afterwards."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg  # type: ignore[import-untyped]

_FOLDERS = sorted(
    Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -float(folder.parent.name)
)
_USERS = ("postgres", "nobody")


def find_binary(name: str) -> str | None:
    """Path of `initdb` or `pg_ctl`: where distributions put it, or on the path."""
    for folder in _FOLDERS:
        if (folder / name).exists():
            return str(folder / name)
    return shutil.which(name)


class PostgreSQL:
    """A server on loopback; a context manager.

    PostgreSQL refuses to run as root: then another user's rights are taken.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tokenline-postgresql-"))
        self._user: str | None = None
        if os.geteuid() == 0:
            entry = next(entry for entry in map(_entry, _USERS) if entry is not None)
            self._user = entry.pw_name
            os.chown(self._folder, entry.pw_uid, entry.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        """For a store."""
        return f"postgresql://tokenline@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Make the database and start the server."""
        data = str(self._folder / "data")
        self._run(
            *("initdb", "--pgdata", data, "--username", "tokenline", "--auth", "trust"),
            *("--no-sync", "--encoding", "UTF8", "--locale", "C"),
        )
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"
            " -c shared_buffers=32MB"
        )
        self._run(
            *("pg_ctl", "start", "-w", "-t", "20", "-D", data, "-o", options),
            *("-l", str(self._folder / "log")),
        )

    def empty(self) -> None:
        """Drop every table."""

        async def drop() -> None:
            connection = await asyncpg.connect(self.url)
            await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            await connection.close()

        asyncio.run(drop())

    def stop(self) -> None:
        """Stop the server at once, as a crash would; what was committed stays."""
        self._run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self._folder / "data"))

    def restart(self) -> None:
        """Start it again on the same data."""
        self._run(
            *("pg_ctl", "start", "-w", "-t", "20", "-D", str(self._folder / "data")),
            *("-o", f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder} -c fsync=off"),
            *("-l", str(self._folder / "log")),
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except subprocess.CalledProcessError:
            pass  # a test stopped it
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, name: str, *arguments: str) -> None:
        binary = find_binary(name)
        assert binary is not None
        # Files, not pipes: the server would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            subprocess.run(
                [binary, *arguments],
                check=True,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=self._user,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                timeout=60,
            )


def _entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None
