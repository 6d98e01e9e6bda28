"""Events in, messages out: golden vectors under every cut, ids, approvals, ends."""

import json
import pickle
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stages.message_view.providers import golden_body, golden_events
from tests.stages.message_view.script import (
    MESSAGE_ID,
    TAGS,
    UUID,
    Script,
    bare,
    examples,
    fold,
    noon,
    recut,
    show,
)

from tokenline.errors import (
    AuthenticationError,
    ConnectError,
    ContentFilterError,
    ContextOverflowError,
    CreditsError,
    EmptyResponseError,
    InvalidOptionError,
    LimitExceededError,
    MalformedStreamError,
    OverloadedError,
    PermissionDeniedError,
    RateLimitError,
    RunCancelledError,
    ServerError,
    StageFailedError,
    StreamCutError,
    StreamTimeoutError,
)
from tokenline.events import (
    Citation,
    Event,
    Finish,
    FinishReason,
    Logprobs,
    MessageEnd,
    PartEnd,
    PartKind,
    PartStart,
    Ping,
    ProviderBlock,
    ReasoningDelta,
    ReasoningKind,
    ReasoningSignature,
    Reset,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolKind,
    UnknownEvent,
)
from tokenline.result import ErrorInfo, TokenUsage
from tokenline.stage import StepContext
from tokenline_stages.message_view import (
    STOP_REASONS,
    ApprovalRequestMessage,
    AssistantMessage,
    ErrorMessage,
    HiddenReasoningMessage,
    Message,
    MessageView,
    MessageViewOptions,
    PingMessage,
    ReasoningMessage,
    ResetMessage,
    StopReason,
    StopReasonMessage,
    ToolCallFragment,
    ToolCallMessage,
    UsageStatistics,
    encode_message,
    join_messages,
    messages_of,
)

G10 = '{"thinking":"po\\nnder","message":"Hi, \\"yo\\"\\nnew {x}, ok ","request_heartbeat":false}'
SPEAKING = MessageViewOptions(use_assistant_message=True, inner_thoughts_key="thinking")
THINKING = MessageViewOptions(inner_thoughts_key="thinking")

sizes = st.lists(st.integers(1, 9), min_size=1, max_size=8)


def of(kind: type, messages: Sequence[Message]) -> list[Any]:
    return [message for message in messages if type(message) is kind]


def runs(messages: Sequence[Message]) -> list[tuple[str, int]]:
    """Messages in a row of one type and slice, and how many."""
    keys = groupby(messages, key=lambda message: (type(message).__name__, message.otid))
    return [(name, len(list(row))) for (name, _), row in keys]


def arguments(messages: Sequence[Message], kind: type = ToolCallMessage) -> dict[str, str]:
    calls: dict[str, str] = {}
    for message in of(kind, messages):
        call = message.tool_call
        calls[call.tool_call_id] = calls.get(call.tool_call_id, "") + call.arguments
    return calls


def text(messages: Sequence[Message]) -> str:
    return "".join(message.content for message in of(AssistantMessage, messages))


def thoughts(messages: Sequence[Message]) -> str:
    return "".join(message.reasoning for message in of(ReasoningMessage, messages))


# --- golden vectors --------------------------------------------------------------------------


def test_g1_full_turn() -> None:
    messages, view = show(golden_events("anthropic", "full_turn"))
    assert runs(messages) == [
        ("PingMessage", 1),
        ("ReasoningMessage", 3),
        ("HiddenReasoningMessage", 1),
        ("AssistantMessage", 2),
        ("ToolCallMessage", 4),
        ("ToolCallMessage", 3),
        ("StopReasonMessage", 1),
        ("UsageStatistics", 1),
    ]
    assert [m.reasoning for m in of(ReasoningMessage, messages)] == ["Let me", " think", ""]
    assert of(ReasoningMessage, messages)[-1].signature == "U0lH/+=="
    assert of(HiddenReasoningMessage, messages)[0].hidden_reasoning == "RU5D"
    assert text(messages) == "Hello"
    assert arguments(messages) == {"toolu_s": '{"q":"a"}', "toolu_g": '{"p": 1}'}
    assert {m.tool_call.name for m in of(ToolCallMessage, messages)} == {"search", "grep"}
    stop, usage = messages[-2:]
    assert isinstance(stop, StopReasonMessage)
    assert (stop.stop_reason, stop.finish_reason) == (StopReason.END_TURN, "tool_calls")
    assert isinstance(usage, UsageStatistics)
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (145, 57, 202)
    assert (usage.cached_input_tokens, usage.cache_write_tokens) == (40, 5)
    assert usage.reasoning_tokens is None
    assert view.pending_approvals == ()


