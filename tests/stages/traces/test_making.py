"""From a finished run to its record."""

import json
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from pydantic import BaseModel
from tests.pipeline.telemetry.factory import ANCHOR_WALL_NS, USAGE, run_info, run_record

from tokenline.errors import RateLimitError
from tokenline.events import Usage
from tokenline.record import AttemptRecord, Outcome, RunRecord
from tokenline.redaction import MARK
from tokenline.result import (
    Choice,
    ReasoningPart,
    RefusalPart,
    Result,
    TextPart,
    ToolCall,
)
from tokenline_stages.traces import Trace, TraceOptions, TraceRecord, decode_record
from tokenline_stages.traces.cleaning import Rules
from tokenline_stages.traces.making import make_trace
from tokenline_stages.traces.taking import take, unpack

RESULT = Result(
    message_id="msg_1",
    content=(
        ReasoningPart(part=0, text="Let me think", signature="SIG"),
        TextPart(part=1, text="Hello"),
        ToolCall(
            part=2,
            id="call_1",
            name="search",
            arguments='{"q": "a"}',
            parsed={"q": "a"},
            complete=True,
        ),
        RefusalPart(part=3, text="no"),
    ),
    further_choices=(Choice(index=1, content=(TextPart(text="Hi"),)),),
    raw_finish_reason="stop",
    stop_sequence="END",
)


def make(run: RunRecord, estimator: Any = None, **options: Any) -> TraceRecord:
    chosen = TraceOptions(**options)
    taken = take(run, chosen.content)
    rules = Rules(chosen.redact_keys, chosen.redact_patterns)
    trace: Trace = make_trace(taken, chosen, rules, estimator)
    assert decode_record(trace.json) == decode_record(msgspec.json.encode(trace.record))
    assert len(trace.json) <= chosen.max_record_bytes
    return trace.record


def test_a_record_says_everything_of_a_run() -> None:
    tags = {"run_id": "r", "step_id": "s", "actor_id": "a", "organization_id": "o", "user_id": "u"}
    run = run_record(run_info(tags={**tags, "feature": "chat"}), result=RESULT)
    record = make(run)
    assert record.schema_version == 1
    assert record.id.startswith("trace-")
    assert record.started_at == datetime.fromtimestamp(ANCHOR_WALL_NS / 1e9, UTC)
    assert record.ids.message_id == "msg_1"
    assert record.ids.response_id == "resp_1"
    assert {name: getattr(record.ids, name) for name in tags} == tags
    assert record.tags == {"feature": "chat"}
    assert (record.provider, record.api, record.operation) == ("openai", "openai.chat", "chat")
    assert (record.model, record.request_model) == ("gpt-test-2026", "gpt-test")
    assert (record.server_address, record.server_port) == ("127.0.0.1", 8080)
    assert (record.outcome, record.error) == ("ok", None)
    assert (record.attempts, record.chunks, record.bytes) == (1, 40, 4096)
    assert record.request["temperature"] == 1
    assert [stage.name for stage in record.stages] == ["source", "parser", "consumer"]


def test_every_part_of_the_response_is_there() -> None:
    record = make(run_record(result=RESULT))
    reasoning, text, call, refusal = record.response.content
    assert (reasoning["type"], reasoning["text"]) == ("reasoning", "Let me think")
    assert reasoning["signature"] == "SIG"
    assert text["text"] == "Hello"
    assert (call["name"], call["arguments"], call["complete"]) == ("search", '{"q": "a"}', True)
    assert refusal["text"] == "no"
    assert record.response.further_choices[0]["content"][0]["text"] == "Hi"
    assert record.response.raw_finish_reason == "stop"
    assert record.response.stop_sequence == "END"


def test_times_count_from_the_start_and_from_the_request() -> None:
    timings = make(run_record()).timings
    assert (timings.request_ns, timings.first_token_ns) == (10_000_000, 510_000_000)
    assert (timings.ended_ns, timings.closed_ns) == (2_000_000_000, 2_100_000_000)
    assert timings.time_to_headers_s == pytest.approx(0.3)
    assert timings.time_to_first_chunk_s == pytest.approx(0.4)
    assert timings.time_to_first_token_s == pytest.approx(0.5)
    assert timings.time_to_first_answer_s == pytest.approx(0.6)
    assert timings.time_to_first_delivery_s == pytest.approx(0.501)
    assert timings.duration_s == pytest.approx(1.99)
    assert timings.chunk_gap_max_s == pytest.approx(0.1)


def test_usage_as_reported() -> None:
    usage = make(run_record(usage=msgspec.structs.replace(USAGE, raw={"prompt": 100}))).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (100, 51, 151)
    assert (usage.cached_input_tokens, usage.cache_write_input_tokens) == (40, 20)
    assert (usage.reasoning_tokens, usage.raw, usage.estimated) == (10, {"prompt": 100}, False)


def test_no_usage_is_not_zero() -> None:
    assert make(run_record(usage=None)).usage is None


def test_a_counter_fills_in_what_nobody_counted() -> None:
    class Counter:
        def estimate(self, payload: Mapping[str, Any], result: Result) -> Usage:
            return Usage(input_tokens=len(payload), output_tokens=len(result.text))

    usage = make(run_record(usage=None, result=RESULT, outcome=Outcome.CANCELLED), Counter()).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (5, 5, 10)
    assert usage.estimated
    reported = make(run_record(result=RESULT), Counter()).usage
    assert reported is not None
    assert not reported.estimated


