"""Every event here was made by hand."""

import pickle
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline.errors import LimitExceededError, StreamCutError
from tokenline.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    Logprobs,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    PartStart,
    Ping,
    ProviderBlock,
    ProviderDelta,
    ReasoningData,
    ReasoningDelta,
    ReasoningKind,
    ReasoningSignature,
    RefusalDelta,
    Reset,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolKind,
    UnknownEvent,
    Usage,
    UsageUpdate,
)
from tokenline.options import Limits
from tokenline.record import Outcome, Timings
from tokenline.result import BlockPart, ReasoningPart, Result, TextPart, ToolCall
from tokenline.stage import Stage, StepContext
from tokenline_stages.accumulator import Accumulator, accumulator
from tokenline_stages.emission import Emission


class Script(Emission):
    """Writes the events of one response."""

    def __init__(self) -> None:
        super().__init__(StepContext(message_id="m1"))
        self.begin(7, [])

    def tool(
        self,
        id_: str,
        name: str,
        *fragments: str,
        complete: bool | None = True,
        kind: ToolKind = ToolKind.FUNCTION,
    ) -> None:
        part = self.new_part()
        self.emit(ToolCallStart, part, id_, name, kind)
        for fragment in fragments:
            self.emit(ToolCallDelta, part, id_, name, fragment)
        if complete is not None:
            self.emit(ToolCallEnd, part, id_, name, complete)

    def thinking(self, *fragments: str, signature: str | None = None) -> None:
        part = self.open_part(PartKind.REASONING, reasoning_kind=ReasoningKind.NATIVE)
        for fragment in fragments:
            self.reasoning(part, fragment)
        if signature is not None:
            self.emit(ReasoningSignature, part, signature)
        self.close_part(part)

    def redacted(self, data: str) -> None:
        part = self.open_part(PartKind.REASONING, reasoning_kind=ReasoningKind.REDACTED)
        self.emit(ReasoningData, part, data)
        self.close_part(part)

    def say(self, *fragments: str) -> None:
        part = self.open_part(PartKind.TEXT)
        for fragment in fragments:
            self.text(part, fragment)
        self.close_part(part)

    def end(self, reason: FinishReason, raw: str) -> None:
        self.finish(reason, raw)
        self.message_end(reason, raw)


def accumulate(events: Sequence[Event], **options: Any) -> Result:
    fold = Accumulator(**options)
    out: list[Any] = []
    fold.feed(events, 7, out)
    fold.finish(7, out)
    assert out == []
    return fold.snapshot()


def tool_turn() -> list[Event]:
    script = Script()
    script.message_start("msg_1", "claude")
    script.usage(Usage(input_tokens=145, output_tokens=1, cached_input_tokens=40))
    script.thinking("Let me", " think", signature="SIG")
    script.redacted("ENC")
    script.say("Hel", "lo")
    script.tool("t1", "search", '{"q":', '"a"}')
    script.tool("t2", "grep", '{"p": 1}')
    script.usage(Usage(output_tokens=57, cache_write_input_tokens=5, raw={"output_tokens": 57}))
    script.end(FinishReason.TOOL_CALLS, "tool_use")
    return script.out


def test_turn_with_thinking_and_two_calls() -> None:
    result = accumulate(tool_turn(), provider="anthropic")
    assert result.message_id == "m1"
    assert (result.provider_message_id, result.model) == ("msg_1", "claude")
    assert result.provider == "anthropic"
    assert result.outcome is Outcome.OK
    assert result.content[:3] == (
        ReasoningPart(part=0, text="Let me think", signature="SIG"),
        ReasoningPart(part=1, kind=ReasoningKind.REDACTED, data="ENC"),
        TextPart(part=2, text="Hello"),
    )
    assert [(c.id, c.name, c.parsed, c.complete) for c in result.tool_calls] == [
        ("t1", "search", {"q": "a"}, True),
        ("t2", "grep", {"p": 1}, True),
    ]
    assert (result.finish_reason, result.raw_finish_reason) == (
        FinishReason.TOOL_CALLS,
        "tool_use",
    )
    usage = result.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (145, 57, 202)
    assert (usage.cached_input_tokens, usage.cache_write_input_tokens) == (40, 5)
    assert usage.reasoning_tokens is None
    assert usage.raw == {"output_tokens": 57}