@examples
@given(st.lists(st.integers(0, len(golden_body("anthropic", "full_turn"))), max_size=6))
def test_g1_under_any_cut_of_the_bytes(cuts: list[int]) -> None:
    whole = show(golden_events("anthropic", "full_turn"))[0]
    assert show(golden_events("anthropic", "full_turn", sorted(cuts)))[0] == whole


@pytest.mark.parametrize("at", range(1, len(golden_body("anthropic", "full_turn")), 53))
def test_g1_broken_off_anywhere_keeps_what_came(at: int) -> None:
    whole = show(golden_events("anthropic", "full_turn"))[0]
    view = MessageView(StepContext(MESSAGE_ID, tags=TAGS), now=noon)
    out: list[Message] = []
    view.feed(golden_events("anthropic", "full_turn", until=at), 0, out)
    count = len(out)
    view.fail(StreamCutError("cut"), 0, out)
    assert out[:count] == whole[:count]
    assert [type(m) for m in out].count(StopReasonMessage) == 1
    if count < len(whole):
        assert type(out[-1]) is ErrorMessage


def test_g2_blocks_stay_apart_and_exact() -> None:
    messages, _ = show(golden_events("anthropic", "thinking_blocks"))
    assert [(m.reasoning, m.signature) for m in of(ReasoningMessage, join_messages(messages))] == [
        ("A\n\n ", "Uw=="),
        ("  B\t", "Ug=="),
        ("", "T25seQ=="),
    ]
    assert [m.hidden_reasoning for m in of(HiddenReasoningMessage, messages)] == ["T25l", "VHdv"]


def test_g3_calls_without_arguments() -> None:
    messages, _ = show(golden_events("anthropic", "no_arguments"))
    assert arguments(messages) == {"toolu_a": "{}", "toolu_b": "{}", "toolu_c": "{}"}
    assert [m.complete for m in of(ToolCallMessage, messages)] == [None, True] * 3


def test_g4_a_cut_call_is_shown_as_cut() -> None:
    messages, _ = show(golden_events("anthropic", "cut_arguments"))
    whole, cut = of(ToolCallMessage, join_messages(messages))
    assert (whole.complete, cut.complete) == (True, False)
    assert cut.tool_call.arguments == '{"path": "a", "text": "half a sen'
    assert of(StopReasonMessage, messages)[0].stop_reason is StopReason.MAX_TOKENS_EXCEEDED


def test_g7_every_fragment_has_its_call() -> None:
    messages, _ = show(golden_events("openai_chat", "interleaved_calls"))
    assert arguments(messages) == {
        "call_a": '{"q": "a b"}',
        "call_b": '{"path": "/tmp", "n": 1}',
        "call_c": "{}",
    }
    names = {(m.tool_call.tool_call_id, m.tool_call.name) for m in of(ToolCallMessage, messages)}
    assert names == {("call_a", "search"), ("call_b", "grep"), ("call_c", "now")}
    otids = {(m.tool_call.tool_call_id, m.otid) for m in of(ToolCallMessage, messages)}
    assert len(otids) == len({otid for _, otid in otids}) == 3


def test_g8_omitted_reasoning_comes_after_the_provider_spoke() -> None:
    view = MessageView(StepContext(MESSAGE_ID), now=noon)
    out: list[Message] = []
    view.feed([], 0, out)
    assert out == []
    view.feed(golden_events("openai_chat", "hidden_reasoning"), 0, out)
    (hidden,) = of(HiddenReasoningMessage, out)
    assert (hidden.state, hidden.hidden_reasoning) == ("omitted", None)
    assert text(out) == "42"


def test_g9_summary_parts_are_apart() -> None:
    messages = join_messages(show(golden_events("openai_responses", "summary_parts"))[0])
    assert [m.reasoning for m in of(ReasoningMessage, messages)] == [
        "**First**\n\nlook at it ",
        " **Second** turn it",
        "**Third** done",
    ]
    # The opaque copy of the reasoning takes the place of the seal, on the last part.
    signatures = [m.signature for m in of(ReasoningMessage, messages)]
    assert signatures[:2] == [None, None]
    assert signatures[2]


