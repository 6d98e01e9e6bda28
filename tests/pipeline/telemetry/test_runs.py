"""Real runs, every way to end one, many at a time: one request span each, nothing left behind."""

import asyncio
import gc
import logging
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from tests.pipeline.lines import BODY, builder, reads
from tests.pipeline.telemetry.conftest import Collector, Memory, MemoryFactory
from tokenline.errors import RunCancelledError, StreamCutError
from tokenline.pipeline import Pipeline
from tokenline.testing import Pause, ScriptedSource
from tokenline.testing.source import Script

pytestmark = pytest.mark.anyio

CONCURRENT = 100


def pipeline_of(made: Memory, script: Script) -> Pipeline:
    return builder(ScriptedSource(script)).trace(made.telemetry).build()


async def read_all(pipeline: Pipeline) -> None:
    async with pipeline.run({"model": "m"}) as run:
        async for _ in run:
            pass


async def end(made: Memory) -> None:
    await read_all(pipeline_of(made, reads()))


async def error(made: Memory) -> None:
    with pytest.raises(StreamCutError):
        await read_all(pipeline_of(made, [b"a\n", StreamCutError("cut")]))


async def leave_early(made: Memory) -> None:
    async with pipeline_of(made, [b"a\n", Pause()]).run({"model": "m"}) as run:
        async for _ in run:
            break


async def cancel_elsewhere(made: Memory) -> None:
    pause = Pause()
    async with pipeline_of(made, [b"a\n", pause]).run({"model": "m"}) as run:

        async def read() -> None:
            async for _ in run:
                pass

        reading = asyncio.create_task(read())
        await pause.reached.wait()
        run.cancel()
        with pytest.raises(RunCancelledError):
            await reading


async def cancel_task(made: Memory) -> None:
    pause = Pause()
    reading = asyncio.create_task(read_all(pipeline_of(made, [b"a\n", pause])))
    await pause.reached.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def drop(made: Memory) -> None:
    pause = Pause()
    run = pipeline_of(made, [b"a\n", pause]).run({"model": "m"})
    run.start()
    await pause.reached.wait()
    # No close and no `async with`: the garbage collector finds it.


def check_times(span: ReadableSpan) -> None:
    """A stage neither works nor waits outside its own span."""
    if not span.name.startswith("stage "):
        return
    assert span.start_time is not None
    assert span.end_time is not None
    found = span.attributes or {}
    kinds = ("processing", "blocked", "idle")
    spent_s = sum(float(str(found[f"tokenline.stage.time.{kind}"])) for kind in kinds)
    assert spent_s <= (span.end_time - span.start_time) / 1e9 + 1e-6, span.name


@pytest.mark.parametrize(
    ("leave", "outcome", "status"),
    [
        pytest.param(end, "ok", StatusCode.UNSET, id="end"),
        pytest.param(error, "error", StatusCode.ERROR, id="error"),
        pytest.param(leave_early, "cancelled", StatusCode.UNSET, id="left early"),
        pytest.param(cancel_elsewhere, "cancelled", StatusCode.UNSET, id="cancelled elsewhere"),
        pytest.param(cancel_task, "cancelled", StatusCode.UNSET, id="task cancelled"),
        pytest.param(drop, "abandoned", StatusCode.ERROR, id="dropped"),
    ],
)
async def test_every_end_gives_one_request_span(
    memory: MemoryFactory,
    caplog: pytest.LogCaptureFixture,
    leave: Callable[[Memory], Awaitable[None]],
    outcome: str,
    status: StatusCode,
) -> None:
    made = memory()
    tasks = asyncio.all_tasks()
    with caplog.at_level(logging.DEBUG), made.tracer.start_as_current_span("caller") as caller:
        await asyncio.gather(*(leave(made) for _ in range(CONCURRENT)))
        gc.collect()
        for _ in range(20):
            await asyncio.sleep(0)
    roots = [span for span in made.spans() if span.name == "chat m"]
    assert len(roots) == CONCURRENT
    assert Counter((root.attributes or {})["tokenline.outcome"] for root in roots) == {
        outcome: CONCURRENT
    }
    assert {root.status.status_code for root in roots} == {status}
    assert {root.parent.span_id for root in roots if root.parent} == {
        caller.get_span_context().span_id
    }
    for span in made.spans():
        check_times(span)
    assert "detach" not in caplog.text.lower()
    assert asyncio.all_tasks() == tasks
    active = made.metrics()["tokenline.streams.active"].data.data_points
    assert [point.value for point in active] == [0]


