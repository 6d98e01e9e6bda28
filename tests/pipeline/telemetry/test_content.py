"""Prompts and answers: off by default, on spans or as events, cut to size, redacted first."""

import json
from typing import Any

import pytest
from msgspec.structs import replace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.pipeline.telemetry.conftest import MemoryFactory
from tests.pipeline.telemetry.factory import run_info, run_record
from tokenline.events import FinishReason, ToolKind
from tokenline.record import Outcome, RunInfo, RunRecord
from tokenline.result import (
    Choice,
    ErrorInfo,
    ReasoningPart,
    RefusalPart,
    Result,
    TextPart,
    ToolCall,
)
from tokenline.telemetry import TelemetryOptions
from tokenline.telemetry import content as content_module
from tokenline.telemetry.content import Content, Prompt, content_mode, output_messages
from tokenline.telemetry.content_size import fit
from tokenline.telemetry.otel import OTelTelemetry

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
FIELDS = (
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
)
RESULT = Result(
    message_id="msg_1",
    outcome=Outcome.OK,
    content=(TextPart(text="Bonjour"),),
    finish_reason=FinishReason.STOP,
)


def read_test_prompt(api: str, payload: Any) -> Prompt | None:
    if api != "test.api":
        return None
    return Prompt(
        system_instructions=[{"type": "text", "content": "Be brief."}],
        messages=[
            {"role": "user", "parts": [{"type": "text", "content": text}]}
            for text in payload["texts"]
        ],
        tools=[{"type": "function", "name": "look"}],
    )


@pytest.fixture(autouse=True)
def readers(monkeypatch: pytest.MonkeyPatch, no_otel_variables: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "_readers", [f"{__name__}:read_test_prompt"])


def with_content(*texts: str, **changes: Any) -> RunRecord:
    info = run_info(api="test.api", payload={"model": "gpt-test", "texts": texts or ("Hello",)})
    return run_record(info, **{"result": RESULT, **changes})


def attributes_of(memory: MemoryFactory, record: RunRecord, **options: Any) -> dict[str, Any]:
    made = memory(**{"stages": "off", "metrics": False, **options})
    made.telemetry.start(record.info).end(record)
    (root,) = made.spans()
    return dict(root.attributes or {})


def captured(found: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(found[name]) for name in FIELDS if name in found}


