"""Messages as server-sent events and back: any cut, any text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pipeline.lines import BODY, builder
from tests.stages.message_view.script import MESSAGE_ID, Script, cut, examples, noon, show

from tokenline.errors import LimitExceededError, MalformedStreamError, ServerError
from tokenline.options import Limits
from tokenline.stage import StepContext
from tokenline.testing import ScriptedSource
from tokenline_stages.message_view import (
    DONE,
    AssistantMessage,
    Message,
    MessageStream,
    MessageView,
    SseMessageDecoder,
    encode_event,
    encode_sse,
    sse_body,
)
from tokenline_stages.wire.sse import SseDecoder

NASTY = [
    "data: [DONE]\n\n",
    "event: error",
    '"seq_id":5',
    "[DONE]",
    "\r\n\r",
    "\u2028\x85",
    "id: 9",
]


def body_of(messages: list[Message], *, with_ids: bool = False) -> bytes:
    return b"".join(encode_sse(message, with_id=with_ids) for message in messages) + DONE


def decode(body: bytes, sizes: list[int]) -> tuple[list[Message], SseMessageDecoder]:
    decoder = SseMessageDecoder()
    found: list[Message] = []
    for piece in cut(body.decode("latin-1"), sizes):
        found += decoder.feed(piece.encode("latin-1"))
    return found + decoder.finish(), decoder


@examples
@given(
    st.lists(st.sampled_from(NASTY) | st.text(min_size=1), min_size=1, max_size=5),
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.booleans(),
)
def test_round_trip_of_any_text_under_any_cut(
    pieces: list[str], sizes: list[int], with_ids: bool
) -> None:
    script = Script().text(*pieces).reasoning(*pieces).call("f", json.dumps({"q": pieces}))
    messages, _ = show(script.usage(output_tokens=3).end().events)
    found, decoder = decode(body_of(messages, with_ids=with_ids), sizes)
    assert found == messages
    assert decoder.done
    assert (decoder.unknown, decoder.last_seq_id) == (0, messages[-1].seq_id)


def test_the_form_on_the_wire() -> None:
    messages, _ = show(Script().text("a\nb").end().events)
    lines = body_of(messages).decode().split("\n")
    assert lines[0].startswith('data: {"message_type":"assistant_message"')
    assert lines[1] == ""
    assert [json.loads(line[6:])["message_type"] for line in lines[:6:2]] == [
        "assistant_message",
        "stop_reason",
        "usage_statistics",
    ]
    assert lines[6:] == ["data: [DONE]", "", ""]


def test_an_error_is_an_event_of_that_name() -> None:
    view = MessageView(StepContext(MESSAGE_ID), now=noon)
    out: list[Message] = []
    view.fail(ServerError("event: [DONE]\ndata: x"), 0, out)
    body = body_of(out, with_ids=True)
    assert b"\n\nevent: error\nid: 2\ndata: {" in body
    assert body.endswith(b"\n\ndata: [DONE]\n\n")
    assert decode(body, [3])[0] == out


def test_events_of_several_lines() -> None:
    assert encode_event(b"a\nb\r\nc\rd\n", "note", "7") == (
        b"event: note\nid: 7\ndata: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"
    )
    assert encode_event(b"") == b"data: \n\n"
    assert SseDecoder(Limits()).feed(encode_event(b"a\nb\n", "note")) == [("note", b"a\nb\n")]
    for broken in ("a\nb", "a\rb", "\0"):
        with pytest.raises(ValueError, match="no line break"):
            encode_event(b"", broken)


def test_what_is_no_message_is_counted_or_refused() -> None:
    decoder = SseMessageDecoder()
    foreign = b': hello\n\ndata: {"message_type":"tool_return_message"}\n\ndata: [1]\n\n'
    assert decoder.feed(foreign) == []
    assert decoder.unknown == 2
    with pytest.raises(MalformedStreamError, match="at byte 66 is no JSON") as caught:
        decoder.feed(b"data: {nonsense\n\n")
    assert caught.value.offset == len(foreign)
    with pytest.raises(LimitExceededError):
        SseMessageDecoder(Limits(max_line_bytes=9)).feed(b"data: " + b"x" * 10 + b"\n")


def test_what_follows_the_end_is_passed_over() -> None:
    messages, _ = show(Script().text("a").end().events)
    found, decoder = decode(body_of(messages) + body_of(messages), [50])
    assert found == messages
    assert decoder.done


def test_a_body_that_lacks_its_end_is_told_from_a_whole_one() -> None:
    messages, _ = show(Script().text("a").end().events)
    found, decoder = decode(body_of(messages)[: -len(DONE) - 2], [50])
    assert found == messages
    assert not decoder.done


@pytest.mark.anyio
async def test_the_body_of_a_run() -> None:
    pipeline = builder(ScriptedSource([BODY])).build()
    async with pipeline.run({}) as run:
        body = b"".join([part async for part in sse_body(MessageStream(run), with_ids=True)])
    found, decoder = decode(body, [17])
    assert isinstance(found[0], AssistantMessage)
    assert [m.seq_id for m in found] == list(range(1, len(found) + 1))
    assert decoder.done
