"""Reads records back from a file or a database."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from tokenline.errors import ConfigError

from .filters import TraceFilter
from .jsonl import rotated_files
from .record import TraceRecord, decode_record

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncEngine

_LIKELY_ENOUGH = 10
"""Most records that a beginning of an id may give; more are not worth listing."""


class TraceReader(Protocol):
    """Reads a store that others may be writing to.

    Attributes:
        skipped: lines or rows that are no record.
    """

    skipped: int

    async def find(self, wanted: TraceFilter) -> list[TraceRecord]:
        """The records that match, the latest first."""
        ...

    async def get(self, identifier: str) -> list[TraceRecord]:
        """Records by id, beginning of an id, or message id."""
        ...

    async def aclose(self) -> None:
        """Let go of the store."""
        ...


class JsonlReader:
    """Reads a file of `JsonlSink` and those rotated away; scans all of it."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise ConfigError(f"no traces at {path}: there is no such file")
        self._path = path
        self.skipped = 0

    async def find(self, wanted: TraceFilter) -> list[TraceRecord]:
        """The records that match, the latest first."""
        matching = (record for record in self._records() if wanted.matches(record))
        return heapq.nlargest(wanted.limit, matching, key=lambda record: record.started_at)

    async def get(self, identifier: str) -> list[TraceRecord]:
        """Records by id, beginning of an id, or message id."""
        return [record for record in self._records() if _is_called(record, identifier)]

    async def aclose(self) -> None:
        """Nothing is kept open."""

    def _records(self) -> Iterator[TraceRecord]:
        self.skipped = 0
        seen: set[str] = set()
        for path in rotated_files(self._path):
            with path.open("rb") as lines:
                for line in lines:
                    try:
                        record = decode_record(line)
                    except msgspec.MsgspecError:
                        self.skipped += bool(line.strip())
                        continue
                    # A batch that was tried again may stand there twice.
                    if record.id not in seen:
                        seen.add(record.id)
                        yield record


class SqlReader:
    """Reads the table of `SqlSink`; changes nothing in the database."""

    def __init__(self, address: str | Path) -> None:
        from .sql import database_url

        self.skipped = 0
        self._url = database_url(address)
        self._engine: AsyncEngine | None = None
        file = self._url.database
        if self._url.get_backend_name() == "sqlite" and not Path(file or "").is_file():
            raise ConfigError(f"no traces at {file}: there is no such file")

    async def find(self, wanted: TraceFilter) -> list[TraceRecord]:
        """The records that match, the latest first."""
        return await self._read(_query(wanted))

    async def get(self, identifier: str) -> list[TraceRecord]:
        """Records by id, beginning of an id, or message id."""
        from sqlalchemy import or_, select

        from .sql_schema import TRACES

        begin = identifier if identifier.startswith("trace-") else f"trace-{identifier}"
        same = TRACES.c.message_id == identifier
        query = select(TRACES.c.record).where(
            or_(TRACES.c.id.startswith(begin, autoescape=True), same)
        )
        return await self._read(query.limit(_LIKELY_ENOUGH))

    async def aclose(self) -> None:
        """Close the connection."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    async def _read(self, query: Select[tuple[Any]]) -> list[TraceRecord]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            rows = await self._fetch(query)
        except (OSError, SQLAlchemyError) as error:
            line = str(error).splitlines()[0]
            raise ConfigError(f"cannot read traces from {self._shown()}: {line}") from error
        found = []
        for row in rows:
            try:
                found.append(decode_record(row))
            except msgspec.MsgspecError:
                self.skipped += 1
        return found

    async def _fetch(self, query: Select[tuple[Any]]) -> list[str]:
        from .sql import make_engine
        from .sql_schema import check_version, find_version

        if self._engine is None:
            self._engine = make_engine(self._url, writing=False)
        async with self._engine.connect() as connection:
            version = await connection.run_sync(find_version)
            if version is None:
                raise ConfigError(f"no traces at {self._shown()}: the database has none")
            check_version(version)
            return list((await connection.execute(query)).scalars())

    def _shown(self) -> str:
        return self._url.render_as_string(hide_password=True)


def _query(wanted: TraceFilter) -> Select[tuple[Any]]:
    from sqlalchemy import or_, select

    from .sql_schema import TRACES

    columns = TRACES.c
    query = select(columns.record)
    if wanted.models:
        query = query.where(or_(*(_like(columns.model, name) for name in wanted.models)))
    if wanted.providers:
        query = query.where(columns.provider.in_(wanted.providers))
    if wanted.outcomes:
        query = query.where(columns.outcome.in_(wanted.outcomes))
    if wanted.since is not None:
        query = query.where(columns.started_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(columns.started_at < wanted.until)
    if wanted.slower_than_s is not None:
        query = query.where(columns.ttft_s > wanted.slower_than_s)
    if wanted.run_id is not None:
        query = query.where(columns.run_id == wanted.run_id)
    return query.order_by(columns.started_at.desc()).limit(wanted.limit)


def _like(column: Any, name: str) -> Any:
    if "*" not in name:
        return column == name
    pattern = name.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_").replace("*", "%")
    return column.like(pattern, escape="\\")


def _is_called(record: TraceRecord, identifier: str) -> bool:
    return record.ids.message_id == identifier or record.id.removeprefix("trace-").startswith(
        identifier.removeprefix("trace-")
    )
