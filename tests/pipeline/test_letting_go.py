"""A closed run goes at once: the garbage collector, which holds up every stream, finds nothing."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.pipeline.lines import BODY, TEXT, builder, reads
from tests.pipeline.live_source import LiveSource
from tokenline.errors import StreamError
from tokenline.events import TextDelta
from tokenline.options import Execution, RunOptions
from tokenline.policy import RetryPolicy
from tokenline.result import Outcome
from tokenline.run import Run
from tokenline.testing import Pause, ScriptedSource, settle

pytestmark = pytest.mark.anyio

executions = pytest.mark.parametrize("execution", list(Execution), ids=str)


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def repeated(execution: Execution, *script: Any) -> Any:
    options = RunOptions(execution=execution, retry=RetryPolicy(attempts=2))
    source = ScriptedSource(list(script) or reads(BODY))
    return builder(source, execution).options(options).build()


def insides(run: Run) -> list[weakref.ref[Any]]:
    core = run._core
    return [weakref.ref(core), weakref.ref(core._branches), weakref.ref(core._attempts.current)]


async def gone(found: list[weakref.ref[Any]]) -> bool:
    for _ in range(3):  # callbacks of tasks that ended, and the loop's last handle
        await asyncio.sleep(0)
    return all(made() is None for made in found)


@executions
async def test_a_run_that_was_read_to_its_end(execution: Execution) -> None:
    async with repeated(execution).run({}) as run:
        text = "".join([event.text async for event in run if isinstance(event, TextDelta)])
        result = await run.result()
    assert text == result.text == TEXT
    found = insides(run)
    assert run.snapshot().text == TEXT  # what it brought outlives what made it
    assert run.timings.first_token_ns is not None
    assert run.outcome is Outcome.OK
    del run
    assert await gone(found)


@executions
async def test_a_run_that_was_left_early(execution: Execution) -> None:
    async with repeated(execution, b"one\n", Pause()).run({}) as run:
        await anext(aiter(run))
    found = insides(run)
    run.cancel()  # late calls find nobody, and do no harm
    await run.aclose()
    assert run.outcome is Outcome.CANCELLED
    del run
    assert await gone(found)


@pytest.mark.parametrize("pushes", [False, True])
@pytest.mark.parametrize("way", ["left", "raised"])
async def test_a_run_that_its_reading_task_left(way: str, pushes: bool) -> None:
    """The task, and the error that it keeps, lead back to the run; the run must not to them."""
    source = LiveSource(pushes=pushes)
    source.headers.set()
    pipeline = builder(source).build()
    found: list[weakref.ref[Any]] = []

    async def read() -> None:
        async with pipeline.run({}) as run:
            found.extend(insides(run))
            async for _ in run:
                if way == "raised":
                    raise ValueError
                return

    reading = asyncio.create_task(read())
    await settle()
    source.stream.send(b"one\n")
    await asyncio.wait([reading])
    assert isinstance(reading.exception(), ValueError) is (way == "raised")
    del reading
    assert await gone(found)


@executions
async def test_a_run_that_failed(execution: Execution) -> None:
    failure = None
    async with repeated(execution, b"one\n!\n").run({}) as run:
        try:
            async for _ in run:
                pass
        except StreamError as error:
            failure = error.partial
    assert failure is not None
    assert run.outcome is Outcome.ERROR
