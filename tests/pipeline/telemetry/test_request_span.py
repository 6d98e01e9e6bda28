"""The request span: name, kind, times, attributes, status; one for each run, whatever its end."""

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from tests.pipeline.telemetry.conftest import MemoryFactory
from tests.pipeline.telemetry.factory import (
    STAGES,
    TIMINGS,
    USAGE,
    at,
    run_info,
    run_record,
    wall,
)
from tokenline.errors import RateLimitError, StageFailedError
from tokenline.events import Usage
from tokenline.record import ChunkGaps, LoopLag, Outcome, RunRecord, Timings
from tokenline.telemetry.otel import OTelTelemetry
from tokenline.telemetry.request_span import output_tokens_per_second

NAME = "chat gpt-test"
QUIET: dict[str, Any] = {"stages": "off", "aliases": frozenset(), "metrics": False}


def attributes_of(memory: MemoryFactory, record: RunRecord, **options: Any) -> dict[str, Any]:
    made = memory(**{**QUIET, **options})
    made.telemetry.start(record.info).end(record)
    (root,) = made.spans()
    return dict(root.attributes or {})


def test_is_a_client_span_with_the_times_of_the_run(memory: MemoryFactory) -> None:
    made = memory(**QUIET)
    made.telemetry.start(run_info()).end(run_record())
    root = made.span(NAME)
    assert root.kind is SpanKind.CLIENT
    assert root.parent is None
    assert root.start_time == wall(0)
    assert root.end_time == wall(2000)
    assert root.status.status_code is StatusCode.UNSET
    assert root.instrumentation_scope is not None
    assert root.instrumentation_scope.name == "tokenline"
    assert root.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.41.1"


def test_all_attributes(memory: MemoryFactory) -> None:
    assert attributes_of(memory, run_record()) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-test",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 1.0,
        "gen_ai.request.max_tokens": 64,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.response.id": "resp_1",
        "gen_ai.response.model": "gpt-test-2026",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.4,
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 51,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_creation.input_tokens": 20,
        "gen_ai.usage.reasoning.output_tokens": 10,
        "server.address": "127.0.0.1",
        "server.port": 8080,
        "tokenline.message_id": "msg_1",
        "tokenline.api": "openai.chat",
        "tokenline.outcome": "ok",
        "tokenline.attempts": 1,
        "tokenline.chunks": 40,
        "tokenline.bytes": 4096,
        "tokenline.time_to_headers": 0.3,
        "tokenline.time_to_first_token": 0.5,
        "tokenline.time_to_first_answer": 0.6,
        "tokenline.time_to_first_delivery": 0.501,
        "tokenline.chunk_gap.mean": 0.025,
        "tokenline.chunk_gap.p50": 0.02,
        "tokenline.chunk_gap.p99": 0.09,
        "tokenline.chunk_gap.max": 0.1,
        "tokenline.output_tokens_per_second": 50.0,
    }


def test_absent_is_not_zero(memory: MemoryFactory) -> None:
    """A run that got nowhere reports no times, no gaps, no usage and no model."""
    info = run_info(model=None, server_address=None, server_port=None, payload={})
    record = run_record(
        info,
        outcome=Outcome.CANCELLED,
        timings=Timings(started_ns=at(0), ended_ns=at(5)),
        gaps=ChunkGaps(),
        chunks=0,
        bytes=0,
        response_id=None,
        response_model=None,
        finish_reasons=(),
        usage=None,
        stages=(),
    )
    assert attributes_of(memory, record) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("error",),
        "tokenline.message_id": "msg_1",
        "tokenline.api": "openai.chat",
        "tokenline.outcome": "cancelled",
        "tokenline.attempts": 1,
        "tokenline.chunks": 0,
        "tokenline.bytes": 0,
    }


def test_blocks_of_the_loop(memory: MemoryFactory) -> None:
    lag = LoopLag(
        blocks=3, blocked_ns=120_000_000, max_block_ns=80_000_000, first_token_blocked_ns=90_000_000
    )
    found = attributes_of(memory, run_record(loop_lag=lag))
    assert {name: value for name, value in found.items() if ".loop." in name} == {
        "tokenline.loop.blocks": 3,
        "tokenline.loop.blocked": 0.12,
        "tokenline.loop.max_block": 0.08,
        "tokenline.loop.blocked_before_first_token": 0.09,
    }


def test_a_free_loop_says_so(memory: MemoryFactory) -> None:
    found = attributes_of(memory, run_record(loop_lag=LoopLag()))
    assert [name for name in found if ".loop." in name] == ["tokenline.loop.blocked"]