async def test_stages_fit_inside_the_request(memory: MemoryFactory) -> None:
    made = memory()
    await end(made)
    root = made.span("chat m")
    assert root.start_time is not None
    assert root.end_time is not None
    for name in ("source", "parser", "normalizer", "fan-out", "accumulator"):
        stage = made.span(f"stage {name}")
        assert stage.start_time is not None
        assert stage.end_time is not None
        assert root.start_time <= stage.start_time <= stage.end_time
        if name != "source":  # It closes the stream when the response is complete already.
            assert stage.end_time <= root.end_time
    assert (made.span("stage parser").attributes or {})["tokenline.stage.bytes"] == len(BODY)


SCRIPT = """
import asyncio, os, signal, sys
from tests.pipeline.lines import builder
from tokenline.telemetry import default_telemetry
from tokenline.testing import Pause, ScriptedSource
held = []
async def read(run, left):
    async with run:
        async for _ in run:
            left.release()
async def hold(run, left):
    run.start()
    held.append(run)
    await anext(run)
    left.release()
async def main(use, leave):
    pause, left = Pause(), asyncio.Semaphore(0)
    pipeline = builder(ScriptedSource([b"a\\n", pause])).trace(default_telemetry()).build()
    reading = [asyncio.create_task(use(pipeline.run({"model": "m"}), left)) for _ in range(100)]
    for _ in reading:
        await left.acquire()
    leave()
def exit():
    sys.exit(3)
def fail():
    raise RuntimeError("the program has a mistake")
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
def end():
    pass
asyncio.run(main(globals()[sys.argv[1]], globals()[sys.argv[2]]))
"""


@pytest.mark.parametrize(
    ("use", "leave", "code"),
    [
        pytest.param("read", "exit", 3, id="sys.exit"),
        pytest.param("read", "fail", 1, id="an exception nobody caught"),
        pytest.param("read", "interrupt", -signal.SIGINT, id="Ctrl-C"),
        pytest.param("read", "end", 0, id="the loop ended"),
        pytest.param("hold", "end", 0, id="never closed, still held"),
        pytest.param("hold", "exit", 3, id="never closed, sys.exit"),
    ],
)
def test_end_of_the_process_in_the_middle_of_many_runs(
    collector: Collector,
    no_otel_variables: pytest.MonkeyPatch,
    use: str,
    leave: str,
    code: int,
) -> None:
    no_otel_variables.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, use, leave], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    for noise in ("detach", "destroyed", "never retrieved", "never awaited"):
        assert noise not in done.stderr
    names = [
        span.name
        for export in collector.traces
        for resource in export.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert names.count("chat m") == CONCURRENT
    assert names.count("stage source") == CONCURRENT


async def test_a_loop_that_refuses_the_task_ends_the_span(memory: MemoryFactory) -> None:
    """A task factory from before Python 3.11 takes no context."""
    made = memory()
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(lambda loop, work: asyncio.Task(work, loop=loop))
    try:
        with pytest.raises(TypeError, match="context"):
            await read_all(pipeline_of(made, reads()))
    finally:
        loop.set_task_factory(before)
    assert (made.span("chat m").attributes or {})["error.type"] == "TypeError"
    active = made.metrics()["tokenline.streams.active"].data.data_points
    assert [point.value for point in active] == [0]
