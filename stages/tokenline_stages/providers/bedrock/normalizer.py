"""Bedrock's ConverseStream and InvokeModel chunks as tokenline events.

Blocks go by `contentBlockIndex`; each is a part. `messageStop` ends the answer, and the body's
end the message: metadata may come between. What the stream leaves out is made up for: text and
reasoning blocks have no start, and chunks of models invoked directly have no blocks at all.

- A tool call is complete if its arguments are whole JSON, or if there are none and the answer
  was not cut right after it: a cut call gets its stop event too.
- InvokeModel: blocks of text that follow one another are one part. Amazon Nova behind a
  guardrail sends every token as a block of its own.
- Usage: `input_tokens` counts cached and cache-written tokens, which Bedrock's leaves out.
  `usage.raw` is Bedrock's object, with `metrics`, `performanceConfig` and `serviceTier` of the
  same event (InvokeModel: its invocation metrics) beside the counts.
- The guardrail or router trace, and `additionalModelResponseFields`, are provider blocks.

Source: docs.aws.amazon.com/bedrock/latest/userguide/conversation-inference-call.html.
"""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw

from tokenline.errors import StreamCutError
from tokenline.events import (
    Citation,
    Event,
    FinishReason,
    PartKind,
    ProviderBlock,
    ProviderDelta,
    ReasoningData,
    ReasoningKind,
    ReasoningSignature,
    TextDelta,
)
from tokenline.stage import StepContext
from tokenline_stages.emission import Emission
from tokenline_stages.wire.items import Unknown

from . import converse, wire
from .blocks import Blocks
from .invoke import METRICS, Chunk, Failure
from .vocabulary import PROVIDER, read_failure, read_reason, read_usage

_NOTHING = frozenset({b"", b"null", b"{}"})
_UNCUT = frozenset({FinishReason.STOP, FinishReason.TOOL_CALLS, FinishReason.PAUSE})


