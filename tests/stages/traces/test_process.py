"""What a process leaves behind that never closes its store: everything."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tokenline_stages.traces import TraceFilter, open_reader

_SCRIPT = """
import asyncio, os, sys, warnings
warnings.simplefilter("ignore")
from tests.pipeline.lines import builder, reads
from tokenline.telemetry.hook import NoTelemetry
from tokenline.testing import ScriptedSource
from tokenline_stages.trace_emitter import TraceEmitter
from tokenline_stages.traces import traces

store = traces(*sys.argv[2:])
async def main(number):
    source = ScriptedSource(reads())
    pipeline = builder(source).trace(TraceEmitter(NoTelemetry(), store)).build()
    async with pipeline.run({}, message_id=f"message-{number}") as run:
        await run.result()
asyncio.run(main(1))
if sys.argv[1] == "fork":
    if os.fork() == 0:
        asyncio.run(main(2))
        sys.exit()
    os.wait()
if sys.argv[1] == "raise":
    raise SystemExit(3)
"""


def script(how: str, *targets: Path) -> int:
    folder = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, how, *map(str, targets)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode


def read_ids(path: Path) -> list[str]:
    async def read() -> list[str]:
        reader = open_reader(path)
        try:
            return [record.ids.message_id for record in await reader.find(TraceFilter())]
        finally:
            await reader.aclose()

    return asyncio.run(read())


def test_the_end_of_the_process_loses_nothing(tmp_path: Path) -> None:
    files = (tmp_path / "traces.jsonl", tmp_path / "traces.db")
    assert script("raise", *files) == 3
    assert [read_ids(path) for path in files] == [["message-1"]] * 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_after_a_fork_both_processes_record(tmp_path: Path) -> None:
    files = (tmp_path / "traces.jsonl", tmp_path / "traces.db")
    assert script("fork", *files) == 0
    assert [sorted(read_ids(path)) for path in files] == [["message-1", "message-2"]] * 2