def test_reasoning_blocks_stay_apart_and_exact() -> None:
    script = Script()
    script.thinking("A", "\n\n", " ", signature="S1")
    script.thinking("B", signature="S2")
    script.thinking(signature="S3")
    script.redacted("E1")
    script.redacted("E2")
    parts = accumulate(script.out).parts(ReasoningPart)
    assert [(p.text, p.signature, p.data) for p in parts] == [
        ("A\n\n ", "S1", None),
        ("B", "S2", None),
        ("", "S3", None),
        ("", None, "E1"),
        ("", None, "E2"),
    ]


def test_signature_fragments_append_unless_replaced() -> None:
    script = Script()
    script.thinking("A", signature="S1")
    script.emit(ReasoningSignature, 0, "+S2")
    assert accumulate(script.out).parts(ReasoningPart)[0].signature == "S1+S2"
    script.emit(ReasoningSignature, 0, "S3", replace=True)
    assert accumulate(script.out).parts(ReasoningPart)[0].signature == "S3"


def test_signature_on_a_call_stays_on_the_call() -> None:
    script = Script()
    script.tool("t", "n", "{}")
    script.emit(ReasoningSignature, 0, "S")
    assert accumulate(script.out).tool_calls[0].signature == "S"


def test_call_without_arguments() -> None:
    script = Script()
    script.tool("t", "now")
    (call,) = accumulate(script.out).tool_calls
    assert (call.arguments, call.parsed, call.complete, call.parse_error) == ("", {}, True, None)


@pytest.mark.parametrize("fragments", [('{"q": "hel',), (), ('{"q": 1}',)])
@pytest.mark.parametrize("ended", [False, None])
def test_cut_call_is_incomplete_and_never_repaired(
    fragments: tuple[str, ...], ended: bool | None
) -> None:
    script = Script()
    script.tool("t", "search", *fragments, complete=ended)
    script.end(FinishReason.LENGTH, "max_tokens")
    result = accumulate(script.out)
    (call,) = result.tool_calls
    assert (call.arguments, call.parsed, call.complete) == ("".join(fragments), None, False)
    assert call.parse_error == "the response was cut inside the call"
    assert result.finish_reason is FinishReason.LENGTH


def test_complete_call_with_broken_arguments() -> None:
    script = Script()
    script.tool("t", "search", '{"q": oops}')
    (call,) = accumulate(script.out).tool_calls
    assert call.complete
    assert call.parsed is None
    assert call.parse_error is not None
    assert call.arguments == '{"q": oops}'


def test_free_text_call_is_not_parsed() -> None:
    script = Script()
    script.tool("t", "shell", "ls ", "-l", kind=ToolKind.CUSTOM)
    (call,) = accumulate(script.out).tool_calls
    assert (call.arguments, call.parsed, call.parse_error) == ("ls -l", None, None)


def test_interleaved_parts_and_500_alternations() -> None:
    script = Script()
    text = script.open_part(PartKind.TEXT)
    for number in range(500):
        script.text(text, f"{number},")
        script.tool(f"t{number}", "n", f'{{"i": {number}}}')
    result = accumulate(script.out)
    assert result.text == "".join(f"{number}," for number in range(500))
    assert [call.parsed for call in result.tool_calls] == [{"i": i} for i in range(500)]
    assert [part.part for part in result.content] == list(range(501))


def test_blocks_citations_refusal_and_logprobs() -> None:
    script = Script()
    part = script.open_part(PartKind.BLOCK, provider_id="blk")
    script.emit(ProviderBlock, part, "search_result", b'{"hits": [1, 2]}', "srv1")
    script.emit(ProviderDelta, part, "delta", b'{"more": true}')
    text = script.open_part(PartKind.TEXT)
    script.text(text, "see")
    script.emit(Citation, text, b'{"url": "u"}')
    refusal = script.open_part(PartKind.REFUSAL)
    script.emit(RefusalDelta, refusal, "I can")
    script.emit(RefusalDelta, refusal, "not")
    script.emit(Logprobs, b"[-0.5]")
    result = accumulate(script.out)
    assert result.content[0] == BlockPart(
        part=0,
        provider_id="blk",
        block_type="search_result",
        data={"hits": [1, 2]},
        provider_data=({"more": True},),
        tool_call_id="srv1",
    )
    assert result.content[1] == TextPart(part=1, text="see", citations=({"url": "u"},))
    assert result.refusal == "I cannot"
    assert result.logprobs == ([-0.5],)


