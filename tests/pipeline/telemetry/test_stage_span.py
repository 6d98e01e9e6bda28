"""Stage spans: made afterwards from integers, children of the request span, no GenAI names."""

from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.trace import SpanKind, StatusCode

from tests.pipeline.telemetry.conftest import Memory, MemoryFactory
from tests.pipeline.telemetry.factory import (
    STAGES,
    TIMINGS,
    at,
    run_record,
    wall,
)
from tokenline.errors import StageFailedError
from tokenline.record import AttemptRecord, Outcome, RunRecord


def run(made: Memory, record: RunRecord | None = None) -> None:
    record = record or run_record()
    made.telemetry.start(record.info).end(record)


def stage_names(made: Memory) -> list[str]:
    return [span.name for span in made.spans() if span.name.startswith("stage ")]


def test_children_of_the_request_span_in_flow_order(memory: MemoryFactory) -> None:
    made = memory()
    run(made)
    root, *stages = made.spans()
    assert root.name == "chat gpt-test"
    assert [span.name for span in stages] == ["stage source", "stage parser", "stage consumer"]
    assert root.context is not None
    for span in stages:
        assert span.parent is not None
        assert span.parent.span_id == root.context.span_id
        assert span.context is not None
        assert span.context.trace_id == root.context.trace_id
        assert span.kind is SpanKind.INTERNAL


def test_times_are_those_of_the_stages(memory: MemoryFactory) -> None:
    made = memory()
    run(made)
    root = made.span("chat gpt-test")
    source, parser = made.span("stage source"), made.span("stage parser")
    consumer = made.span("stage consumer")
    assert (source.start_time, source.end_time) == (wall(10), wall(1900))
    assert (parser.start_time, parser.end_time) == (wall(409), wall(1901))
    assert root.start_time is not None
    assert root.end_time is not None
    for span in (source, parser):
        assert span.start_time is not None
        assert span.end_time is not None
        assert root.start_time <= span.start_time <= span.end_time <= root.end_time
    # The request is over when the response is; its reader may take longer.
    assert consumer.end_time == wall(2100)


def test_attributes(memory: MemoryFactory) -> None:
    made = memory(aliases=frozenset())
    run(made)
    assert dict(made.span("stage consumer").attributes or {}) == {
        "tokenline.stage.name": "consumer",
        "tokenline.stage.kind": "consumer",
        "tokenline.stage.index": 2,
        "tokenline.stage.items.in": 41,
        "tokenline.stage.items.out": 41,
        "tokenline.stage.batches": 40,
        "tokenline.stage.batches.queued": 40,
        "tokenline.stage.dropped": 3,
        "tokenline.stage.time.processing": 0.1,
        "tokenline.stage.time.queue_wait": 0.012,
        "tokenline.stage.time.blocked": 0.0,
        "tokenline.stage.time.idle": 0.0,
        "tokenline.stage.latency.first_item": 0.001,
        "tokenline.stage.latency.max": 0.005,
        "tokenline.stage.queue.capacity": 256,
        "tokenline.stage.queue.capacity_bytes": 1 << 20,
        "tokenline.stage.queue.high_water_mark": 9,
        "tokenline.stage.queue.high_water_mark_bytes": 900,
    }


def test_nothing_a_back_end_could_take_for_a_request(memory: MemoryFactory) -> None:
    made = memory()
    run(made)
    for name in stage_names(made):
        found = made.span(name).attributes or {}
        assert not [key for key in found if key.startswith("gen_ai.")]
        assert found["openinference.span.kind"] == "CHAIN"


def test_stage_without_inbox_has_no_queue(memory: MemoryFactory) -> None:
    made = memory()
    run(made)
    found = made.span("stage parser").attributes or {}
    assert not [key for key in found if key.startswith("tokenline.stage.queue.")]