def test_g9_a_response_in_two_parts() -> None:
    messages = join_messages(show(golden_events("openai_responses", "two_parts"))[0])
    assert [m.refusal for m in of(AssistantMessage, messages)] == [False, False, True]


def test_g9_interleaved_calls() -> None:
    messages, _ = show(golden_events("openai_responses", "interleaved_calls"))
    assert arguments(messages) == {
        "call_a": '{"q": "rain", "n": 2}',
        "call_b": '{"p":"x"}',
        "call_c": 'select "\u00e9" from t;\n',
        "call_d": "{}",
    }


@examples
@given(sizes)
def test_g10_thoughts_and_words_in_arguments(sizes: list[int]) -> None:
    script = Script().call("send_message", G10).end(FinishReason.TOOL_CALLS, "tool_use")
    messages, view = show(recut(script.events, sizes), SPEAKING)
    assert thoughts(messages) == "po\nnder"
    assert text(messages) == 'Hi, "yo"\nnew {x}, ok '
    assert of(ToolCallMessage, messages) == []
    assert {m.source for m in of(ReasoningMessage, messages)} == {"non_reasoner_model"}
    assert view.problems == {}


@examples
@given(sizes)
def test_g10_thoughts_only_leave_valid_arguments(sizes: list[int]) -> None:
    script = Script().call("send_message", G10).end(FinishReason.TOOL_CALLS, "tool_use")
    messages, _ = show(recut(script.events, sizes), THINKING)
    assert thoughts(messages) == "po\nnder"
    (left,) = arguments(messages).values()
    assert json.loads(left) == {
        "message": 'Hi, "yo"\nnew {x}, ok ',
        "request_heartbeat": False,
    }
    # Thoughts that come first are shown before the call.
    assert type(messages[0]) is ReasoningMessage
    assert [name for name, _ in runs(messages)][:2] == ["ReasoningMessage", "ToolCallMessage"]


@examples
@given(sizes)
def test_g11_approval_is_for_the_whole_call_and_per_tool(sizes: list[int]) -> None:
    options = MessageViewOptions(requires_approval_tools=frozenset({"grep"}))
    events = recut(golden_events("anthropic", "full_turn"), sizes)
    messages, view = show(events, options)
    requests = of(ApprovalRequestMessage, messages)
    assert {m.tool_call.name for m in requests} == {"grep"}
    assert {m.tool_call.name for m in of(ToolCallMessage, messages)} == {"search"}
    assert arguments(messages, ApprovalRequestMessage) == {"toolu_g": '{"p": 1}'}
    assert view.pending_approvals == (ToolCallFragment("grep", '{"p": 1}', "toolu_g"),)
    assert of(StopReasonMessage, messages)[0].stop_reason is StopReason.REQUIRES_APPROVAL


def test_g15_text_that_looks_like_framing_is_text() -> None:
    for folder in ("anthropic", "openai_chat", "openai_responses"):
        messages, _ = show(golden_events(folder, "lookalikes"))
        assert "[DONE]" in text(messages)


# --- ids -------------------------------------------------------------------------------------


def test_500_alternations_of_text_and_tools() -> None:
    script = Script()
    for number in range(500):
        script.text(f"text {number}").call("search", '{"n": 1}')
    messages, _ = show(script.end().events)
    slices = {message.otid for message in messages}
    assert len(slices) == 1000 + 2
    assert len(of(AssistantMessage, messages)) == 500
    assert bare(join_messages(messages)) == bare(messages_of(fold(script.events), **IDS))


def test_every_message_has_every_id() -> None:
    script = Script().add(Ping).reasoning("a", kind=ReasoningKind.OMITTED).text("b").call("c", "{}")
    messages, _ = show([*script.events, Reset(9, 0, MESSAGE_ID, 2), *script.end().events])
    view = MessageView(StepContext(MESSAGE_ID, tags=TAGS), now=noon)
    view.fail(RateLimitError("slow down", status=429), 0, messages)
    assert {type(m) for m in messages} >= {
        StopReasonMessage,
        ErrorMessage,
        ResetMessage,
        PingMessage,
    }
    for message in messages:
        assert message.id == MESSAGE_ID
        assert message.date == "2026-01-01T12:00:07+00:00"
        assert (message.run_id, message.step_id) == ("run-1", "step-1")
        assert len(message.otid) == 36
        assert message.otid[:28] == UUID[:28]