def test_provider_data_of_a_call_is_kept() -> None:
    script = Script()
    script.tool("t", "ask", "{}", kind=ToolKind.SERVER)
    script.emit(ProviderDelta, 0, "mcp_tool_use", b'{"server_name": "wiki"}')
    result = accumulate(script.out)
    assert result.tool_calls == ()
    assert result.server_tool_calls[0].provider_data == ({"server_name": "wiki"},)


def test_several_choices() -> None:
    script = Script()
    first, second = script.open_part(PartKind.TEXT, 0), script.open_part(PartKind.TEXT, 1)
    script.text(second, "b", 1)
    script.text(first, "a", 0)
    script.finish(FinishReason.LENGTH, "length", 1)
    script.finish(FinishReason.STOP, "stop", 0, "END")
    script.emit(Logprobs, b"1", 1)
    script.message_end(None, None)
    result = accumulate(script.out)
    assert (result.text, result.stop_sequence) == ("a", "END")
    assert [(c.index, c.text, c.raw_finish_reason) for c in result.choices] == [
        (0, "a", "stop"),
        (1, "b", "length"),
    ]
    assert result.further_choices[0].logprobs == (1,)
    fold = Accumulator()
    fold.feed(script.out, 1, [])
    assert fold.finish_reasons == ("stop", "length")


def test_finish_reason_of_the_message_end_counts_when_no_other_came() -> None:
    script = Script()
    script.message_end(FinishReason.STOP, "done")
    assert accumulate(script.out).raw_finish_reason == "done"


def test_usage_is_assigned_never_added() -> None:
    script = Script()
    for output in (1, 2, 2):
        script.usage(Usage(input_tokens=10, output_tokens=output, cached_input_tokens=3))
    usage = accumulate(script.out).usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) == (10, 2, 3)
    assert usage.total_tokens == 12


def test_usage_zero_replaces_and_none_does_not() -> None:
    script = Script()
    script.usage(Usage(input_tokens=5, output_tokens=4, total_tokens=9))
    script.usage(Usage(reasoning_tokens=0))
    usage = accumulate(script.out).usage
    assert (usage.input_tokens, usage.total_tokens, usage.reasoning_tokens) == (5, 9, 0)
    script.usage(Usage(output_tokens=0))
    usage = accumulate(script.out).usage
    assert (usage.output_tokens, usage.total_tokens) == (0, 5)


def test_no_usage_is_all_none() -> None:
    result = accumulate(Script().out)
    assert result.usage.input_tokens is None
    assert result.usage.raw is None


def test_reset_clears_everything_but_the_id() -> None:
    script = Script()
    script.message_start("old", "old-model")
    script.say("void")
    script.ping()
    script.usage(Usage(input_tokens=1))
    script.emit(Reset, 2)
    part = script.open_part(PartKind.TEXT)
    script.text(part, "good")
    result = accumulate(script.out, model="asked")
    assert result == Accumulator("m1", model="asked").snapshot().model_copy(
        update={"content": (TextPart(part=part, text="good"),)}
    )


def test_reset_in_the_middle_of_a_batch_frees_the_part_number() -> None:
    events: list[Event] = [
        TextDelta(0, 1, "m", 0, "void"),
        Reset(1, 1, "m", 2),
        TextDelta(2, 1, "m", 0, "good"),
        TextDelta(3, 1, "m", 0, "!"),
    ]
    assert accumulate(events).text == "good!"


def test_counts_pings_and_unknown_events() -> None:
    events: list[Event] = [Ping(0, 1, "m"), UnknownEvent(1, 1, "m", "new", b"{}"), Ping(2, 1, "m")]
    result = accumulate(events)
    assert (result.pings, result.unknown_events) == (2, 1)
    assert Accumulator("m").snapshot(unknown_events=4).unknown_events == 4


