"""Tables of the SQL sink. Schema version 1; `tokenline_schema` says which version a database has.

`tokenline_traces` has one row for each record: the whole record as JSON text in `record`, and
columns for what is looked for. Times are UTC.
"""

from __future__ import annotations

from datetime import UTC
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    inspect,
    select,
    text,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from tokenline.errors import ConfigError

from .record import ID_TAGS, Trace

VERSION = 1
_LOCK = 7_230_415_186
"""Advisory lock that keeps two processes from making the tables at once (PostgreSQL)."""

_metadata = MetaData()

SCHEMA = Table("tokenline_schema", _metadata, Column("version", Integer, primary_key=True))

TRACES = Table(
    "tokenline_traces",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("response_id", Text),
    Column("trace_id", Text),
    Column("span_id", Text),
    *(Column(name, Text) for name in ID_TAGS),
    Column("provider", Text, nullable=False),
    Column("api", Text, nullable=False),
    Column("model", Text),
    Column("outcome", Text, nullable=False),
    Column("error_type", Text),
    Column("finish_reason", Text),
    Column("ttft_s", Float),
    Column("duration_s", Float),
    Column("input_tokens", BigInteger),
    Column("output_tokens", BigInteger),
    Column("usage_estimated", Boolean),
    Column("attempts", Integer),
    Column("record", Text, nullable=False),
    Index("tokenline_traces_started_at", "started_at"),
    Index("tokenline_traces_model", "model", "started_at"),
    Index("tokenline_traces_outcome", "outcome", "started_at"),
    Index("tokenline_traces_ttft", "ttft_s"),
    Index("tokenline_traces_message_id", "message_id"),
    Index("tokenline_traces_run_id", "run_id"),
)


def prepare_schema(connection: Connection) -> None:
    """Make the tables that are missing.

    Raises:
        ConfigError: a newer version of tokenline made them.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    # Not create_all: it looks first and creates then, and another process may come in between.
    for table in (SCHEMA, TRACES):
        connection.execute(CreateTable(table, if_not_exists=True))
        for index in table.indexes:
            connection.execute(CreateIndex(index, if_not_exists=True))
    found = connection.execute(select(SCHEMA.c.version)).scalar()
    if found is None:
        row = insert_for(connection.dialect.name, SCHEMA).values(version=VERSION)
        connection.execute(row)
    check_version(found)


def insert_for(dialect: str, table: Table) -> Any:
    """An INSERT that leaves rows with the same key as they are."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as insert_in_postgresql

        return insert_in_postgresql(table).on_conflict_do_nothing()
    from sqlalchemy.dialects.sqlite import insert as insert_in_sqlite

    return insert_in_sqlite(table).on_conflict_do_nothing()


def check_version(found: int | None) -> None:
    """Refuse a schema of the future."""
    if found is not None and found > VERSION:
        raise ConfigError(
            f"the trace tables have version {found}, this tokenline knows up to {VERSION};"
            " upgrade tokenline or use another database"
        )


def find_version(connection: Connection) -> int | None:
    """The version of the tables that are there; None without tables."""
    if not inspect(connection).has_table(SCHEMA.name):
        return None
    found: int | None = connection.execute(select(SCHEMA.c.version)).scalar()
    return found


def row_of(trace: Trace) -> dict[str, Any]:
    """The row of a record."""
    record, usage, ids = trace.record, trace.record.usage, trace.record.ids
    row: dict[str, Any] = {
        "id": record.id,
        "started_at": record.started_at.astimezone(UTC),
        "message_id": ids.message_id,
        "response_id": ids.response_id,
        "trace_id": ids.trace_id,
        "span_id": ids.span_id,
        "provider": record.provider,
        "api": record.api,
        "model": record.model,
        "outcome": record.outcome,
        "error_type": record.error and record.error.type,
        "finish_reason": record.response.finish_reason,
        "ttft_s": record.timings.time_to_first_token_s,
        "duration_s": record.timings.duration_s,
        "input_tokens": usage and usage.input_tokens,
        "output_tokens": usage and usage.output_tokens,
        "usage_estimated": usage and usage.estimated,
        "attempts": record.attempts,
        "record": trace.json.decode(),
    }
    for name in ID_TAGS:
        row[name] = getattr(ids, name)
    # PostgreSQL keeps no NUL in text; inside the JSON it is escaped.
    return {name: _without_nul(value) for name, value in row.items()}


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if type(value) is str and "\0" in value else value