def test_without_a_model_the_operation_alone_is_the_name(memory: MemoryFactory) -> None:
    made = memory(**QUIET)
    info = run_info(model=None)
    made.telemetry.start(info).end(run_record(info))
    assert [span.name for span in made.spans()] == ["chat"]


def test_estimates_stay_out_of_the_usage_of_the_convention(memory: MemoryFactory) -> None:
    found = attributes_of(memory, run_record(usage_estimated=True))
    assert not [name for name in found if name.startswith("gen_ai.usage.")]
    assert found["tokenline.usage.estimated"] is True
    assert found["tokenline.usage.input_tokens"] == 100
    assert found["tokenline.usage.output_tokens"] == 51
    assert "tokenline.output_tokens_per_second" not in found


def test_reported_zero_is_reported(memory: MemoryFactory) -> None:
    found = attributes_of(memory, run_record(usage=Usage(output_tokens=0)))
    assert found["gen_ai.usage.output_tokens"] == 0
    assert "gen_ai.usage.input_tokens" not in found


def test_newer_conventions_rename_the_cache_write(memory: MemoryFactory) -> None:
    found = attributes_of(memory, run_record(), semconv="genai-dev")
    assert found["gen_ai.usage.cache_write.input_tokens"] == 20
    assert "gen_ai.usage.cache_creation.input_tokens" not in found


def test_tags_with_a_dot_are_attribute_names(memory: MemoryFactory) -> None:
    info = run_info(tags={"step": "7", "gen_ai.conversation.id": "c1"})
    found = attributes_of(memory, run_record(info))
    assert found["tokenline.tag.step"] == "7"
    assert found["gen_ai.conversation.id"] == "c1"


def test_request_parameters_of_the_wrong_type_are_left_out(memory: MemoryFactory) -> None:
    payload = {"temperature": "hot", "seed": 1.5, "stop": [1], "n": 2, "max_tokens": True}
    info = run_info(payload=payload)
    found = attributes_of(memory, run_record(info))
    assert found["gen_ai.request.choice.count"] == 2
    for name in ("temperature", "seed", "stop_sequences", "max_tokens"):
        assert f"gen_ai.request.{name}" not in found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({}, 50.0, id="reasoning streamed: all tokens count"),
        pytest.param(
            {"timings": replace(TIMINGS, first_answer_ns=at(510))},
            40.0,
            id="reasoning hidden: its tokens came before the first content",
        ),
        pytest.param(
            {"timings": replace(TIMINGS, last_token_ns=at(510))}, None, id="one read brought all"
        ),
        pytest.param(
            {"timings": replace(TIMINGS, last_token_ns=at(519))}, None, id="a few reads did at once"
        ),
        pytest.param(
            {"timings": replace(TIMINGS, last_token_ns=at(520))}, 5000.0, id="a very fast model"
        ),
        pytest.param({"usage": Usage(output_tokens=1)}, None, id="one token has no speed"),
        pytest.param({"usage": None}, None, id="no usage"),
        pytest.param({"usage": Usage(input_tokens=3)}, None, id="no output count"),
    ],
)
def test_output_tokens_per_second(changes: dict[str, Any], expected: float | None) -> None:
    assert output_tokens_per_second(run_record(**changes)) == expected