def test_seq_ids_count_without_gaps() -> None:
    messages, _ = show(golden_events("anthropic", "full_turn"))
    assert [m.seq_id for m in messages] == list(range(1, len(messages) + 1))
    later, _ = show(Script().text("a").end().events, MessageViewOptions(first_seq_id=41))
    assert [m.seq_id for m in later] == [41, 42, 43]


def test_otids_are_the_message_id_and_the_slice() -> None:
    script = Script().text("a").call("f", '{"thinking": "t", "q": 1}').end()
    messages, _ = show(script.events, THINKING)
    assert [m.otid for m in join_messages(messages)] == [
        f"{UUID[:28]}00000000",
        f"{UUID[:28]}00000011",
        f"{UUID[:28]}00000010",
        f"{UUID[:28]}fffffff0",
        f"{UUID[:28]}fffffff1",
    ]


def test_any_message_id_will_do() -> None:
    otids = []
    for message_id in ("turn-1", "turn-1", "turn-2"):
        view = MessageView(StepContext(message_id), now=noon)
        out: list[Message] = []
        view.finish(0, out)
        assert out[0].id == message_id
        otids.append(out[0].otid)
    assert otids[0] == otids[1] != otids[2]


IDS: dict[str, Any] = {**TAGS, "now": noon}
OPTIONS = [
    MessageViewOptions(),
    SPEAKING,
    MessageViewOptions(
        inner_thoughts_key="thinking",
        requires_approval_tools=frozenset({"grep", "send_message"}),
        repeat_tool_calls=True,
    ),
]
short = st.text(max_size=6)
json_objects = st.dictionaries(
    st.sampled_from(["thinking", "message", "q", "r"]), short | st.integers() | st.none()
)
parts = st.one_of(
    st.tuples(st.just("text"), short),
    st.tuples(st.just("refusal"), short),
    st.tuples(
        st.just("reasoning"), short, st.sampled_from(list(ReasoningKind)), st.booleans(), short
    ),
    st.tuples(
        st.just("call"),
        st.sampled_from(["send_message", "grep", "search"]),
        st.one_of(json_objects.map(json.dumps), short, st.just("")),
        st.sampled_from([True, False, None]),
    ),
)


def write(drawn: Sequence[Any]) -> Script:
    script = Script()
    for kind, *rest in drawn:
        if kind == "call":
            name, raw, complete = rest
            script.call(name, *([raw] if raw else []), complete=complete)
        elif kind == "reasoning":
            body, reasoning_kind, is_signed, data = rest
            signature = ["sig", "nature"] if is_signed else []
            script.reasoning(
                *([body] if body else []),
                signature=signature,
                data=[data] if data else [],
                kind=reasoning_kind,
            )
        else:
            getattr(script, kind)(*([rest[0]] if rest[0] else []))
    return script.usage(input_tokens=3, output_tokens=4).end()


@examples
@given(st.lists(parts, max_size=6), sizes, st.sampled_from(OPTIONS))
def test_live_pieces_make_the_messages_of_the_result(
    drawn: list[Any], sizes: list[int], options: MessageViewOptions
) -> None:
    events = write(drawn).events
    live, view = show(recut(events, sizes), options)
    whole = messages_of(fold(events), options, **IDS)
    by_otid = {m.otid: m for m in bare(join_messages(live))}
    assert by_otid == {m.otid: m for m in bare(whole)}
    assert [m.seq_id for m in live] == list(range(1, len(live) + 1))
    assert [m.seq_id for m in whole] == list(range(1, len(whole) + 1))
    if all(kind != "call" or rest[-1] is not None for kind, *rest in drawn):
        assert [m.otid for m in join_messages(live)] == [m.otid for m in whole]
    for message in live:
        json.loads(encode_message(message))
    assert view.ended


numbers = st.integers(0, 2)
any_events = st.one_of(
    st.builds(lambda part, kind: (PartStart, part, kind), numbers, st.sampled_from(list(PartKind))),
    st.builds(lambda part, body: (TextDelta, part, body), numbers, st.text(max_size=3)),
    st.builds(lambda part, body: (ReasoningDelta, part, body), numbers, st.text(max_size=3)),
    st.builds(lambda part: (ReasoningSignature, part, "s"), numbers),
    st.builds(lambda part: (ToolCallStart, part, "id", "send_message"), numbers),
    st.builds(
        lambda part, raw: (ToolCallDelta, part, "id", "send_message", raw),
        numbers,
        st.text(st.sampled_from('{}":,message'), max_size=8),
    ),
    st.builds(lambda part: (ToolCallEnd, part, "id", "send_message", True), numbers),
    st.builds(lambda part: (PartEnd, part), numbers),
    st.just((Reset, 2)),
    st.just((MessageEnd,)),
)


