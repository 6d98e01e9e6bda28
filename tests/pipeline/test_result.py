import pickle

import pytest
from pydantic import ValidationError

from tokenline.errors import OverloadedError, StreamCutError
from tokenline.events import FinishReason, ReasoningKind, ToolKind, Usage
from tokenline.json_args import MAX_DEPTH, pair_surrogates, parse_arguments, read_json
from tokenline.record import Outcome, Timings
from tokenline.result import (
    BlockPart,
    Choice,
    ErrorInfo,
    ReasoningPart,
    RefusalPart,
    Result,
    ResultTimings,
    TextPart,
    TokenUsage,
    ToolCall,
)


def full_result() -> Result:
    return Result(
        message_id="m1",
        provider_message_id="p1",
        model="large",
        provider="anthropic",
        outcome=Outcome.ERROR,
        content=(
            ReasoningPart(part=0, kind=ReasoningKind.NATIVE, text=" think\n", signature="S1"),
            ReasoningPart(part=1, kind=ReasoningKind.REDACTED, data="ENC"),
            TextPart(part=2, text="Hel", citations=({"url": "u"},)),
            ToolCall(part=3, id="c1", name="find", arguments='{"q": 1}', complete=True),
            ToolCall(part=4, id="s1", name="web", kind=ToolKind.SERVER, complete=True),
            BlockPart(part=5, block_type="image", data=[1, 2.5, None, {"a": "é"}]),
            TextPart(part=6, text="lo 😀"),
            RefusalPart(part=7, text="no"),
        ),
        finish_reason=FinishReason.LENGTH,
        raw_finish_reason="max_tokens",
        further_choices=(Choice(index=1, content=(TextPart(part=8, text="other"),)),),
        usage=TokenUsage(input_tokens=1, raw={"input": 1}),
        timings=ResultTimings(duration_s=1.5),
        error=ErrorInfo(type="StreamCutError", message="cut", retryable=True),
        attempts=2,
    )


def test_joined_views_follow_the_content() -> None:
    result = full_result()
    assert result.text == "Hello 😀"
    assert result.reasoning == " think\n"
    assert result.refusal == "no"
    assert [call.id for call in result.tool_calls] == ["c1"]
    assert [call.id for call in result.server_tool_calls] == ["s1"]


def test_choices_start_with_the_result_itself() -> None:
    result = full_result()
    assert [choice.index for choice in result.choices] == [0, 1]
    assert [choice.text for choice in result.choices] == ["Hello 😀", "other"]
    assert result.choices[0].finish_reason is FinishReason.LENGTH


def test_survives_json_and_pickle() -> None:
    result = full_result()
    assert Result.model_validate_json(result.model_dump_json()) == result
    assert Result.model_validate(result.model_dump()) == result
    assert pickle.loads(pickle.dumps(result)) == result


def test_travels_with_an_error() -> None:
    error = StreamCutError("cut")
    error.partial = full_result()
    copied = pickle.loads(pickle.dumps(error))
    assert copied.partial == full_result()


def test_is_immutable() -> None:
    with pytest.raises(ValidationError):
        full_result().model = "other"


def test_repr_is_short() -> None:
    result = full_result().model_copy(update={"content": (TextPart(text="x" * 100_000),)})
    assert len(repr(result)) < 300
    assert len(str(result)) < 300
    assert len(repr(result.content[0])) < 200
    assert "outcome='error'" in repr(result)
    assert "StreamCutError" in repr(result)


def test_timings_count_from_the_request() -> None:
    stamps = Timings(
        started_ns=1,
        request_ns=1_000_000_000,
        headers_ns=1_250_000_000,
        first_token_ns=1_500_000_000,
        ended_ns=3_000_000_000,
    )
    assert ResultTimings.from_stamps(stamps) == ResultTimings(
        time_to_headers_s=0.25, time_to_first_token_s=0.5, duration_s=2.0
    )
    assert ResultTimings.from_stamps(Timings(started_ns=1, ended_ns=9)) == ResultTimings()
    assert ResultTimings.from_stamps(Timings(started_ns=1, request_ns=1)) == ResultTimings()


