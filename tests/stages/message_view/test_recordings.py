"""The view over recordings of real services: pieces and whole messages agree."""

from pathlib import Path

import pytest
from tests.stages.message_view.script import TAGS, bare, noon

from tokenline.result import Outcome, Result
from tokenline.stage import StepContext
from tokenline_stages.accumulator import Accumulator
from tokenline_stages.conformance.playing import MESSAGE_ID, Reading, context_of, play
from tokenline_stages.conformance.recording import recordings
from tokenline_stages.conformance.wiring import wire
from tokenline_stages.message_view import (
    AssistantMessage,
    Message,
    MessageView,
    MessageViewOptions,
    PingMessage,
    ReasoningMessage,
    encode_message,
    join_messages,
    messages_of,
)

OPTIONS = [
    MessageViewOptions(),
    MessageViewOptions(inner_thoughts_key="location", requires_approval_tools=lambda name: True),
]


def show(reading: Reading, options: MessageViewOptions) -> list[Message]:
    view = MessageView(StepContext(MESSAGE_ID, tags=TAGS), options, now=noon)
    out: list[Message] = []
    for event in reading.events:
        view.feed([event], 0, out)
    if reading.error is None:
        view.finish(0, out)
    else:
        view.fail(reading.error, 0, out)
    return out


def result_of(reading: Reading) -> Result:
    accumulator = Accumulator(MESSAGE_ID)
    accumulator.feed(reading.events, 0, [])
    outcome = None if reading.error is None else Outcome.ERROR
    return accumulator.snapshot(outcome, reading.error)


@pytest.mark.corpus
def test_recordings(corpus_dir: Path) -> None:
    found = recordings(corpus_dir)
    for recording in found:
        content = recording.read()
        api = wire(content.api, content.provider).api
        reading = play(api, [content.body], context_of(content.payload))
        result = result_of(reading)
        for options in OPTIONS:
            live = show(reading, options)
            whole = messages_of(result, options, **TAGS, now=noon)
            joined = [m for m in join_messages(live) if type(m) is not PingMessage]
            assert {m.otid: m for m in bare(joined)} == {m.otid: m for m in bare(whole)}, recording
            assert [m.seq_id for m in live] == list(range(1, len(live) + 1))
            assert all(encode_message(m) for m in live)
        live = show(reading, OPTIONS[0])
        texts = [m.content for m in live if isinstance(m, AssistantMessage) and not m.refusal]
        assert "".join(texts) == result.text, recording
        thoughts = [m.reasoning for m in live if isinstance(m, ReasoningMessage)]
        assert "".join(thoughts) == result.reasoning, recording
    assert len(found) > 100