@examples
@given(st.lists(any_events, max_size=20))
def test_events_in_any_order_never_raise(drawn: list[tuple[Any, ...]]) -> None:
    events = [kind(seq, 0, MESSAGE_ID, *rest) for seq, (kind, *rest) in enumerate(drawn)]
    messages, _ = show(events, SPEAKING)
    assert [type(m) for m in messages].count(StopReasonMessage) == 1
    assert type(messages[-1]) is UsageStatistics
    assert [m.seq_id for m in messages] == list(range(1, len(messages) + 1))


# --- approvals, speech, thoughts -------------------------------------------------------------


def test_approval_by_a_function() -> None:
    options = MessageViewOptions(requires_approval_tools=lambda name: name.startswith("rm"))
    script = Script().call("rm_file", "{}").call("rm_disk", '{"', complete=False).call("ls", "{}")
    messages, view = show(script.end().events, options)
    assert {m.tool_call.name for m in of(ApprovalRequestMessage, messages)} == {
        "rm_file",
        "rm_disk",
    }
    assert [call.name for call in view.pending_approvals] == ["rm_file"]


def test_calls_of_the_provider_need_no_approval() -> None:
    options = MessageViewOptions(requires_approval_tools=frozenset({"search"}))
    script = Script().call("search", "{}", kind=ToolKind.SERVER)
    messages, view = show(script.end().events, options)
    assert {m.tool_kind for m in of(ToolCallMessage, messages)} == {"server"}
    assert view.pending_approvals == ()


def test_approval_goes_before_speech() -> None:
    options = SPEAKING.model_copy(update={"requires_approval_tools": frozenset({"send_message"})})
    messages, _ = show(Script().call("send_message", G10).end().events, options)
    assert text(messages) == ""
    (asked,) = arguments(messages, ApprovalRequestMessage).values()
    assert json.loads(asked)["message"] == 'Hi, "yo"\nnew {x}, ok '


def test_an_approved_call_without_thoughts() -> None:
    options = THINKING.model_copy(update={"requires_approval_tools": frozenset({"grep"})})
    script = Script().call("grep", '{"thinking": "look", "p": 1}')
    messages, view = show(script.end().events, options)
    assert thoughts(messages) == "look"
    assert view.pending_approvals == (ToolCallFragment("grep", '{"p": 1}', "call_0"),)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ('{"message": null, "x": 1}', '{"message": null, "x": 1}'),
        ('{"text": "hi"}', '{"text": "hi"}'),
        ("hi there", "hi there"),
        ("", "{}"),
    ],
)
def test_a_call_that_says_nothing_is_shown_as_a_call(raw: str, shown: str) -> None:
    messages, _ = show(Script().call("send_message", raw).end().events, SPEAKING)
    assert arguments(messages) == {"call_0": shown}
    assert text(messages) == ""


def test_an_empty_message_says_something() -> None:
    script = Script().call("send_message", '{"message": "", "x": 1}')
    messages, _ = show(script.end().events, SPEAKING)
    assert [type(m) for m in messages] == [StopReasonMessage, UsageStatistics]


def test_other_tools_do_not_speak() -> None:
    options = MessageViewOptions(
        use_assistant_message=True, assistant_tool="say", assistant_key="words"
    )
    script = Script().call("say", '{"words": "hi"}').call("send_message", '{"message": "no"}')
    messages, _ = show(script.end().events, options)
    assert text(messages) == "hi"
    assert arguments(messages) == {"call_1": '{"message": "no"}'}


def test_malformed_arguments_lose_nothing_and_are_reported() -> None:
    script = Script().call("f", '{"thinking": "t", "q": ', "tru", 'e1, "r": 2}')
    messages, view = show(script.end().events, THINKING)
    assert thoughts(messages) == "t"
    assert arguments(messages) == {"call_0": '{"q": true1, "r": 2}'}
    assert view.problems == {"call_0": "'true1' is no value (character 23)"}


def test_free_text_tools_are_left_alone() -> None:
    script = (
        Script()
        .call("sh", '{"thinking": "t"', kind=ToolKind.CUSTOM)
        .call("sh", kind=ToolKind.CUSTOM)
    )
    messages, view = show(script.end().events, THINKING)
    assert arguments(messages) == {"call_0": '{"thinking": "t"', "call_1": ""}
    assert view.problems == {}


