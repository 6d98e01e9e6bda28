"""Files with one record a line."""

import asyncio
import multiprocessing
from collections.abc import Sequence
from pathlib import Path

import pytest

from tokenline.errors import ConfigError
from tokenline_stages.traces import JsonlSink, Trace, TraceFilter, TraceRecord, open_reader
from tokenline_stages.traces.cleaning import Rules
from tokenline_stages.traces.making import make_trace
from tokenline_stages.traces.options import TraceOptions
from tokenline_stages.traces.taking import take

from .sinks import run


def trace(number: int = 0) -> Trace:
    return make_trace(take(run(number), True), TraceOptions(), Rules(), None)


def write(sink: JsonlSink, *batches: Sequence[Trace]) -> None:
    async def work() -> None:
        await sink.open()
        for batch in batches:
            await sink.write(batch)
        await sink.flush()
        await sink.aclose()

    asyncio.run(work())


def read(path: Path) -> tuple[list[TraceRecord], int]:
    async def work() -> tuple[list[TraceRecord], int]:
        reader = open_reader(path)
        found = await reader.find(TraceFilter(limit=1000))
        return found, reader.skipped

    return asyncio.run(work())


def test_one_record_a_line_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "traces.jsonl"
    traces = [trace(i) for i in range(5)]
    write(JsonlSink(path), traces[:2], traces[2:])
    assert path.read_bytes() == b"".join(each.json + b"\n" for each in traces)
    assert path.stat().st_mode & 0o077 == 0


def test_a_file_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    write(JsonlSink(path), [trace(1)])
    write(JsonlSink(path), [trace(2)])
    assert len(read(path)[0]) == 2


def test_rotation_keeps_so_many_files(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    write(JsonlSink(path, rotate_bytes=1, keep_files=2), *([trace(i)] for i in range(5)))
    names = sorted(file.name for file in tmp_path.iterdir())
    assert names == ["traces.jsonl", "traces.jsonl.1", "traces.jsonl.2"]
    found, _ = read(path)
    assert {record.ids.message_id for record in found} == {"message-3", "message-4"}


def test_a_torn_line_spoils_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    first, second = trace(1), trace(2)
    path.write_bytes(first.json + b"\n" + second.json[:100])
    write(JsonlSink(path), [second])
    found, skipped = read(path)
    assert {record.ids.message_id for record in found} == {"message-1", "message-2"}
    assert skipped == 1


def test_a_batch_written_twice_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    batch = [trace(1)]
    write(JsonlSink(path), batch, batch)
    assert len(read(path)[0]) == 1


def _write_many(path: Path, first: int) -> None:
    write(JsonlSink(path), *([trace(i), trace(i + 1)] for i in range(first, first + 20, 2)))


def test_processes_may_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "traces.jsonl"
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_write_many, args=(path, 20))
    other.start()
    _write_many(path, 0)
    other.join()
    found, skipped = read(path)
    assert (len(found), skipped) == (40, 0)


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write(JsonlSink(tmp_path / "file" / "traces.jsonl"), [trace()])


@pytest.mark.parametrize("options", [{"rotate_bytes": 0}, {"keep_files": 0}])
def test_senseless_rotation(options: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        JsonlSink(tmp_path / "t.jsonl", **options)
