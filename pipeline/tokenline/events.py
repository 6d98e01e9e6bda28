"""The event vocabulary: what every normalizer emits, whatever the provider.

A response is a `MessageStart`, then *parts* (text, reasoning, refusal, tool calls, provider
blocks; one part for each block the provider sends, numbered from 0 in the order they begin),
then `MessageEnd`. Parts may overlap: every event names its part. A part opens with `PartStart`
(tool calls: `ToolCallStart`), grows by deltas and closes with `PartEnd` (`ToolCallEnd`).

All events carry

- `seq`: position in the response, from 0, without gaps;
- `recv_ns`: monotonic time (`time.perf_counter_ns`) of the read that completed the event;
- `message_id`: our id of the response, known before the first byte.

Failures are exceptions (`tokenline.errors`), not events. Events are immutable structs without
cyclic-garbage tracking: tens of thousands a second are made.
"""

from enum import StrEnum
from typing import Any

import msgspec


class ReasoningKind(StrEnum):
    """Where a reasoning part comes from."""

    NATIVE = "native"
    """The model's own thinking, as text."""
    SUMMARY = "summary"
    """A summary of the thinking, written by the provider."""
    REDACTED = "redacted"
    """Present but unreadable; `data` must be sent back unchanged."""
    ENCRYPTED = "encrypted"
    """Carried as an opaque blob beside (or instead of) readable text."""
    OMITTED = "omitted"
    """The model reasoned, the provider shows nothing."""


class PartKind(StrEnum):
    """What a part holds."""

    TEXT = "text"
    REASONING = "reasoning"
    REFUSAL = "refusal"
    TOOL_CALL = "tool_call"
    BLOCK = "block"


class ToolKind(StrEnum):
    """Who runs a tool and what its arguments are."""

    FUNCTION = "function"
    """Run by the caller; arguments are a JSON object."""
    CUSTOM = "custom"
    """Run by the caller; arguments are free text."""
    SERVER = "server"
    """Run by the provider; the call is for information."""


class FinishReason(StrEnum):
    """Why the model stopped, one vocabulary for all providers; the raw value is kept beside it."""

    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSE = "pause"
    CONTEXT_OVERFLOW = "context_overflow"
    MALFORMED_TOOL_CALL = "malformed_tool_call"
    ERROR = "error"
    OTHER = "other"