def test_one_key_cannot_be_both() -> None:
    with pytest.raises(InvalidOptionError, match="name two"):
        MessageViewOptions(use_assistant_message=True, inner_thoughts_key="message")
    with pytest.raises(InvalidOptionError):
        MessageViewOptions(message_types={"tool_message"})  # type: ignore[arg-type]
    assert MessageViewOptions(requires_approval_tools=["a"]).requires_approval("a")  # type: ignore[arg-type]


# --- reasoning -------------------------------------------------------------------------------


def hidden(messages: Sequence[Message]) -> list[tuple[str, str | None, str | None]]:
    return [
        (m.state, m.hidden_reasoning, m.signature) for m in of(HiddenReasoningMessage, messages)
    ]


def test_kinds_of_reasoning() -> None:
    script = (
        Script()
        .reasoning("seen", signature=["a", "b"])
        .reasoning(data=["x", "y"], kind=ReasoningKind.REDACTED)
        .reasoning(kind=ReasoningKind.REDACTED)
        .reasoning("sum", data=["blob"], kind=ReasoningKind.SUMMARY)
        .reasoning(data=["blob"], kind=ReasoningKind.ENCRYPTED)
        .reasoning(signature=["seal"], kind=ReasoningKind.OMITTED)
        .reasoning("both", signature=["seal"], data=["blob"])
    )
    messages = join_messages(show(script.end().events)[0])
    assert [(m.reasoning, m.signature) for m in of(ReasoningMessage, messages)] == [
        ("seen", "ab"),
        ("sum", "blob"),
        ("both", "seal"),
    ]
    assert hidden(messages) == [
        ("redacted", "xy", None),
        ("redacted", None, None),
        ("redacted", "blob", None),
        ("omitted", None, "seal"),
        ("redacted", "blob", None),
    ]


def test_a_seal_may_be_replaced() -> None:
    script = Script()
    part = script.part()
    script.add(PartStart, part, PartKind.REASONING, 0, ReasoningKind.NATIVE)
    script.add(ReasoningSignature, part, "old").add(ReasoningSignature, part, "new", 0, True)
    messages, _ = show(script.end().events)
    assert of(ReasoningMessage, messages)[0].signature == "new"


def test_characters_cut_in_two_are_joined() -> None:
    script = (
        Script().text("a\ud83d", "\ude00b", "\ud83d").call("f", '{"thinking": "\ud83d', '\ude00"}')
    )
    messages, _ = show(script.end().events, THINKING)
    assert text(messages) == "a\U0001f600b\ufffd"
    assert thoughts(messages) == "\U0001f600"
    assert all(encode_message(message) for message in messages)


# --- what is shown ---------------------------------------------------------------------------


def test_a_filter_never_holds_back_the_end() -> None:
    options = MessageViewOptions(message_types=frozenset({"assistant_message"}))
    everything, _ = show(golden_events("anthropic", "full_turn"))
    messages, _ = show(golden_events("anthropic", "full_turn"), options)
    assert {type(m) for m in messages} == {AssistantMessage, StopReasonMessage, UsageStatistics}
    assert set(messages) <= set(everything)
    failed = MessageView(StepContext(MESSAGE_ID), MessageViewOptions(message_types=frozenset()))
    out: list[Message] = []
    failed.feed([Ping(0, 0, MESSAGE_ID), Reset(1, 0, MESSAGE_ID, 2)], 0, out)
    failed.fail(ServerError("broken"), 0, out)
    assert [type(m) for m in out] == [ResetMessage, StopReasonMessage, ErrorMessage]


def test_what_has_no_message_is_counted() -> None:
    script = Script().text("a").add(UnknownEvent, "new", b"{}").add(Logprobs, b"[]")
    script.add(ProviderBlock, script.part(), "web_search", b"{}").add(Citation, 0, b"{}")

    class Other:
        pass

    messages, view = show([*script.events, Other()])  # type: ignore[list-item]
    assert view.unshown == {
        "unknown": 1,
        "logprobs": 1,
        "provider_block": 1,
        "citation": 1,
        "Other": 1,
    }
    assert text(messages) == "a"