def test_queue_that_nothing_went_through_has_no_bounds(memory: MemoryFactory) -> None:
    made = memory()
    run(made, run_record(stages=(replace(STAGES[2], queued_batches=0, high_water_items=0),)))
    found = made.span("stage consumer").attributes or {}
    queue = {key: value for key, value in found.items() if "queue." in key}
    assert queue == {"tokenline.stage.queue.high_water_mark": 0}


TRIES = (
    AttemptRecord("", "openai", at(10), at(300), Outcome.ERROR, "OverloadedError", committed=False),
    AttemptRecord("backup", "anthropic", at(310), at(2000), Outcome.OK, None, committed=True),
)


def test_attempts_are_spans_where_there_was_more_than_one(memory: MemoryFactory) -> None:
    made = memory()
    run(made, run_record(attempt_records=TRIES, attempts=2, route="backup"))
    root = made.span("chat gpt-test")
    first, second = made.span("attempt 1"), made.span("attempt 2")
    assert (first.start_time, first.end_time) == (wall(10), wall(300))
    assert first.status.status_code is StatusCode.ERROR
    assert (first.attributes or {})["error.type"] == "OverloadedError"
    assert second.status.status_code is StatusCode.UNSET
    assert dict(second.attributes or {}) == {
        "tokenline.attempt.route": "backup",
        "tokenline.attempt.provider": "anthropic",
        "tokenline.attempt.outcome": "ok",
        "tokenline.attempt.committed": True,
        "openinference.span.kind": "CHAIN",
    }
    assert (root.attributes or {})["gen_ai.provider.name"] == "anthropic"
    assert (root.attributes or {})["tokenline.route"] == "backup"


def test_a_single_attempt_is_the_request_itself(memory: MemoryFactory) -> None:
    made = memory()
    run(made, run_record(attempt_records=TRIES[1:]))
    assert not [span for span in made.spans() if span.name.startswith("attempt")]


def test_failed_stage_is_marked_and_no_other(memory: MemoryFactory) -> None:
    made = memory()
    error = StageFailedError("parser failed", stage="parser")
    run(made, run_record(outcome=Outcome.ERROR, error=error))
    assert made.span("stage parser").status.status_code is StatusCode.ERROR
    assert (made.span("stage parser").attributes or {})["error.type"] == "StageFailedError"
    assert made.span("stage source").status.status_code is StatusCode.UNSET


def test_stage_that_ended_before_it_started_has_no_length(memory: MemoryFactory) -> None:
    made = memory()
    run(made, run_record(stages=(replace(STAGES[0], ended_ns=0),)))
    span = made.span("stage source")
    assert span.start_time == span.end_time


SLOW_FIRST = replace(TIMINGS, first_token_ns=at(3010), ended_ns=at(4000))
SLOW_END = replace(TIMINGS, ended_ns=at(31_000))


class TestDetail:
    @pytest.mark.parametrize(
        ("changes", "wanted"),
        [
            pytest.param({}, False, id="well and quick"),
            pytest.param({"timings": SLOW_FIRST}, True, id="slow to the first token"),
            pytest.param({"timings": SLOW_END}, True, id="long"),
            pytest.param({"outcome": Outcome.CANCELLED}, True, id="cancelled"),
        ],
    )
    def test_slow_or_error(
        self, memory: MemoryFactory, changes: dict[str, Any], wanted: bool
    ) -> None:
        made = memory(stages="slow_or_error")
        run(made, run_record(**changes))
        assert bool(stage_names(made)) is wanted

    def test_sample(self, memory: MemoryFactory) -> None:
        made = memory(stages="sample", sample_every=4)
        for _ in range(8):
            run(made)
        assert len(stage_names(made)) == 2 * len(STAGES)

    @pytest.mark.parametrize("stages", ["off", "attributes"])
    def test_no_spans(self, memory: MemoryFactory, stages: str) -> None:
        made = memory(stages=stages)
        run(made)
        assert [span.name for span in made.spans()] == ["chat gpt-test"]