class Usage(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Token counts so far. `None` means not reported; 0 means reported as zero.

    Totals are normalized: `input_tokens` includes cached and cache-written tokens,
    `output_tokens` includes reasoning tokens (OpenTelemetry GenAI meaning). `raw` is the
    provider's own object, its own meanings.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    raw: dict[str, Any] | None = None


class _Event(msgspec.Struct, frozen=True, gc=False, tag_field="event"):
    seq: int
    recv_ns: int
    message_id: str


class MessageStart(_Event, tag="message_start", frozen=True):
    """The provider began to answer. Both ids may be missing on servers that send none."""

    provider_message_id: str | None = None
    model: str | None = None


class PartStart(_Event, tag="part_start", frozen=True):
    """A part other than a tool call begins.

    `provider_id` is the provider's id of the block or item, if it has one.
    """

    part: int
    kind: PartKind
    choice: int = 0
    reasoning_kind: ReasoningKind | None = None
    provider_id: str | None = None


class TextDelta(_Event, tag="text_delta", frozen=True):
    """Visible text; never empty."""

    part: int
    text: str
    choice: int = 0


class ReasoningDelta(_Event, tag="reasoning_delta", frozen=True):
    """Reasoning text, byte-exact (white space kept); never empty."""

    part: int
    text: str
    choice: int = 0


class ReasoningSignature(_Event, tag="reasoning_signature", frozen=True):
    """The provider's seal on a reasoning part, to be sent back unchanged.

    `part` may also be a text or tool-call part: some providers sign those.
    Repeated events on one part append unless `replace` is set.
    """

    part: int
    signature: str
    choice: int = 0
    replace: bool = False


class ReasoningData(_Event, tag="reasoning_data", frozen=True):
    """Opaque content of a redacted or encrypted reasoning part."""

    part: int
    data: str
    choice: int = 0


class RefusalDelta(_Event, tag="refusal_delta", frozen=True):
    """Text of a refusal; never empty."""

    part: int
    text: str
    choice: int = 0


class ToolCallStart(_Event, tag="tool_call_start", frozen=True):
    """A tool call begins; its id and name are known."""

    part: int
    tool_call_id: str
    name: str
    kind: ToolKind = ToolKind.FUNCTION
    choice: int = 0
    provider_id: str | None = None


class ToolCallDelta(_Event, tag="tool_call_delta", frozen=True):
    """A fragment of a tool call's arguments; the fragments join to the exact raw text."""

    part: int
    tool_call_id: str
    name: str
    arguments: str
    choice: int = 0


class ToolCallEnd(_Event, tag="tool_call_end", frozen=True):
    """A tool call is over.

    `complete` is False when the response was cut inside it: such a call must not be run.
    """

    part: int
    tool_call_id: str
    name: str
    complete: bool
    choice: int = 0


class PartEnd(_Event, tag="part_end", frozen=True):
    """A part other than a tool call is over."""

    part: int
    choice: int = 0


class ProviderBlock(_Event, tag="provider_block", frozen=True):
    """A block of one provider with no common form: server-tool results, images, compaction...

    `data` is the block's JSON as sent. `tool_call_id` links a result to its server-side call.
    """

    part: int
    type: str
    data: bytes
    tool_call_id: str | None = None
    choice: int = 0


class ProviderDelta(_Event, tag="provider_delta", frozen=True):
    """An increment of a provider block (audio, compaction text...), JSON as sent."""

    part: int
    type: str
    data: bytes
    choice: int = 0


class Citation(_Event, tag="citation", frozen=True):
    """A citation or annotation of a part, JSON as sent."""

    part: int
    data: bytes
    choice: int = 0


class Logprobs(_Event, tag="logprobs", frozen=True):
    """Log probabilities of the tokens just sent, JSON as sent."""

    data: bytes
    choice: int = 0


class UsageUpdate(_Event, tag="usage", frozen=True):
    """Token counts so far: values replace earlier ones, they never add up."""

    usage: Usage


class Finish(_Event, tag="finish", frozen=True):
    """One choice is finished. `raw_reason` is the provider's own word."""

    reason: FinishReason
    raw_reason: str
    choice: int = 0
    stop_sequence: str | None = None


class Ping(_Event, tag="ping", frozen=True):
    """The provider says that it is alive."""


class UnknownEvent(_Event, tag="unknown", frozen=True):
    """Something that this version does not know, passed through raw on request."""

    type: str
    data: bytes


class Reset(_Event, tag="reset", frozen=True):
    """What came before is void: the response starts again after the commit point."""

    attempt: int


class MessageEnd(_Event, tag="message_end", frozen=True):
    """The response is complete; nothing follows."""

    reason: FinishReason | None = None
    raw_reason: str | None = None


Event = (
    MessageStart
    | PartStart
    | TextDelta
    | ReasoningDelta
    | ReasoningSignature
    | ReasoningData
    | RefusalDelta
    | ToolCallStart
    | ToolCallDelta
    | ToolCallEnd
    | PartEnd
    | ProviderBlock
    | ProviderDelta
    | Citation
    | Logprobs
    | UsageUpdate
    | Finish
    | Ping
    | UnknownEvent
    | Reset
    | MessageEnd
)
"""Every event a run can deliver."""

CONTENT_EVENTS: frozenset[type] = frozenset(
    {TextDelta, ReasoningDelta, RefusalDelta, ToolCallStart, ToolCallDelta, ProviderDelta}
)
"""Events that count as a token: the first of them stops the first-token clock."""

ANSWER_EVENTS: frozenset[type] = frozenset({TextDelta, RefusalDelta, ToolCallStart, ToolCallDelta})
"""Events that are part of the answer (not reasoning): the first stops the first-answer clock."""
