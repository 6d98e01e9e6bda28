"""Records in SQLite and in a real PostgreSQL."""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import func, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError
from tests.pipeline.lines import TEXT, builder, reads
from tests.pipeline.telemetry.factory import run_info, run_record

from tokenline.errors import ConfigError
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import ScriptedSource
from tokenline_stages.trace_emitter import TraceEmitter
from tokenline_stages.traces import (
    SqlSink,
    Trace,
    TraceOptions,
    TracesRejectedError,
    TraceStore,
    decode_record,
)
from tokenline_stages.traces.cleaning import Rules
from tokenline_stages.traces.making import make_trace
from tokenline_stages.traces.sql import database_url, make_engine
from tokenline_stages.traces.sql_schema import SCHEMA, TRACES, VERSION
from tokenline_stages.traces.taking import take

from .postgresql import PostgreSQL
from .sinks import run, written

MANY = 10_000


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)],
)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/traces.db"
        return
    server: PostgreSQL = request.getfixturevalue("postgresql")
    yield server.url
    server.empty()


def fetch(url: str, *statements: Any) -> list[Any]:
    """Rows of the last statement."""

    async def work() -> list[Any]:
        engine = make_engine(database_url(url))
        try:
            async with engine.begin() as connection:
                for statement in statements:
                    result = await connection.execute(statement)
                return list(result) if result.returns_rows else []
        finally:
            await engine.dispose()

    return asyncio.run(work())


def trace(number: int = 0, **changes: Any) -> Trace:
    return make_trace(take(run(number, **changes), True), TraceOptions(), Rules(), None)


def write(url: str, *batches: list[Trace]) -> None:
    async def work() -> None:
        sink = SqlSink(url)
        try:
            await sink.open()
            for batch in batches:
                await sink.write(batch)
            await sink.flush()
        finally:
            await sink.aclose()

    asyncio.run(work())


def test_tables_and_indexes_are_made_and_versioned(url: str) -> None:
    write(url)
    write(url)
    assert fetch(url, select(SCHEMA.c.version)) == [(VERSION,)]

    async def indexes() -> set[str | None]:
        engine = make_engine(database_url(url))
        async with engine.connect() as connection:
            found = await connection.run_sync(lambda sync: inspect(sync).get_indexes(TRACES.name))
        await engine.dispose()
        return {index["name"] for index in found}

    wanted = {f"tokenline_traces_{name}" for name in ("started_at", "model", "outcome", "ttft")}
    assert wanted <= asyncio.run(indexes())


def test_tables_of_the_future_are_refused(url: str) -> None:
    write(url)
    fetch(url, SCHEMA.update().values(version=VERSION + 1))
    with pytest.raises(ConfigError, match="upgrade tokenline"):
        write(url, [trace()])


def test_two_may_make_the_tables_at_once(url: str) -> None:
    async def both() -> None:
        sinks = [SqlSink(url) for _ in range(4)]
        await asyncio.gather(*(sink.open() for sink in sinks))
        await asyncio.gather(*(sink.aclose() for sink in sinks))

    asyncio.run(both())
    assert fetch(url, select(SCHEMA.c.version)) == [(VERSION,)]


def test_a_row_has_what_is_looked_for(url: str) -> None:
    tags = {"run_id": "r", "step_id": "s", "user_id": "u"}
    made = make_trace(take(run_record(run_info(tags=tags)), True), TraceOptions(), Rules(), None)
    write(url, [made])
    (row,) = fetch(url, select(TRACES))
    assert decode_record(row.record) == decode_record(made.json)
    assert (row.id, row.message_id, row.response_id) == (made.record.id, "msg_1", "resp_1")
    assert (row.run_id, row.step_id, row.actor_id, row.user_id) == ("r", "s", None, "u")
    assert (row.provider, row.api, row.model) == ("openai", "openai.chat", "gpt-test-2026")
    assert (row.outcome, row.error_type, row.attempts) == ("ok", None, 1)
    assert (row.input_tokens, row.output_tokens, row.usage_estimated) == (100, 51, False)
    assert row.ttft_s == pytest.approx(0.5)
    assert row.duration_s == pytest.approx(1.99)
    assert row.started_at.replace(tzinfo=None) == made.record.started_at.replace(tzinfo=None)


def test_a_batch_given_twice_is_stored_once(url: str) -> None:
    batch = [trace(1), trace(2)]
    write(url, batch, batch)
    assert fetch(url, select(func.count()).select_from(TRACES)) == [(2,)]


@pytest.mark.parametrize("odd", ["nul \0 here", "quote ' \" \\ $1 %s :x", "emoji 😀 \u2028 é"])
def test_odd_texts_come_back(url: str, odd: str) -> None:
    made = make_trace(
        take(run_record(run_info(message_id=odd, payload={"x": odd})), True),
        TraceOptions(),
        Rules(),
        None,
    )
    write(url, [made])
    ((message_id, record),) = fetch(url, select(TRACES.c.message_id, TRACES.c.record))
    assert message_id == odd.replace("\0", "\ufffd")
    assert decode_record(record).request == {"x": odd}


