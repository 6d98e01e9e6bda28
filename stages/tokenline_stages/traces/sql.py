"""Records in a database, through SQLAlchemy: SQLite (aiosqlite) or PostgreSQL (asyncpg)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenline.errors import ConfigError

from .record import Trace
from .sink import TracesRejectedError

if TYPE_CHECKING:
    from sqlalchemy import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

_DIALECTS = {
    "sqlite": ("sqlite", "aiosqlite", "aiosqlite"),
    "sqlite+aiosqlite": ("sqlite", "aiosqlite", "aiosqlite"),
    "postgres": ("postgresql", "asyncpg", "tokenline[postgresql]"),
    "postgresql": ("postgresql", "asyncpg", "tokenline[postgresql]"),
    "postgresql+asyncpg": ("postgresql", "asyncpg", "tokenline[postgresql]"),
}
"""URL scheme to dialect, driver and what to install for it."""

_SQLITE_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")


def database_url(address: str | Path) -> URL:
    """The SQLAlchemy URL of an address.

    Args:
        address: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/DATABASE`, or the path of a
            SQLite file.

    Raises:
        ConfigError: another database, or SQLAlchemy or the driver is not installed.
    """
    _need("sqlalchemy", "sqlalchemy[asyncio]")
    _need("greenlet", "sqlalchemy[asyncio]")
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if isinstance(address, Path) or "://" not in address:
        url = URL.create("sqlite", database=str(address))
    else:
        try:
            url = make_url(address)
        except (ArgumentError, ValueError):
            raise ConfigError("the database URL cannot be read; check its form") from None
    if url.drivername not in _DIALECTS:
        raise ConfigError(
            f"no traces in {url.drivername!r}: use sqlite:///FILE or postgresql://HOST/DATABASE"
        )
    dialect, driver, install = _DIALECTS[url.drivername]
    _need(driver, install)
    if dialect == "sqlite" and (url.database or ":memory:") == ":memory:":
        raise ConfigError("traces in memory are lost; name a file, or use MemorySink")
    return url.set(drivername=f"{dialect}+{driver}")


def _need(module: str, install: str) -> None:
    if find_spec(module) is None:
        raise ConfigError(f"traces in a database need {module}; install {install}")


def make_engine(url: URL, *, writing: bool = True) -> AsyncEngine:
    """An engine with one connection, whose errors never show the data."""
    from sqlalchemy import event
    from sqlalchemy.ext.asyncio import create_async_engine

    options: dict[str, Any] = {"connect_args": {"timeout": 5.0}}
    engine = create_async_engine(
        url, hide_parameters=True, pool_size=1, max_overflow=0, pool_timeout=5.0, **options
    )
    if writing and url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _set_pragmas)
    return engine


def _set_pragmas(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        # Several that open a new file at once: the journal's mode is the file's, one may set it.
        with suppress(sqlite3.OperationalError):
            cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class SqlSink:
    """Writes records to the table `tokenline_traces`, which is made when it is missing.

    Args:
        address: see `database_url`. A new SQLite file can be read by its owner only.

    Raises:
        ConfigError: see `database_url`.
    """

    def __init__(self, address: str | Path) -> None:
        self.url = database_url(address)
        # Now, not in the store's thread: all the imports take the interpreter for 0.2 s.
        from . import sql_schema

        self._spare: AsyncEngine | None = make_engine(self.url)
        self._insert = sql_schema.insert_for(self._spare.dialect.name, sql_schema.TRACES)
        self._engine: AsyncEngine | None = None

    @property
    def name(self) -> str:
        """Name: the URL without its password."""
        return self.url.render_as_string(hide_password=True)

    async def open(self) -> None:
        """Connect and make the tables that are missing."""
        from .sql_schema import prepare_schema

        self._make_file()
        engine, self._spare = self._spare or make_engine(self.url), None
        self._engine = engine
        async with engine.begin() as connection:
            await connection.run_sync(prepare_schema)

    async def write(self, batch: Sequence[Trace]) -> None:
        """Insert the batch in one transaction; records that are there already stay as they are."""
        from .sql_schema import row_of

        assert self._engine is not None
        rows = [row_of(trace) for trace in batch]
        try:
            async with self._engine.begin() as connection:
                await connection.execute(self._insert, rows)
        except Exception as error:
            if not _is_about_data(error):
                raise
            await self._write_singly(rows, error)

    async def _write_singly(self, rows: list[dict[str, Any]], cause: Exception) -> None:
        """One of the rows is not to the database's taste: find it, write the others."""
        assert self._engine is not None
        rejected = 0
        async with self._engine.begin() as connection:
            for row in rows:
                rejected += not await self._try_one(connection, row)
        if rejected:
            raise TracesRejectedError(type(cause).__name__, count=rejected) from cause

    async def _try_one(self, connection: AsyncConnection, row: dict[str, Any]) -> bool:
        try:
            async with connection.begin_nested():
                await connection.execute(self._insert, row)
        except Exception as error:
            if not _is_about_data(error):
                raise
            return False
        return True

    async def flush(self) -> None:
        """Nothing to do: every write was committed."""

    async def aclose(self) -> None:
        """Close the connection."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.dispose()

    def _make_file(self) -> None:
        """A new SQLite file belongs to its owner alone."""
        if self.url.get_backend_name() != "sqlite" or not self.url.database:
            return
        path = Path(self.url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _is_about_data(error: BaseException | None) -> bool:
    """Whether a row is to blame; then trying again would not help."""
    from sqlalchemy.exc import DataError, IntegrityError

    while error is not None:
        # asyncpg's own DataError, which SQLAlchemy does not tell from others, is a ValueError.
        if isinstance(error, (DataError, IntegrityError, ValueError, TypeError, OverflowError)):
            return True
        error = error.__cause__
    return False
