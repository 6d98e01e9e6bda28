"""The floor of other APIs: the same socket and splitting, with a typed decode of their events.

Every event is decoded, also those without text, as by the floor of Chat Completions.
"""

from collections.abc import Mapping
from time import perf_counter_ns
from typing import Any, ClassVar

import msgspec

from .contract import CHAT, MAX_TOKENS
from .floor import Floor, _Reader


class _MessagesDelta(msgspec.Struct, gc=False):
    type: str | None = None
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class _MessagesUsage(msgspec.Struct, gc=False):
    input_tokens: int = 0
    output_tokens: int = 0


class _MessagesEvent(msgspec.Struct, gc=False):
    type: str
    index: int = 0
    delta: _MessagesDelta | None = None
    usage: _MessagesUsage | None = None


class _ResponsesEvent(msgspec.Struct, gc=False):
    type: str
    delta: str | None = None
    item_id: str | None = None
    output_index: int = 0
    content_index: int = 0
    sequence_number: int = 0


_decode_messages = msgspec.json.Decoder(_MessagesEvent).decode
_decode_responses = msgspec.json.Decoder(_ResponsesEvent).decode


class _MessagesReader(_Reader):
    def _take_events(self, data: bytes) -> None:
        *events, self._events = (self._events + data).split(b"\n\n")
        count = 0
        for text in events:
            event = _decode_messages(text[text.index(b"data: {") + 6 :])
            if event.delta is not None and event.delta.text:
                count += 1
                if self.stamps is not None:
                    self.stamps.append(perf_counter_ns())
        self._count += count


class _ResponsesReader(_Reader):
    def _take_events(self, data: bytes) -> None:
        *events, self._events = (self._events + data).split(b"\n\n")
        count = 0
        for text in events:
            event = _decode_responses(text[text.index(b"data: {") + 6 :])
            if event.delta and event.type == "response.output_text.delta":
                count += 1
                if self.stamps is not None:
                    self.stamps.append(perf_counter_ns())
        self._count += count


class FloorMessages(Floor):
    """Anthropic's Messages API."""

    reader: ClassVar[type[_Reader]] = _MessagesReader
    path: ClassVar[str] = "/v1/messages"
    payload: ClassVar[Mapping[str, Any]] = {**CHAT, "max_tokens": MAX_TOKENS}


class FloorResponses(Floor):
    """OpenAI's Responses API."""

    reader: ClassVar[type[_Reader]] = _ResponsesReader
    path: ClassVar[str] = "/v1/responses"
    payload: ClassVar[Mapping[str, Any]] = {"model": CHAT["model"], "input": CHAT["messages"]}