def test_one_choice_is_shown() -> None:
    script = Script()
    for choice in (0, 1):
        script.add(TextDelta, choice, f"choice {choice}", choice)
        call = (2 + choice, f"call_{choice}", "f")
        script.add(ToolCallStart, *call, ToolKind.FUNCTION, choice)
        script.add(ToolCallDelta, *call, "{}", choice).add(ToolCallEnd, *call, True, choice)
    script.add(Finish, FinishReason.LENGTH, "length", 1).end()
    for choice, reason in ((0, "stop"), (1, "length")):
        options = MessageViewOptions(choice=choice)
        messages, _ = show(script.events, options)
        assert text(messages) == f"choice {choice}"
        assert list(arguments(messages)) == [f"call_{choice}"]
        assert of(StopReasonMessage, messages)[0].raw_finish_reason == reason
        whole = messages_of(fold(script.events), options, **IDS)
        assert bare(join_messages(messages)) == bare(whole)


def test_parts_whose_start_was_missed() -> None:
    events: list[Event] = [
        TextDelta(0, 0, MESSAGE_ID, 0, "a"),
        ReasoningDelta(1, 0, MESSAGE_ID, 1, "b"),
        ToolCallDelta(2, 0, MESSAGE_ID, 2, "call_2", "f", "{}"),
        ToolCallEnd(3, 0, MESSAGE_ID, 3, "call_3", "g", True),
    ]
    messages, _ = show(events)
    assert (text(messages), thoughts(messages)) == ("a", "b")
    assert arguments(messages) == {"call_2": "{}", "call_3": "{}"}


def test_tool_calls_are_repeated_on_request() -> None:
    messages, _ = show(Script().call("f", "{}").events, MessageViewOptions(repeat_tool_calls=True))
    assert all(m.tool_calls == m.tool_call for m in of(ToolCallMessage, messages))


# --- the end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", list(FinishReason))
def test_every_finish_reason_has_a_stop_reason(reason: FinishReason) -> None:
    messages, _ = show(Script().text("a").end(reason, "raw").events)
    (stop,) = of(StopReasonMessage, messages)
    assert (stop.stop_reason, stop.finish_reason) == (STOP_REASONS[reason], reason.value)
    assert stop.raw_finish_reason == "raw"
    own = MessageViewOptions(stop_reasons={reason: StopReason.TOOL_RULE})
    messages, _ = show(Script().text("a").end(reason, "raw").events, own)
    assert of(StopReasonMessage, messages)[0].stop_reason is StopReason.TOOL_RULE


def test_no_finish_reason() -> None:
    messages, _ = show([*Script().text("a").events, MessageEnd(9, 0, MESSAGE_ID)])
    (stop,) = of(StopReasonMessage, messages)
    assert (stop.stop_reason, stop.finish_reason) == (StopReason.END_TURN, None)


def test_run_status_of_stop_reasons() -> None:
    status: dict[str, set[str]] = {}
    for reason in StopReason:
        status.setdefault(reason.run_status, set()).add(reason.value)
    assert status["completed"] == {"end_turn", "requires_approval", "tool_rule", "max_steps"}
    assert status["cancelled"] == {"cancelled"}
    assert len(status["failed"]) == 8


def test_usage_not_reported_is_not_zero() -> None:
    (usage,) = of(UsageStatistics, show(Script().text("a").end().events)[0])
    assert not usage.reported
    assert usage.reasoning_tokens is None
    (usage,) = of(UsageStatistics, show(Script().usage(input_tokens=0).end().events)[0])
    assert usage.reported
    script = Script().usage(input_tokens=10, output_tokens=1, cached_input_tokens=3)
    script.usage(input_tokens=10, output_tokens=2)
    (usage,) = of(UsageStatistics, show(script.end().events)[0])
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (10, 2, 12)
    assert usage.cached_input_tokens == 3
    assert usage.run_ids == ("run-1",)


def test_estimated_usage() -> None:
    view = MessageView(StepContext(MESSAGE_ID), now=noon)
    view.report_usage(TokenUsage(input_tokens=1, output_tokens=2, total_tokens=3, estimated=True))
    out: list[Message] = []
    view.finish(0, out)
    (usage,) = of(UsageStatistics, out)
    assert (usage.estimated, usage.total_tokens, usage.run_ids) == (True, 3, None)