def test_errors_with_all_that_is_known_of_them() -> None:
    error = RateLimitError("too fast", code="slow_down", status=429, request_id="req_1", stage="x")
    found = make(run_record(outcome=Outcome.ERROR, error=error)).error
    assert found is not None
    assert (found.type, found.message, found.code) == ("RateLimitError", "too fast", "slow_down")
    assert (found.status, found.retryable, found.stage) == (429, True, "x")
    assert found.request_id == "req_1"


def test_attempts_one_by_one() -> None:
    started = run_record().timings.started_ns
    attempts = (
        AttemptRecord("a", "openai", started + 5, started + 9, Outcome.ERROR, "ServerError", False),
        AttemptRecord("b", "openai", None, started + 12, Outcome.OK, None, True),
    )
    first, second = make(run_record(attempts=2, attempt_records=attempts)).attempt_records
    assert (first.route, first.request_ns, first.ended_ns) == ("a", 5, 9)
    assert (first.outcome, first.error) == ("error", "ServerError")
    assert (second.request_ns, second.committed) == (None, True)


def test_a_run_without_request_or_result() -> None:
    run = run_record(
        timings=replace(run_record().timings, request_ns=None, first_token_ns=None), result=None
    )
    record = make(run)
    assert record.timings.duration_s is None
    assert record.response.content == []


def test_without_content_only_what_it_was_like() -> None:
    payload = {"model": "m", "temperature": 0.5, "stream": True, "messages": ["private"]}
    record = make(run_record(run_info(payload=payload), result=RESULT), content=False)
    assert record.request == {"model": "m", "temperature": 0.5, "stream": True}
    text = json.dumps(record.response.content) + json.dumps(record.response.further_choices)
    assert not any(word in text for word in ("private", "Hello", "think", "Hi", '"q"'))
    reasoning, answer, call, _ = record.response.content
    assert reasoning["type"] == "reasoning"
    assert (answer["type"], answer["text_chars"]) == ("text", 5)
    assert (call["name"], call["id"], call["arguments_chars"]) == ("search", "call_1", 10)
    assert record.response.stop_sequence is None
    assert not record.content


def test_secrets_are_gone_from_request_response_error_and_tags() -> None:
    key = "swordfish-9"
    run = run_record(
        run_info(payload={"api_key": key, "input": f"it is {key}"}, tags={"note": key}),
        result=Result(message_id="m", content=(TextPart(text=f"you said {key}"),)),
        outcome=Outcome.ERROR,
        error=RateLimitError(f"bad {key}", code=key),
    )
    record = make(run)
    assert key not in repr(record)
    assert record.request == {"api_key": MARK, "input": f"it is {MARK}"}
    assert record.redacted >= 5


def test_large_records_lose_text_not_their_form() -> None:
    payload = {"model": "m", "messages": [{"role": "user", "content": "x" * 4000}] * 40}
    record = make(run_record(run_info(payload=payload)), max_record_bytes=32_768)
    assert len(record.request["messages"]) == 40
    assert record.request["messages"][0]["content"].endswith("[cut, 4000 characters]")
    assert record.cut == 40


def test_records_too_large_even_so_lose_request_and_response() -> None:
    payload = {"model": "m", "messages": [{"role": "user", "content": "x"}] * 2000}
    record = make(run_record(run_info(payload=payload), result=RESULT), max_record_bytes=8192)
    assert record.request is None
    assert record.response.content == []
    assert record.cut == 2
    assert record.ids.message_id == "msg_1"


def test_the_payload_is_as_it_was_at_the_end_of_the_run() -> None:
    messages = [{"role": "user", "content": "first"}]
    taken = take(run_record(run_info(payload={"messages": messages})), content=True)
    messages.append({"role": "assistant", "content": "later"})
    assert unpack(taken.payload) == {"messages": [{"role": "user", "content": "first"}]}


class _Model(BaseModel):
    name: str
    unset: int = 5


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (_Model(name="n"), {"name": "n"}),
        (1 << 70, str(1 << 70)),
        ("\ud83d", "\ufffd"),
        (threading.Lock(), "<lock>"),
        ((1, 2), [1, 2]),
        ({5: "five"}, {"5": "five"}),
    ],
    ids=["model", "huge", "half", "object", "tuple", "number as name"],
)
def test_payloads_of_any_kind(value: Any, kept: Any) -> None:
    assert make(run_record(run_info(payload={"x": value}))).request == {"x": kept}


def test_a_payload_that_contains_itself() -> None:
    payload: dict[str, Any] = {}
    payload["me"] = payload["again"] = payload
    assert "contains itself" in make(run_record(run_info(payload=payload))).request
    payload = {"huge": 1 << 70}
    payload["me"] = payload["again"] = payload
    assert make(run_record(run_info(payload=payload))).ids.message_id == "msg_1"


def test_readers_ignore_fields_of_the_future() -> None:
    trace = make(run_record())
    later = {**msgspec.to_builtins(trace), "new_field": 1}
    assert decode_record(msgspec.json.encode(later)) == trace