class TestChoice:
    def test_nothing_by_default(self, memory: MemoryFactory) -> None:
        assert captured(attributes_of(memory, with_content())) == {}

    def test_on_the_span(self, memory: MemoryFactory) -> None:
        found = attributes_of(memory, with_content(), content="span")
        assert captured(found) == {
            "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
            "gen_ai.input.messages": [
                {"role": "user", "parts": [{"type": "text", "content": "Hello"}]}
            ],
            "gen_ai.output.messages": [
                {
                    "role": "assistant",
                    "parts": [{"type": "text", "content": "Bonjour"}],
                    "finish_reason": "stop",
                }
            ],
            "gen_ai.tool.definitions": [{"type": "function", "name": "look"}],
        }
        assert "tokenline.content.truncated" not in found

    def test_not_on_the_span_where_an_event_is_wanted(self, memory: MemoryFactory) -> None:
        assert captured(attributes_of(memory, with_content(), content="event")) == {}

    @pytest.mark.parametrize(
        ("word", "mode"),
        [
            ("", "none"),
            ("NO_CONTENT", "none"),
            ("SPAN_ONLY", "span"),
            ("EVENT_ONLY", "event"),
            ("span_and_event", "span_and_event"),
        ],
    )
    def test_variable(self, no_otel_variables: pytest.MonkeyPatch, word: str, mode: str) -> None:
        no_otel_variables.setenv(VARIABLE, word)
        assert content_mode(None) == mode
        assert content_mode("none") == "none"

    def test_a_word_that_is_none_of_them_keeps_it_off(
        self, no_otel_variables: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        no_otel_variables.setenv(VARIABLE, "true")
        assert content_mode(None) == "none"
        assert "SPAN_ONLY" in caplog.text

    def test_the_span_ends_in_time_all_the_same(self, memory: MemoryFactory) -> None:
        made = memory(stages="off", metrics=False, content="span")
        record = with_content()
        made.telemetry.start(record.info).end(record)
        assert made.exported() == []  # JSON is written off the stream's path
        (root,) = made.spans()
        assert root.end_time == record.info.wall_ns(record.timings.ended_ns)

    def test_a_full_queue_costs_the_content_not_the_span(self, memory: MemoryFactory) -> None:
        made = memory(stages="off", metrics=False, content="span", queue_capacity=1)
        for _ in range(2):
            record = with_content()
            made.telemetry.start(record.info).end(record)
        first, second = made.spans()
        assert captured(dict(first.attributes or {})) == {}
        assert captured(dict(second.attributes or {}))

    def test_unsampled_runs_are_not_read(
        self, memory: MemoryFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        provider = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False)
        telemetry = OTelTelemetry(provider, None, TelemetryOptions(content="span", metrics=False))
        monkeypatch.setattr(content_module, "read_prompt", lambda *_: pytest.fail("was read"))
        record = with_content()
        telemetry.start(record.info).end(record)
        assert telemetry.flush(1.0)

    def test_an_api_that_nobody_reads_has_its_answer(self, memory: MemoryFactory) -> None:
        found = attributes_of(memory, run_record(result=RESULT), content="span")
        assert list(captured(found)) == ["gen_ai.output.messages"]

    def test_a_reader_that_fails_is_told_of(
        self, memory: MemoryFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        record = replace(with_content(), info=run_info(api="test.api", payload={}))
        assert list(captured(attributes_of(memory, record, content="span"))) == [
            "gen_ai.output.messages"
        ]
        assert "could not be read" in caplog.text


class TestRedaction:
    def test_the_hook_decides(self, memory: MemoryFactory) -> None:
        def redact(content: Content, info: RunInfo) -> Content:
            assert info.api == "test.api"
            return Content(input_messages=[{"role": "user", "parts": []}])

        found = attributes_of(memory, with_content(), content="span", redact=redact)
        assert captured(found) == {"gen_ai.input.messages": [{"role": "user", "parts": []}]}

    def test_nothing_if_it_gives_nothing(self, memory: MemoryFactory) -> None:
        found = attributes_of(memory, with_content(), content="span", redact=lambda *_: None)
        assert captured(found) == {}

    def test_nothing_if_it_fails(
        self, memory: MemoryFactory, caplog: pytest.LogCaptureFixture
    ) -> None:
        def redact(content: Content, info: RunInfo) -> Content:
            raise ValueError

        found = attributes_of(memory, with_content(), content="span", redact=redact)
        assert captured(found) == {}
        assert found["tokenline.outcome"] == "ok"
        assert "redaction hook failed" in caplog.text

    def test_keys_are_hidden_without_a_hook(self, memory: MemoryFactory) -> None:
        key = "sk-ant-api03-" + "a1B2" * 12
        found = attributes_of(memory, with_content(f"use {key} please"), content="span")
        assert key not in found["gen_ai.input.messages"]
        assert "[redacted]" in found["gen_ai.input.messages"]


class TestInterrupts:
    def test_a_hook_that_exits_costs_the_content_alone(self, memory: MemoryFactory) -> None:
        def leave(content: Content, info: RunInfo) -> Content:
            raise SystemExit(3)

        made = memory(content="span", redact=leave)
        for _ in range(3):
            record = with_content()
            made.telemetry.start(record.info).end(record)
        roots = [span for span in made.spans() if span.name.startswith("chat")]
        assert len(roots) == 3
        assert captured(dict(roots[0].attributes or {})) == {}
        (duration,) = made.metrics()["gen_ai.client.operation.duration"].data.data_points
        assert duration.count == 3

    def test_ctrl_c_in_a_hook_is_told_and_costs_one_content(self, memory: MemoryFactory) -> None:
        calls = 0

        def interrupted(content: Content, info: RunInfo) -> Content:
            nonlocal calls
            calls += 1
            if calls == 2:
                raise KeyboardInterrupt
            return content

        made = memory(content="span", redact=interrupted)
        for _ in range(3):
            record = with_content()
            made.telemetry.start(record.info).end(record)
        with pytest.raises(KeyboardInterrupt):
            made.telemetry.flush(5.0)
        roots = [span for span in made.spans() if span.name.startswith("chat")]
        assert [bool(captured(dict(root.attributes or {}))) for root in roots] == [
            True,
            False,
            True,
        ]
        (duration,) = made.metrics()["gen_ai.client.operation.duration"].data.data_points
        assert duration.count == 3


class TestEvents:
    @staticmethod
    def emitted(record: RunRecord, **options: Any) -> list[Any]:
        exporter = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
        logs = LoggerProvider(shutdown_on_exit=False)
        logs.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        tracers = TracerProvider(shutdown_on_exit=False)
        chosen = TelemetryOptions(**{"metrics": False, "content": "event", **options})
        telemetry = OTelTelemetry(tracers, None, chosen, logs)
        telemetry.start(record.info).end(record)
        assert telemetry.shutdown(5.0)
        return list(exporter.get_finished_logs())

    def test_one_log_record_with_structures(self) -> None:
        (log,) = self.emitted(with_content())
        record = log.log_record
        found = dict(record.attributes)
        assert record.event_name == "gen_ai.client.inference.operation.details"
        assert record.trace_id
        assert record.span_id
        assert found["gen_ai.input.messages"][0]["parts"][0]["content"] == "Hello"
        assert found["gen_ai.output.messages"][0]["finish_reason"] == "stop"
        assert found["gen_ai.operation.name"] == "chat"
        assert found["gen_ai.request.model"] == "gpt-test"
        assert found["gen_ai.usage.output_tokens"] == 51
        assert not [name for name in found if name.startswith("tokenline.")]

    def test_none_unless_wanted(self) -> None:
        assert self.emitted(with_content(), content="span") == []

    def test_no_logger_provider_no_event_and_no_harm(self, memory: MemoryFactory) -> None:
        found = attributes_of(memory, with_content(), content="span_and_event")
        assert len(captured(found)) == len(FIELDS)


class TestAnswer:
    def test_parts(self) -> None:
        result = RESULT.model_copy(
            update={
                "content": (
                    ReasoningPart(text="hm"),
                    TextPart(text="a"),
                    RefusalPart(text="no"),
                    ToolCall(id="c1", name="f", arguments='{"a": 1}', parsed={"a": 1}),
                    ToolCall(id="c2", name="g", arguments='{"a'),
                    ToolCall(id="c3", name="web_search", kind=ToolKind.SERVER, parsed={}),
                ),
                "finish_reason": FinishReason.TOOL_CALLS,
            }
        )
        (message,) = output_messages(result)
        assert message["finish_reason"] == "tool_call"
        assert message["parts"] == [
            {"type": "reasoning", "content": "hm"},
            {"type": "text", "content": "a"},
            {"type": "refusal", "content": "no"},
            {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
            {"type": "tool_call", "id": "c2", "name": "g", "arguments": '{"a'},
            {
                "type": "server_tool_call",
                "id": "c3",
                "name": "web_search",
                "server_tool_call": {"type": "web_search", "arguments": {}},
            },
        ]

    def test_one_message_for_each_choice(self) -> None:
        further = Choice(index=1, content=(TextPart(text="b"),), finish_reason=FinishReason.LENGTH)
        result = RESULT.model_copy(update={"further_choices": (further,)})
        assert [message["finish_reason"] for message in output_messages(result)] == [
            "stop",
            "length",
        ]

    def test_a_cut_answer_ends_in_error(self) -> None:
        cut = {
            "finish_reason": None,
            "outcome": Outcome.ERROR,
            "error": ErrorInfo(type="X", message=""),
        }
        (message,) = output_messages(RESULT.model_copy(update=cut))
        assert message["finish_reason"] == "error"

    def test_no_answer_no_message(self) -> None:
        assert output_messages(Result(message_id="m")) == []


class TestSize:
    def test_the_oldest_messages_go_first(self, memory: MemoryFactory) -> None:
        texts = [f"{number} " + "x" * 300 for number in range(20)]
        found = attributes_of(memory, with_content(*texts), content="span", max_content_bytes=1024)
        assert found["tokenline.content.truncated"] is True
        kept = captured(found)["gen_ai.input.messages"]
        assert len(found["gen_ai.input.messages"].encode()) <= 1024
        assert [message["parts"][0]["content"].split()[0] for message in kept] == ["18", "19"]

    def test_the_end_of_a_message_that_is_too_long_alone(self) -> None:
        fitted = fit([{"content": "x" * 5000 + "the end"}], 1000)
        assert fitted.truncated
        assert len(fitted.text.encode()) <= 1000
        assert fitted.items[0]["content"].startswith("[...]")
        assert fitted.items[0]["content"].endswith("the end")

    def test_what_fits_is_whole(self) -> None:
        items = [{"content": "x" * 400}, {"content": "y" * 400}]
        fitted = fit(items, 1024)
        assert fitted.items == items
        assert not fitted.truncated

    @pytest.mark.parametrize("size", [64, 100, 1000, 5000])
    def test_never_more_than_the_limit(self, size: int) -> None:
        items = [{"parts": [{"content": "é€😀" * 40}] * n, "n": n} for n in range(30)]
        fitted = fit(items, size)
        assert len(fitted.text.encode()) <= size
        assert json.loads(fitted.text) == fitted.items

    def test_values_of_any_kind_become_json(self) -> None:
        odd = [{"a": b"\x00\x01", "b": {1, 2}, "c": float("nan"), "d": "\ud800", 5: (1, None)}]
        fitted = fit(odd, 1024)
        assert json.loads(fitted.text)[0]["a"] == "AAE="
        assert json.loads(fitted.text)[0]["5"] == [1, None]
        fitted.text.encode()

    def test_a_secret_across_the_cut_is_hidden(self) -> None:
        key = "sk-ant-api03-" + "a1B2" * 12
        fitted = fit([{"content": f"{key}{'x ' * 500}"}], 1040)
        assert "a1B2" not in fitted.text

    @pytest.mark.parametrize("size", [1024, 4096, 32768])
    @pytest.mark.parametrize("inside", [1, 20, 40, 79])
    def test_a_secret_across_the_edge_of_what_is_looked_at_is_hidden(
        self, size: int, inside: int
    ) -> None:
        key = "sk-proj-" + "S3cr3tS3cr3t" * 6
        # Further keys, which get shorter when they are hidden, make room for what lies before.
        others = " ".join("sk-" + "a1b2c3d4e5" * 20 for _ in range(30))
        behind = (size - 2 + 4096) - inside
        after = (f" {others[: behind - 200]} " + "x " * behind)[:behind]
        fitted = fit([{"content": "hello " * 3000 + "my key is " + key + after}], size)
        assert "cr3t" not in fitted.text
        assert fitted.truncated

    @pytest.mark.parametrize("behind", [100, 900, 1000, 1100, 5000, 6000])
    def test_a_secret_longer_than_the_margin_is_hidden(self, behind: int) -> None:
        token = "eyJhbGciOiJIUzI1NiJ9." + "S3cr3t" * 2000 + ".sig"
        body = "\n".join(["S3cr3t" * 10] * 200)
        pem = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
        for secret in (token, pem):
            fitted = fit([{"content": "hello " + secret + " x" * (behind // 2)}], 1024)
            assert "cr3t" not in fitted.text

    def test_text_without_secrets_keeps_its_end(self) -> None:
        for text in ("word " * 5000, "\u6587\u5b57" * 9000):
            fitted = fit([{"content": text}], 4096)
            assert len(fitted.text.encode()) > 1500
            assert text.endswith(fitted.items[0]["content"][-500:])

    @pytest.mark.parametrize(
        "value", [{"value": "hunter2hunter2"}, ["hunter2hunter2"], 12345678, 1.5, b"hunter2hunter2"]
    )
    def test_any_value_under_the_name_of_a_secret_is_hidden(self, value: Any) -> None:
        fitted = fit([{"arguments": {"api_key": value, "other": 1}}], 2048)
        assert fitted.items == [{"arguments": {"api_key": "[redacted]", "other": 1}}]

    def test_the_schema_of_a_parameter_is_no_secret(self) -> None:
        schema = {"properties": {"password": {"type": "string"}}, "required": ["password"]}
        assert fit([{"parameters": schema}], 2048).items == [{"parameters": schema}]
        assert "hunter2" not in fit([{"properties": {"password": {"v": "hunter2"}}}], 2048).text

    def test_names_and_numbers_that_cannot_be_written(self) -> None:
        fitted = fit([{"\ud800": 1, "huge": 10**5000, "big": -(2**70)}], 16384)
        fitted.text.encode()
        assert fitted.items[0]["\ufffd"] == 1
        assert fitted.items[0]["big"] == hex(-(2**70))

    def test_deep_values_end_somewhere(self) -> None:
        deep: Any = "x"
        for _ in range(500):
            deep = [deep]
        assert fit([deep], 4096).text