def test_usage_fills_in_the_total_and_keeps_none_apart_from_zero() -> None:
    usage = TokenUsage.from_usage(Usage(input_tokens=3, output_tokens=0))
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 0, 3)
    assert usage.cached_input_tokens is None
    assert TokenUsage.from_usage(Usage(input_tokens=3)).total_tokens is None
    reported = Usage(input_tokens=1, output_tokens=2, total_tokens=9)
    assert TokenUsage.from_usage(reported).total_tokens == 9


def test_estimated_usage_is_marked() -> None:
    result = full_result().with_estimated_usage(Usage(input_tokens=4, output_tokens=5))
    assert result.usage == TokenUsage(
        input_tokens=4, output_tokens=5, total_tokens=9, estimated=True
    )
    assert not full_result().usage.estimated


def test_error_in_writing() -> None:
    error = OverloadedError("busy", status=529, code="overloaded_error")
    assert ErrorInfo.from_exception(error) == ErrorInfo(
        type="OverloadedError",
        message="busy",
        retryable=True,
        code="overloaded_error",
        status=529,
    )
    assert ErrorInfo.from_exception(SystemExit(3)) == ErrorInfo(type="SystemExit", message="3")


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        ("", {}),
        ("{}", {}),
        (' {"a": [1, "b\\u00e9"]}\n', {"a": [1, "bé"]}),
        ('{"n": 123456789012345678901234567890}', {"n": 123456789012345678901234567890}),
    ],
)
def test_arguments_that_are_an_object(raw: str, parsed: object) -> None:
    assert parse_arguments(raw) == (parsed, None)


@pytest.mark.parametrize(
    "raw",
    [
        '{"a": ',
        '{"a": 1} x',
        '{"a": NaN}',
        '{"a": 1e999}',
        "{'a': 1}",
        "null",
        "[1]",
        '"text"',
        " ",
        '{"a": "\\ud83d"}',
        '{"a": "\ud83d"}',
        '{"a":' * 200 + "1" + "}" * 200,
        '{"a":' * 100_000,
    ],
)
def test_arguments_that_are_none(raw: str) -> None:
    parsed, error = parse_arguments(raw)
    assert parsed is None
    assert error is not None
    assert error.startswith("arguments are ")


def test_deepest_arguments_survive_json() -> None:
    raw = '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH
    parsed, _ = parse_arguments(raw)
    assert parsed is not None
    call = ToolCall(id="c", name="n", arguments=raw, parsed=parsed, complete=True)
    result = Result(message_id="m", further_choices=(Choice(content=(call,)),))
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_usage_survives_json_without_what_is_nested_too_deep() -> None:
    deep: object = 1
    for _ in range(250):
        deep = {"a": deep}
    usage = TokenUsage.from_usage(Usage(input_tokens=1, raw={"input": 1, "deep": deep}))
    assert usage.raw == {"input": 1}
    assert TokenUsage.model_validate_json(usage.model_dump_json()) == usage


def test_wide_arguments_are_not_deep() -> None:
    raw = '{"a": [' + ",".join(["{}"] * 1000) + "]}"
    assert parse_arguments(raw)[1] is None


@pytest.mark.parametrize(
    ("data", "value"),
    [(b'{"a": 1}', {"a": 1}), (b"null", None), (b"{cut", "{cut"), (b"\xff", "\ufffd")],
)
def test_provider_json_falls_back_to_text(data: bytes, value: object) -> None:
    assert read_json(data) == value


def test_halves_of_a_character_join() -> None:
    assert pair_surrogates("é\ud83d" + "\ude00") == "é😀"
    assert pair_surrogates("a\ud83db") == "a\ufffdb"