class BedrockNormalizer:
    """From Bedrock's events to ours; one for each response, of either API.

    `feed` raises `ProviderError` for an exception inside the stream, `MalformedStreamError`,
    `LimitExceededError` and, if strict, `UnknownEventError`; `finish` raises `StreamCutError`.
    """

    def __init__(self, context: StepContext) -> None:
        self._emission = Emission(context)
        self._blocks = Blocks(self._emission, context.limits)
        self._usage: dict[str, Any] = {}
        self._reason: FinishReason | None = None
        self._raw_reason: str | None = None

    @property
    def unknown(self) -> int:
        """How many unknown items were met."""
        return self._emission.unknown

    def feed(self, items: Sequence[wire.Item], recv_ns: int, out: list[Event]) -> None:
        """Turn a batch of wire items into events."""
        self._emission.begin(recv_ns, out)
        for item in items:
            if type(item) is converse.BlockDelta:
                self._delta(item)
            else:
                _HANDLERS[type(item)](self, item)

    def finish(self, recv_ns: int, out: list[Event]) -> None:
        """End the message if the answer was over, else raise `StreamCutError`."""
        emission = self._emission
        emission.begin(recv_ns, out)
        if self._raw_reason is None and METRICS not in self._usage:
            self._blocks.break_off()
            raise StreamCutError(
                "Bedrock's response ended before its stop reason; send the request again",
                provider=PROVIDER,
            )
        self._blocks.stop_all(complete=self._reason in _UNCUT)
        emission.message_end(self._reason, self._raw_reason)

    def _message_start(self, item: converse.MessageStart) -> None:
        self._emission.message_start(None, None)

    def _block_start(self, item: converse.BlockStart) -> None:
        self._emission.message_start(None, None)
        index = item.content_block_index
        for kind, start in (item.start or {}).items():
            if kind == "toolUse":
                self._blocks.start_call(index, converse.read_tool_use(start))
            elif kind in ("toolResult", "image"):
                call_id = converse.read_tool_use(start).tool_use_id
                part = self._blocks.open(index, PartKind.BLOCK).part
                self._emission.emit(ProviderBlock, part, kind, bytes(start), call_id)
            else:
                self._emission.skip(f"contentBlockStart.{kind}", bytes(start))

    def _delta(self, item: converse.BlockDelta) -> None:
        delta = item.delta
        index = item.content_block_index
        emission = self._emission
        if not emission.started:
            emission.message_start(None, None)
        if delta.text:
            block = self._blocks.get(index)
            if block is None or block.kind is not PartKind.TEXT:
                block = self._blocks.open(index, PartKind.TEXT)
            seq = emission.seq
            emission.seq = seq + 1
            stamps = seq, emission.recv_ns, emission.message_id
            emission.out.append(TextDelta(*stamps, block.part, delta.text))
        elif delta.text is None:
            self._other_delta(index, delta)

    def _other_delta(self, index: int, delta: converse.Delta) -> None:
        if delta.reasoning_content is not None:
            self._reasoning(index, delta.reasoning_content)
        if delta.tool_use is not None:
            self._blocks.add_arguments(index, delta.tool_use.input)
        if bytes(delta.citation) not in _NOTHING:
            block = self._blocks.get(index) or self._blocks.open(index, PartKind.TEXT)
            self._emission.emit(Citation, block.part, bytes(delta.citation))
        for kind, raw in (("toolResult", delta.tool_result), ("image", delta.image)):
            if bytes(raw) not in _NOTHING:
                block = self._blocks.get(index) or self._blocks.open(index, PartKind.BLOCK)
                self._emission.emit(ProviderDelta, block.part, kind, bytes(raw))

    def _reasoning(self, index: int, delta: converse.ReasoningDelta) -> None:
        data = delta.redacted_content
        if not (delta.text or delta.signature or data):
            return
        block = self._blocks.get(index)
        if block is None or block.kind is not PartKind.REASONING:
            kind = ReasoningKind.REDACTED if data else ReasoningKind.NATIVE
            block = self._blocks.open(index, PartKind.REASONING, kind)
        emission = self._emission
        emission.reasoning(block.part, delta.text or "")
        if delta.signature:
            emission.emit(ReasoningSignature, block.part, delta.signature)
        if data:
            emission.emit(ReasoningData, block.part, data)

    def _block_stop(self, item: converse.BlockStop) -> None:
        self._blocks.stop(item.content_block_index)

    def _message_stop(self, item: converse.MessageStop) -> None:
        raw = item.stop_reason or ""
        if raw == self._raw_reason:
            return
        emission = self._emission
        emission.message_start(None, None)
        reason = read_reason(raw)
        self._blocks.stop_all(complete=reason in _UNCUT)
        fields = item.additional_model_response_fields
        self._block("additionalModelResponseFields", fields)
        self._reason = reason
        self._raw_reason = raw
        emission.finish(reason, raw, 0, converse.read_stop_sequence(fields))

    def _metadata(self, item: converse.Metadata) -> None:
        self._emission.message_start(None, None)
        self._block("trace", item.trace)
        beside = {
            "metrics": item.metrics or None,
            "performanceConfig": item.performance_config,
            "serviceTier": item.service_tier,
        }
        said = (item.usage or {}) | beside
        usage = self._usage | {name: value for name, value in said.items() if value is not None}
        if usage != self._usage:
            self._usage = usage
            self._emission.usage(read_usage(usage))

    def _block(self, type_: str, data: Raw) -> None:
        """A whole provider block, unless it is empty."""
        if bytes(data) not in _NOTHING:
            part = self._emission.open_part(PartKind.BLOCK)
            self._emission.emit(ProviderBlock, part, type_, bytes(data))
            self._emission.close_part(part)

    def _chunk(self, chunk: Chunk) -> None:
        self._blocks.merges_text = True
        self._emission.message_start(chunk.id, chunk.model)
        for item in chunk.items:
            _HANDLERS[type(item)](self, item)

    def _failure(self, failure: Failure) -> None:
        self._blocks.break_off()
        raise read_failure(failure)

    def _unknown(self, item: Unknown) -> None:
        self._emission.skip(item.type, item.data)


_HANDLERS: dict[type, Callable[[BedrockNormalizer, Any], None]] = {
    converse.MessageStart: BedrockNormalizer._message_start,
    converse.BlockStart: BedrockNormalizer._block_start,
    converse.BlockDelta: BedrockNormalizer._delta,
    converse.BlockStop: BedrockNormalizer._block_stop,
    converse.MessageStop: BedrockNormalizer._message_stop,
    converse.Metadata: BedrockNormalizer._metadata,
    Chunk: BedrockNormalizer._chunk,
    Failure: BedrockNormalizer._failure,
    Unknown: BedrockNormalizer._unknown,
}