def test_snapshot_carries_what_the_run_says() -> None:
    fold = Accumulator("m1")
    fold.feed(tool_turn()[:7], 1, [])
    stamps = Timings(started_ns=0, request_ns=10, first_token_ns=1_000_000_010)
    error = StreamCutError("cut")
    result = fold.snapshot(Outcome.ERROR, error, stamps, attempts=3, provider="openai")
    assert result.outcome is Outcome.ERROR
    assert result.error is not None
    assert (result.error.type, result.error.retryable) == ("StreamCutError", True)
    assert result.timings.time_to_first_token_s == 1.0
    assert (result.attempts, result.provider) == (3, "openai")
    assert fold.snapshot().outcome is None


def test_late_joiner_still_gets_the_parts() -> None:
    events: list[Event] = [
        TextDelta(5, 1, "m9", 0, "lo"),
        ReasoningDelta(6, 1, "m9", 1, "hm"),
        ToolCallDelta(7, 1, "m9", 2, "t", "n", "}"),
        ToolCallEnd(8, 1, "m9", 3, "u", "o", True),
        ReasoningSignature(9, 1, "m9", 4, "S"),
        Citation(10, 1, "m9", 5, b"1"),
        ProviderDelta(11, 1, "m9", 6, "x", b"2"),
    ]
    result = accumulate(events)
    assert result.message_id == "m9"
    assert [part.type for part in result.content] == [
        "text",
        "reasoning",
        "tool_call",
        "tool_call",
        "reasoning",
        "text",
        "block",
    ]
    assert [(c.id, c.name, c.complete) for c in result.tool_calls] == [
        ("t", "n", False),
        ("u", "o", True),
    ]


def test_repeated_events_are_skipped_on_request() -> None:
    events = tool_turn()
    clean = accumulate(events)
    replayed = events[:5] + events[2:9] + events[4:] + events[-3:]
    assert accumulate(replayed, skip_repeats=True) == clean
    halves = Accumulator(skip_repeats=True)
    for item in replayed:
        halves.feed([item], 1, [])
    assert halves.snapshot() == clean


def test_half_characters_in_neighbouring_deltas_join() -> None:
    script = Script()
    script.say("smile \ud83d", "\ude00")
    assert accumulate(script.out).text == "smile 😀"


def test_data_that_is_no_json_is_kept_as_text() -> None:
    script = Script()
    script.emit(ProviderBlock, script.new_part(), "odd", b"{cut")
    (block,) = accumulate(script.out).parts(BlockPart)
    assert block.data == "{cut"


def test_limit_on_bytes_keeps_what_came_before() -> None:
    script = Script()
    part = script.open_part(PartKind.TEXT)
    for _ in range(10):
        script.text(part, "éé")
    fold = Accumulator("m", limits=Limits(max_message_bytes=10))
    with pytest.raises(LimitExceededError) as caught:
        fold.feed(script.out, 1, [])
    assert caught.value.limit == "max_message_bytes"
    assert fold.snapshot().text == "éé" * 3


@pytest.mark.parametrize(
    "event",
    [
        ReasoningSignature(0, 1, "m", 0, "x" * 11),
        ReasoningData(0, 1, "m", 0, "x" * 11),
        RefusalDelta(0, 1, "m", 0, "x" * 11),
        ToolCallDelta(0, 1, "m", 0, "t", "n", "x" * 11),
        ProviderBlock(0, 1, "m", 0, "t", b"x" * 11),
        ProviderDelta(0, 1, "m", 0, "t", b"x" * 11),
        Citation(0, 1, "m", 0, b"x" * 11),
        Logprobs(0, 1, "m", b"x" * 11),
    ],
    ids=lambda event: type(event).__name__,
)
def test_everything_that_is_kept_counts(event: Event) -> None:
    fold = Accumulator("m", limits=Limits(max_message_bytes=10))
    with pytest.raises(LimitExceededError):
        fold.feed([event], 1, [])


def test_limit_on_parts() -> None:
    fold = Accumulator("m", limits=Limits(max_parts=2))
    with pytest.raises(LimitExceededError) as caught:
        fold.feed([TextDelta(i, 1, "m", i, "x") for i in range(3)], 1, [])
    assert caught.value.limit == "max_parts"
    assert fold.snapshot().text == "xx"


def test_stage_opens_an_accumulator() -> None:
    stage = accumulator("openai")
    assert isinstance(stage, Stage)
    assert (stage.name, stage.inlet, stage.outlet) == ("accumulator", Event, Result)
    step = stage.open(StepContext(message_id="m", model="asked"))
    result = step.snapshot()
    assert (result.message_id, result.model, result.provider) == ("m", "asked", "openai")