class TestEnds:
    @pytest.mark.parametrize(
        ("outcome", "error", "status", "error_type"),
        [
            pytest.param(Outcome.OK, None, StatusCode.UNSET, None, id="ok"),
            pytest.param(
                Outcome.ERROR,
                RateLimitError("slow down", provider="openai", status=429, code="rate_limit"),
                StatusCode.ERROR,
                "RateLimitError",
                id="error",
            ),
            pytest.param(Outcome.ERROR, None, StatusCode.ERROR, "_OTHER", id="error unknown"),
            pytest.param(Outcome.TIMEOUT, None, StatusCode.ERROR, "timeout", id="timeout"),
            pytest.param(Outcome.CANCELLED, None, StatusCode.UNSET, None, id="cancelled"),
            pytest.param(Outcome.ABANDONED, None, StatusCode.ERROR, "_OTHER", id="abandoned"),
        ],
    )
    def test_every_outcome_gives_one_root(
        self,
        memory: MemoryFactory,
        outcome: Outcome,
        error: BaseException | None,
        status: StatusCode,
        error_type: str | None,
    ) -> None:
        made = memory()
        record = run_record(outcome=outcome, error=error)
        made.telemetry.start(record.info).end(record)
        root = made.span(NAME)
        assert root.attributes is not None
        assert root.status.status_code is status
        assert root.attributes.get("error.type") == error_type
        assert root.attributes["tokenline.outcome"] == outcome.value
        assert root.end_time == wall(2000)
        assert len(made.spans()) == 1 + len(STAGES)

    def test_error_says_what_the_provider_said(self, memory: MemoryFactory) -> None:
        error = RateLimitError(
            "slow down", provider="openai", status=429, code="rate_limit", request_id="req_1"
        )
        made = memory(**QUIET)
        made.telemetry.start(run_info()).end(run_record(outcome=Outcome.ERROR, error=error))
        root = made.span(NAME)
        assert root.attributes is not None
        assert root.status.description == "slow down"
        assert root.attributes["tokenline.error.code"] == "rate_limit"
        assert root.attributes["tokenline.error.status"] == 429
        assert root.attributes["tokenline.error.request_id"] == "req_1"

    def test_description_is_cut(self, memory: MemoryFactory) -> None:
        made = memory(**QUIET)
        record = run_record(outcome=Outcome.ERROR, error=ValueError("x" * 10_000))
        made.telemetry.start(record.info).end(record)
        assert len(made.span(NAME).status.description or "") == 512

    def test_failed_stage_is_named(self, memory: MemoryFactory) -> None:
        made = memory(**QUIET)
        error = StageFailedError("parser failed", stage="parser")
        made.telemetry.start(run_info()).end(run_record(outcome=Outcome.ERROR, error=error))
        found = made.span(NAME).attributes or {}
        assert found["tokenline.error.stage"] == "parser"

    def test_second_end_is_ignored(self, memory: MemoryFactory) -> None:
        made = memory()
        run = made.telemetry.start(run_info())
        run.end(run_record())
        run.end(run_record(outcome=Outcome.ABANDONED))
        assert len(made.spans()) == 1 + len(STAGES)

    def test_abandoned_run_takes_no_lock_at_its_end(self, memory: MemoryFactory) -> None:
        """The garbage collector may call `end` inside a span processor: nothing happens yet."""
        made = memory()
        made.telemetry.start(run_info()).end(run_record(outcome=Outcome.ABANDONED))
        assert made.exported() == []
        assert next(span.name for span in made.spans()) == NAME

    def test_abandoned_run_without_room_in_the_queue_is_exported(
        self, memory: MemoryFactory
    ) -> None:
        made = memory(queue_capacity=1)
        for _ in range(2):
            made.telemetry.start(run_info()).end(run_record(outcome=Outcome.ABANDONED))
        assert [span.name for span in made.spans()].count(NAME) == 2

    def test_finish_reason_of_the_provider_is_kept(self, memory: MemoryFactory) -> None:
        found = attributes_of(memory, run_record(outcome=Outcome.CANCELLED))
        assert found["gen_ai.response.finish_reasons"] == ("stop",)


class TestAliases:
    def test_first_token_in_the_words_of_every_back_end(self, memory: MemoryFactory) -> None:
        made = memory(stages="off", metrics=False)
        made.telemetry.start(run_info()).end(run_record())
        root = made.span(NAME)
        found = root.attributes or {}
        moment = datetime.fromisoformat(str(found["langfuse.observation.completion_start_time"]))
        assert moment.timestamp() == pytest.approx(wall(510) / 1e9, abs=1e-5)
        assert found["gen_ai.server.ttft"] == 0.5
        assert found["langsmith.span.kind"] == "llm"
        assert found["openinference.span.kind"] == "LLM"
        assert [(event.name, event.timestamp) for event in root.events] == [
            ("new_token", wall(510)),
            ("First Token Stream Event", wall(510)),
        ]

    def test_cache_write_has_one_name_for_langfuse(self, memory: MemoryFactory) -> None:
        """Langfuse would add a second name of the same tokens to the total."""
        found = attributes_of(memory, run_record(), aliases={"langfuse", "phoenix"})
        assert "gen_ai.usage.cache_creation.input_tokens" in found
        assert "gen_ai.usage.cache_write.input_tokens" not in found

    def test_phoenix_gets_the_name_it_reads(self, memory: MemoryFactory) -> None:
        found = attributes_of(memory, run_record(), semconv="genai-dev", aliases={"phoenix"})
        assert found["gen_ai.usage.cache_creation.input_tokens"] == 20
        assert found["gen_ai.usage.cache_write.input_tokens"] == 20

    def test_no_first_token_no_alias_of_it(self, memory: MemoryFactory) -> None:
        made = memory(stages="off", metrics=False)
        record = run_record(timings=replace(TIMINGS, first_token_ns=None), usage=USAGE)
        made.telemetry.start(record.info).end(record)
        root = made.span(NAME)
        assert not root.events
        assert not {
            "gen_ai.server.ttft",
            "langfuse.observation.completion_start_time",
        } & set(root.attributes or ())


