"""Records are found again by what they were like."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.pipeline.telemetry.factory import ANCHOR_WALL_NS, at, run_info, run_record

from tokenline.errors import ConfigError, ServerError
from tokenline.record import Outcome
from tokenline_stages.traces import (
    TraceFilter,
    TraceOptions,
    TraceReader,
    TraceRecord,
    TraceStore,
    open_reader,
    traces,
)
from tokenline_stages.traces.filters import read_moment
from tokenline_stages.traces.sql import SqlSink

from .postgresql import PostgreSQL

START = datetime.fromtimestamp(ANCHOR_WALL_NS / 1e9, UTC)
MINUTE = timedelta(minutes=1)
MODELS = ("gpt-a", "gpt-b", "claude_c", "claudexc")
OUTCOMES = (Outcome.OK, Outcome.ERROR, Outcome.CANCELLED)


def fill(store: TraceStore) -> None:
    """Twelve runs, one a minute."""
    store.prepare()
    base = run_record()
    for i in range(12):
        outcome = OUTCOMES[i % 3]
        info = run_info(
            message_id=f"message-{i}",
            provider="anthropic" if i % 4 >= 2 else "openai",
            anchor_wall_ns=ANCHOR_WALL_NS + i * 60_000_000_000,
            tags={"run_id": f"run-{i % 2}"},
        )
        timings = base.timings
        if i >= 6:
            timings = replace(timings, first_token_ns=at(10 + 100 * i) if i < 11 else None)
        store(
            run_record(
                info,
                outcome=outcome,
                error=ServerError("down") if outcome is Outcome.ERROR else None,
                response_model=MODELS[i % 4],
                timings=timings,
            )
        )
    assert store.close(10)


@pytest.fixture(
    scope="module", params=["jsonl", "sqlite", pytest.param("postgresql", marks=pytest.mark.server)]
)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Address of a filled store."""
    folder = tmp_path_factory.mktemp("traces")
    server: PostgreSQL | None = None
    address: str | Path = folder / ("traces.jsonl" if request.param == "jsonl" else "traces.db")
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        assert server is not None
        address = server.url
    fill(traces(address))
    yield address
    if server is not None:
        server.empty()


def reading(address: str | Path, work: Any) -> Any:
    async def run() -> Any:
        reader = open_reader(address)
        try:
            return await work(reader)
        finally:
            await reader.aclose()

    return asyncio.run(run())


def numbers(address: str | Path, **wanted: Any) -> list[int]:
    async def find(reader: TraceReader) -> list[TraceRecord]:
        return await reader.find(TraceFilter(**wanted))

    found = reading(address, find)
    return [int(record.ids.message_id.removeprefix("message-")) for record in found]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [*range(11, -1, -1)]),
        ({"limit": 3}, [11, 10, 9]),
        ({"models": ("gpt-a",)}, [8, 4, 0]),
        ({"models": ("gpt-*",)}, [9, 8, 5, 4, 1, 0]),
        ({"models": ("*_c", "gpt-b")}, [10, 9, 6, 5, 2, 1]),
        ({"providers": ("anthropic",)}, [11, 10, 7, 6, 3, 2]),
        ({"outcomes": ("error", "cancelled")}, [11, 10, 8, 7, 5, 4, 2, 1]),
        ({"since": START + 9 * MINUTE}, [11, 10, 9]),
        ({"until": START + 2 * MINUTE}, [1, 0]),
        ({"since": START + 3 * MINUTE, "until": START + 5 * MINUTE}, [4, 3]),
        ({"slower_than_s": 0.75}, [10, 9, 8]),
        ({"run_id": "run-1", "models": ("gpt-*",)}, [9, 5, 1]),
        ({"models": ("none",)}, []),
    ],
)
def test_filters(store: Any, wanted: dict[str, Any], expected: list[int]) -> None:
    assert numbers(store, **wanted) == expected


def test_one_by_id_beginning_or_message_id(store: Any) -> None:
    async def find(reader: TraceReader) -> list[list[TraceRecord]]:
        (record,) = await reader.find(TraceFilter(limit=1))
        names = (record.id, record.id[:14], record.id[6:14], record.ids.message_id)
        return [await reader.get(name) for name in names]

    found = reading(store, find)
    assert [[record.ids.message_id for record in each] for each in found] == [["message-11"]] * 4


@pytest.mark.parametrize("name", ["unknown", "trace-unknown", "%", "trace-_"])
def test_no_such_id(store: Any, name: str) -> None:
    assert reading(store, lambda reader: reader.get(name)) == []


def test_what_is_no_store(tmp_path: Path) -> None:
    for name in ("none.jsonl", "none.db"):
        with pytest.raises(ConfigError, match="no such file"):
            open_reader(tmp_path / name)
        assert not (tmp_path / name).exists()
    (tmp_path / "empty.db").write_bytes(b"")
    with pytest.raises(ConfigError, match="the database has none"):
        numbers(tmp_path / "empty.db")
    (tmp_path / "text.db").write_text("this is no database at all, only a text" * 100)
    with pytest.raises(ConfigError, match="cannot read traces"):
        numbers(tmp_path / "text.db")


def test_reading_a_database_that_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "traces.db"
    store = TraceStore(SqlSink(path), options=TraceOptions(batch_wait_s=0.0))
    store.prepare()
    store(run_record())
    assert store.flush(5)
    assert len(numbers_of(path)) == 1
    store(run_record())
    assert store.flush(5)
    assert len(numbers_of(path)) == 2
    assert store.close(5)


def numbers_of(path: Path) -> list[TraceRecord]:
    async def find(reader: TraceReader) -> list[TraceRecord]:
        return await reader.find(TraceFilter())

    found: list[TraceRecord] = reading(path, find)
    return found


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("1.5h", NOW - timedelta(minutes=90)),
        (" 7d ", NOW - timedelta(days=7)),
        ("30 s", NOW - timedelta(seconds=30)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T14:30", datetime(2026, 11, 22, 14, 30, tzinfo=UTC)),
        ("2026-11-22T14:30+02:00", datetime(2026, 11, 22, 12, 30, tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert read_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "5", "7y", "2026-13-01"])
def test_no_moments(text: str) -> None:
    with pytest.raises(ConfigError, match="is no time"):
        read_moment(text)