FAILURES = [
    (StreamTimeoutError("t"), StopReason.LLM_API_ERROR, "llm_timeout"),
    (RateLimitError("t"), StopReason.LLM_API_ERROR, "llm_rate_limit"),
    (AuthenticationError("t"), StopReason.LLM_API_ERROR, "llm_authentication"),
    (PermissionDeniedError("t"), StopReason.LLM_API_ERROR, "llm_authentication"),
    (CreditsError("t"), StopReason.INSUFFICIENT_CREDITS, "llm_error"),
    (
        ContextOverflowError("t"),
        StopReason.CONTEXT_WINDOW_OVERFLOW,
        "context_window_overflow_in_system_prompt",
    ),
    (EmptyResponseError("t"), StopReason.INVALID_LLM_RESPONSE, "llm_empty_response"),
    (MalformedStreamError("t"), StopReason.INVALID_LLM_RESPONSE, "llm_error"),
    (ContentFilterError("t"), StopReason.INVALID_LLM_RESPONSE, "llm_error"),
    (OverloadedError("t"), StopReason.LLM_API_ERROR, "llm_error"),
    (ServerError("t"), StopReason.LLM_API_ERROR, "llm_error"),
    (ConnectError("t"), StopReason.LLM_API_ERROR, "llm_error"),
    (StreamCutError("t"), StopReason.LLM_API_ERROR, "stream_incomplete"),
    (LimitExceededError("t", limit="x"), StopReason.ERROR, "internal_error"),
    (StageFailedError("t"), StopReason.ERROR, "internal_error"),
    (ValueError("t"), StopReason.ERROR, "internal_error"),
]


@pytest.mark.parametrize(("error", "reason", "error_type"), FAILURES)
def test_failures_are_told_once_and_by_class(
    error: Exception, reason: StopReason, error_type: str
) -> None:
    script = Script().text("so f").call("f", '{"a', complete=None).usage(output_tokens=3)
    for told in (error, ErrorInfo.from_exception(error)):
        view = MessageView(StepContext(MESSAGE_ID), now=noon)
        out: list[Message] = []
        view.feed(script.events, 0, out)
        view.fail(told, 0, out)
        kinds = [type(m) for m in out[-4:]]
        assert kinds == [ToolCallMessage, StopReasonMessage, UsageStatistics, ErrorMessage]
        call, stop, _, failure = out[-4:]
        assert isinstance(call, ToolCallMessage)
        assert call.complete is False
        assert isinstance(stop, StopReasonMessage)
        assert stop.stop_reason is reason
        assert isinstance(failure, ErrorMessage)
        assert (failure.error_type, failure.message) == (error_type, "t")
        assert failure.retryable == getattr(error, "retryable", False)


def test_what_the_provider_said_of_a_failure() -> None:
    view = MessageView(StepContext(MESSAGE_ID), now=noon)
    out: list[Message] = []
    view.fail(RateLimitError("wait", status=429, code="slow_down"), 0, out)
    (failure,) = of(ErrorMessage, out)
    assert failure.detail == "429 slow_down"


def test_a_cancelled_response_has_no_error() -> None:
    for error in (RunCancelledError("cancelled"), None):
        view = MessageView(StepContext(MESSAGE_ID), now=noon)
        out: list[Message] = []
        view.feed(Script().text("a").events, 0, out)
        if error is None:
            view.cancel(out)
        else:
            view.fail(error, 0, out)
        assert [type(m) for m in out] == [AssistantMessage, StopReasonMessage]
        assert of(StopReasonMessage, out)[0].stop_reason is StopReason.CANCELLED


def test_nothing_follows_the_end() -> None:
    script = Script().text("a").end().text("late")
    messages, view = show(script.events)
    assert text(messages) == "a"
    out: list[Message] = []
    view.fail(StageFailedError("a branch"), 0, out)
    assert [type(m) for m in out] == [ErrorMessage]


def test_a_restart_makes_what_came_before_void() -> None:
    script = Script().text("old").usage(output_tokens=9).call("f", "{}")
    again = Script().text("new").end()
    void = Reset(9, 0, MESSAGE_ID, 2)
    options = MessageViewOptions(requires_approval_tools=frozenset({"f"}))
    messages, view = show([*script.events, void, *again.events], options)
    assert of(ResetMessage, messages)[0].attempt == 2
    assert view.pending_approvals == ()
    assert not of(UsageStatistics, messages)[0].reported
    assert bare(join_messages(messages)) == bare(messages_of(fold(again.events), options, **IDS))


def test_messages_pickle_and_compare() -> None:
    messages, _ = show(golden_events("anthropic", "full_turn"))
    assert pickle.loads(pickle.dumps(messages)) == messages