@pytest.mark.parametrize(
    "tag",
    [
        "tokenline.outcome",
        "tokenline.anything",
        "error.type",
        "server.port",
        "gen_ai.operation.name",
        "gen_ai.request.model",
        "gen_ai.usage.input_tokens",
        "gen_ai.input.messages",
        "langsmith.span.kind",
    ],
)
def test_a_tag_never_stands_for_what_is_reported(memory: MemoryFactory, tag: str) -> None:
    plain = attributes_of(memory, run_record(run_info()))
    found = attributes_of(memory, run_record(run_info(tags={tag: "mine", "team.name": "t"})))
    assert found == plain | {"tokenline.tag." + tag: "mine", "team.name": "t"}


def record_with(info: dict[str, Any] | None = None, **changes: Any) -> RunRecord:
    return run_record(run_info(**(info or {})), **changes)


class TestWhatCannotBeWritten:
    """One span that no exporter can write would cost the others their batch."""

    @pytest.mark.parametrize(
        "record",
        [
            record_with(info={"model": "m\ud800"}),
            record_with(
                info={"payload": {"stop": ["\ud800"], "seed": 2**70, "temperature": 10**400}}
            ),
            record_with(info={"tags": {"a\ud800": "b\udfff", "c.\ud800": "d"}}),
            record_with(outcome=Outcome.ERROR, error=ValueError("bad \ud83d")),
            record_with(response_id="\ud800", response_model="\ud800", finish_reasons=("\ud800",)),
            record_with(stages=(replace(STAGES[0], name="s\ud800", errors=1),)),
            record_with(route="\ud800"),
        ],
    )
    def test_spans_and_metrics_are_written(self, memory: MemoryFactory, record: RunRecord) -> None:
        for stages in ("always", "attributes"):
            made = memory(stages=stages)
            made.telemetry.start(record.info).end(record)
            for span in made.spans():
                for text in (span.name, span.status.description or ""):
                    text.encode()
                encoded = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0]
                assert len(encoded.attributes) == len(span.attributes or {})
            for metric in made.metrics().values():
                for point in metric.data.data_points:
                    str(dict(point.attributes)).encode()

    def test_the_rest_is_there(self, memory: MemoryFactory) -> None:
        payload = {"temperature": 10**400, "seed": 2**63, "top_k": 3, "top_p": 10**308}
        found = attributes_of(memory, run_record(run_info(payload=payload)))
        assert "gen_ai.request.temperature" not in found
        assert "gen_ai.request.seed" not in found
        assert found["gen_ai.request.top_k"] == 3
        assert found["gen_ai.request.top_p"] == 1e308
        assert found["tokenline.outcome"] == "ok"

    def test_an_error_whose_text_cannot_be_made_ends_the_span(
        self, memory: MemoryFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

        made = memory(**QUIET)
        record = run_record(outcome=Outcome.ERROR, error=Mute())
        made.telemetry.start(record.info).end(record)
        (root,) = made.spans()
        assert str((root.attributes or {})["error.type"]).endswith("Mute")
        assert "attributes of a run were lost" in caplog.text


def test_stages_as_attributes(memory: MemoryFactory) -> None:
    found = attributes_of(memory, run_record(), stages="attributes")
    assert found["tokenline.stage.source.processing"] == 0.004
    assert found["tokenline.stage.source.blocked"] == 0.03
    assert found["tokenline.stage.consumer.queue_wait"] == 0.012
    assert found["tokenline.stage.consumer.high_water_mark"] == 9


def test_stages_as_attributes_never_push_others_out(memory: MemoryFactory) -> None:
    many = tuple(replace(STAGES[0], name=f"s{number}", index=number) for number in range(60))
    found = attributes_of(memory, run_record(stages=many), stages="attributes")
    assert len(found) <= 128
    assert found["gen_ai.operation.name"] == "chat"
    assert "tokenline.stage.s0.processing" in found
    assert "tokenline.stage.s59.processing" not in found


def test_unsampled_run_makes_nothing() -> None:
    provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
    telemetry = OTelTelemetry(provider)
    run = telemetry.start(run_info())
    assert run.task_context is not None
    run.end(run_record())
    assert telemetry.flush(1.0)
    assert telemetry.dropped == 0
    provider.shutdown()