def test_events_decoded_from_json_fold_the_same() -> None:
    events = tool_turn()
    decode: Callable[[bytes], list[Event]] = msgspec.json.Decoder(list[Event]).decode
    assert accumulate(decode(msgspec.json.encode(events))) == accumulate(events)


TEXTS = st.text(st.characters(exclude_categories=()), max_size=6)  # half characters too
JSON_BYTES = st.binary(max_size=6) | st.sampled_from([b'{"a":1}', b"[]", b"null"])
SMALL = st.integers(0, 3)
COUNT = st.none() | st.integers(0, 9)


@st.composite
def any_event(draw: st.DrawFn) -> Event:
    head = (0, 1, "m1")
    part, choice = draw(SMALL), draw(st.integers(0, 1))
    text, data = draw(TEXTS), draw(JSON_BYTES)
    reason = draw(st.sampled_from(FinishReason))
    usage = Usage(input_tokens=draw(COUNT), output_tokens=draw(COUNT), total_tokens=draw(COUNT))
    kind = draw(st.sampled_from(PartKind))
    events: list[Event] = [
        TextDelta(*head, part, text, choice),
        ReasoningDelta(*head, part, text, choice),
        RefusalDelta(*head, part, text, choice),
        ToolCallDelta(*head, part, f"t{part}", "n", text, choice),
        ToolCallStart(*head, part, f"t{part}", "n", draw(st.sampled_from(ToolKind)), choice),
        ToolCallEnd(*head, part, f"t{part}", "n", draw(st.booleans()), choice),
        PartStart(*head, part, kind, choice),
        PartEnd(*head, part, choice),
        ReasoningSignature(*head, part, text, choice, draw(st.booleans())),
        ReasoningData(*head, part, text, choice),
        ProviderBlock(*head, part, "b", data, None, choice),
        ProviderDelta(*head, part, "d", data, choice),
        Citation(*head, part, data, choice),
        Logprobs(*head, data, choice),
        UsageUpdate(*head, usage),
        Finish(*head, reason, reason.value, choice),
        Ping(*head),
        UnknownEvent(*head, "u", data),
        MessageStart(*head, "p", "model"),
        MessageEnd(*head, reason, reason.value),
        Reset(*head, 2),
    ]
    return draw(st.sampled_from(events))


@settings(max_examples=60)
@given(st.lists(any_event(), max_size=40), st.randoms(use_true_random=False))
def test_any_split_gives_the_same_result(events: list[Event], random: Any) -> None:
    fold = Accumulator("m1")
    rest = events
    while rest:
        size = random.randint(1, len(rest))
        fold.feed(rest[:size], 1, [])
        rest = rest[size:]
        middle = fold.snapshot()
        assert fold.snapshot() == middle
    assert fold.snapshot() == accumulate(events, message_id="m1")


@settings(max_examples=60)
@given(st.lists(any_event(), max_size=40))
def test_any_result_survives_json_and_pickle(events: list[Event]) -> None:
    result = accumulate(events, message_id="m1")
    assert Result.model_validate_json(result.model_dump_json()) == result
    assert pickle.loads(pickle.dumps(result)) == result
    assert len(repr(result)) < 400


@settings(max_examples=30)
@given(st.lists(st.text(max_size=5), min_size=1, max_size=2000))
def test_fragments_join_to_the_exact_text(fragments: list[str]) -> None:
    script = Script()
    script.say(*fragments)
    script.tool("t", "n", *fragments, kind=ToolKind.CUSTOM)
    fold = Accumulator()
    for event in script.out:
        fold.feed([event], 1, [])
    result = fold.snapshot()
    assert result.text == "".join(fragments)
    assert result.tool_calls[0].arguments == "".join(fragments)
    assert isinstance(result.content[1], ToolCall)


def test_usage_between_two_deltas_leaves_their_part_open() -> None:
    accumulator = Accumulator("m")
    for number in range(200):
        accumulator.feed([TextDelta(2 * number, 0, "m", 0, "a")], 0, [])
        usage = Usage(output_tokens=number, raw={"output": number})
        accumulator.feed([UsageUpdate(2 * number + 1, 0, "m", usage)], 0, [])
    result = accumulator.snapshot()
    assert result.text == "a" * 200
    assert result.usage.output_tokens == 199