def test_a_row_that_the_database_refuses_costs_no_other(url: str) -> None:
    good, bad = trace(1), trace(2)
    assert bad.record.usage is not None
    usage = replace(bad.record.usage, input_tokens=1 << 70)
    bad = replace(bad, record=replace(bad.record, usage=usage))
    with pytest.raises(TracesRejectedError) as caught:
        write(url, [good, bad, trace(3)])
    assert caught.value.count == 1
    found = {row.message_id for row in fetch(url, select(TRACES.c.message_id))}
    assert found == {"message-1", "message-3"}


def test_errors_show_no_data_and_no_password(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/traces.db"
    write(url)
    fetch(url, text("DROP TABLE tokenline_traces"), text("CREATE TABLE tokenline_traces (id TEXT)"))

    async def fail() -> None:
        engine = make_engine(database_url(url))
        try:
            async with engine.begin() as connection:
                row = {"id": "private", "started_at": None, "record": "private"}
                await connection.execute(insert(TRACES), row)
        finally:
            await engine.dispose()

    with pytest.raises(DBAPIError) as caught:
        asyncio.run(fail())
    assert "private" not in str(caught.value)
    assert "hunter22" not in SqlSink("postgresql://me:hunter22@host/db").name


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "traces.db"
    write(str(path), [trace()])
    assert path.stat().st_mode & 0o077 == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


@pytest.mark.parametrize(
    ("address", "drivername"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("x.db", "sqlite+aiosqlite"),
        (Path("x.db"), "sqlite+aiosqlite"),
        ("postgres://h/d", "postgresql+asyncpg"),
        ("postgresql://h/d", "postgresql+asyncpg"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg"),
    ],
)
def test_addresses(address: str | Path, drivername: str) -> None:
    assert database_url(address).drivername == drivername


@pytest.mark.parametrize(
    "address",
    [
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://h/d",
        "sqlite+pysqlite:///x",
        "://",
        "postgresql://h:x/d",
    ],
)
def test_other_addresses(address: str) -> None:
    with pytest.raises(ConfigError):
        database_url(address)


def test_ten_thousand_traces_at_once_are_all_there(url: str) -> None:
    store = TraceStore(SqlSink(url))
    store.prepare()

    def record(first: int) -> None:
        for i in range(first, first + MANY // 4):
            store(run(i))

    threads = [threading.Thread(target=record, args=(i * MANY // 4,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.close(60)
    assert written(store) == [MANY]
    assert store.stats.dropped == {}
    distinct = func.count(TRACES.c.message_id.distinct())
    assert fetch(url, select(func.count(), distinct).select_from(TRACES)) == [(MANY, MANY)]


async def _stream(store: TraceStore, runs: int) -> None:
    pipeline = builder(ScriptedSource(reads())).trace(TraceEmitter(NoTelemetry(), store)).build()

    async def one() -> None:
        async with pipeline.run({"model": "m"}) as running:
            assert (await running.result()).text == TEXT

    await asyncio.gather(*(one() for _ in range(runs)))


def test_concurrent_runs_are_all_there(url: str) -> None:
    store = TraceStore(SqlSink(url))
    asyncio.run(_stream(store, 500))
    assert store.close(30)
    assert fetch(url, select(TRACES.c.outcome, func.count()).group_by(TRACES.c.outcome)) == [
        ("ok", 500)
    ]


@pytest.mark.server
def test_a_database_that_comes_back_gets_everything(postgresql: PostgreSQL) -> None:
    store = TraceStore(SqlSink(postgresql.url))
    store.prepare()
    for i in range(100):
        store(run(i))
    assert store.flush(10)
    postgresql.stop()
    for i in range(100, 200):
        store(run(i))
    assert not store.flush(0.3)
    postgresql.restart()
    for i in range(200, 300):
        store(run(i))
    assert store.close(20)
    count = select(func.count(TRACES.c.message_id.distinct()))
    assert fetch(postgresql.url, count) == [(300,)]
    assert written(store) == [300]
    postgresql.empty()


@pytest.mark.server
def test_a_wrong_password_is_told_without_it(
    postgresql: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"postgresql://nobody:hunter22@127.0.0.1:{postgresql.port}/missing"
    store = TraceStore(SqlSink(url), options=TraceOptions(retry_s=0.0))
    store.prepare()
    store(run(1))
    from_s = time.monotonic()
    assert store.flush(10)
    assert store.close(5)
    assert time.monotonic() - from_s < 5
    assert store.stats.sinks[0].dropped == {"gave_up": 1}
    assert "hunter22" not in caplog.text
    assert os.environ.get("PGPASSWORD") is None
