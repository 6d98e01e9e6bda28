"""Token counts of runs whose server reports none: when they are made and where they show."""

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from tests.pipeline.lines import TEXT, builder, reads
from tokenline import estimate
from tokenline.errors import MalformedStreamError
from tokenline.events import Usage as Counts
from tokenline.events import UsageUpdate
from tokenline.record import Outcome
from tokenline.result import Result
from tokenline.stage import StageSpec
from tokenline.testing import Pause, ScriptedSource

pytestmark = pytest.mark.anyio

CUT = [*reads(b"one\ntwo\n!\n")]


class Counting:
    """Counts characters; notes which threads counted; waits for `go`."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.go = threading.Event()
        self.go.set()

    def estimate(self, payload: Mapping[str, Any], result: Result) -> Counts:
        self.threads.append(threading.current_thread())
        assert self.go.wait(5)
        return Counts(input_tokens=len(payload), output_tokens=len(result.text))


class Failing:
    def estimate(self, payload: Mapping[str, Any], result: Result) -> Counts:
        raise ValueError("no vocabulary")


async def test_result_and_record_hold_the_count_marked_as_estimate() -> None:
    counting = Counting()
    pipeline = builder(ScriptedSource(reads())).estimate_usage(counting).build()
    async with pipeline.run({"model": "m"}) as run:
        result = await run.result()
    assert result.usage.estimated
    assert (result.usage.input_tokens, result.usage.output_tokens) == (1, len(TEXT))
    assert result.usage.total_tokens == 1 + len(TEXT)
    assert run.record is not None
    assert run.record.usage_estimated
    assert run.record.usage is not None
    assert run.record.usage.output_tokens == len(TEXT)
    assert threading.main_thread() not in counting.threads


async def test_the_stream_does_not_wait_for_the_count() -> None:
    counting = Counting()
    counting.go.clear()
    pipeline = builder(ScriptedSource(reads())).estimate_usage(counting).build()
    async with pipeline.run({}) as run:
        events = [event async for event in run]
        assert events
        assert not run.snapshot().usage.estimated
        assert run.record is None
        counting.go.set()
        assert (await run.result()).usage.estimated
    assert run.record is not None
    assert run.record.usage_estimated


async def test_leaving_right_after_the_end_still_counts() -> None:
    pipeline = builder(ScriptedSource(reads())).estimate_usage(Counting()).build()
    async with pipeline.run({}) as run:
        async for _ in run:
            pass
    assert run.record is not None
    assert run.record.usage_estimated
    assert run.outcome is Outcome.OK


async def test_a_failed_run_counts_what_had_arrived() -> None:
    pipeline = builder(ScriptedSource(CUT)).estimate_usage(Counting()).build()
    async with pipeline.run({}) as run:
        with pytest.raises(MalformedStreamError):
            await run.result()
    assert run.record is not None
    assert run.record.usage is not None
    assert run.record.usage.output_tokens == len("one two ")
    assert run.outcome is Outcome.ERROR


async def test_a_cancelled_run_is_closed_at_once() -> None:
    pause, counting = Pause(), Counting()
    pipeline = builder(ScriptedSource([b"one\n", pause])).estimate_usage(counting).build()
    async with pipeline.run({}) as run:
        await anext(run)
        run.cancel()
        assert run.record is not None
        assert run.record.usage is None
    assert counting.threads == []


async def test_cancelling_while_counting_closes_without_the_count() -> None:
    counting = Counting()
    counting.go.clear()
    pipeline = builder(ScriptedSource(reads())).estimate_usage(counting).build()
    async with pipeline.run({}) as run:
        async for _ in run:
            pass
        run.cancel()
        assert run.record is not None
        assert run.record.usage is None
        assert run.outcome is Outcome.OK
    counting.go.set()


async def test_a_failing_counter_leaves_usage_unknown(caplog: pytest.LogCaptureFixture) -> None:
    pipeline = builder(ScriptedSource(reads())).estimate_usage(Failing()).build()
    with caplog.at_level(logging.WARNING, "tokenline"):
        async with pipeline.run({}) as run:
            result = await run.result()
    assert result.usage.output_tokens is None
    assert run.record is not None
    assert run.record.usage is None
    assert "no vocabulary" in caplog.text


async def test_a_hanging_counter_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(estimate, "TIMEOUT_S", 0.02)
    counting = Counting()
    counting.go.clear()
    pipeline = builder(ScriptedSource(reads())).estimate_usage(counting).build()
    async with asyncio.timeout(2), pipeline.run({}) as run:
        assert not (await run.result()).usage.estimated
    assert run.record is not None
    assert "token counter" in caplog.text
    counting.go.set()


async def test_reported_usage_is_left_alone() -> None:
    class Reporting:
        def feed(self, items: Any, recv_ns: int, out: list[Any]) -> None:
            out.extend(items)
            if items[0].seq == 0:
                usage = Counts(input_tokens=7, output_tokens=0)
                out.insert(1, UsageUpdate(0, recv_ns, items[0].message_id, usage))

        def finish(self, recv_ns: int, out: list[Any]) -> None:
            return

    counting = Counting()
    stage = StageSpec("usage", Any, Any, lambda context: Reporting())
    pipeline = builder(ScriptedSource(reads())).then(stage).estimate_usage(counting).build()
    async with pipeline.run({}) as run:
        usage = (await run.result()).usage
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (7, 0, False)
    assert counting.threads == []


def test_editing_a_pipeline_keeps_the_counter() -> None:
    counting = Counting()
    pipeline = builder(ScriptedSource(reads())).estimate_usage(counting).build()
    assert pipeline.edit().build().usage_estimator is counting
