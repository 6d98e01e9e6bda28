"""The events of the OpenAI Responses stream as structs; `wire` decodes them.

Every field may be missing or null: compatible servers leave out `sequence_number` (some),
`output_index` and `content_index` (llama.cpp), or the model of `response.created`. Fields that
are handed on as sent stay `msgspec.Raw`.

Sources: developers.openai.com/api/reference/resources/responses/streaming-events; the event types
of the official SDK; streams of the servers named here.
"""

from typing import Any

import msgspec
from msgspec import Raw, field

from tokenline_stages.wire.items import Comment, Done, Unknown

ABSENT = Raw()
"""A raw field that was not sent."""


class _Event(msgspec.Struct, frozen=True, gc=False, tag_field="type"):
    sequence_number: int | None = None


class Routed(_Event, frozen=True):
    """An event that belongs to an output item."""

    output_index: int | None = None
    item_id: str | None = None


class PartDelta(Routed, frozen=True):
    """More text of a part; what `index` counts depends on the kind of part."""

    delta: str | None = None
    logprobs: tuple[Raw, ...] | None = None
    index: int | None = None


class TextDelta(PartDelta, tag="response.output_text.delta", frozen=True):
    """More visible text."""

    index: int | None = field(default=None, name="content_index")


class RefusalDelta(PartDelta, tag="response.refusal.delta", frozen=True):
    """More of a refusal."""

    index: int | None = field(default=None, name="content_index")


class ReasoningDelta(PartDelta, tag="response.reasoning_text.delta", frozen=True):
    """More of the model's own thinking."""

    index: int | None = field(default=None, name="content_index")


class SummaryDelta(PartDelta, tag="response.reasoning_summary_text.delta", frozen=True):
    """More of one part of the reasoning summary."""

    index: int | None = field(default=None, name="summary_index")


class PartText(Routed, frozen=True):
    """The whole text of a part."""

    text: str | None = None
    logprobs: tuple[Raw, ...] | None = None
    index: int | None = None


class TextDone(PartText, tag="response.output_text.done", frozen=True):
    """The whole visible text of a part."""

    index: int | None = field(default=None, name="content_index")


class RefusalDone(PartText, tag="response.refusal.done", frozen=True):
    """A whole refusal."""

    text: str | None = field(default=None, name="refusal")
    index: int | None = field(default=None, name="content_index")


class ReasoningDone(PartText, tag="response.reasoning_text.done", frozen=True):
    """The whole thinking of a part."""

    index: int | None = field(default=None, name="content_index")


class SummaryDone(PartText, tag="response.reasoning_summary_text.done", frozen=True):
    """One whole part of the reasoning summary."""

    index: int | None = field(default=None, name="summary_index")


class ContentPart(Routed, frozen=True):
    """A content part begins or is over; `part` is its JSON."""

    part: Raw = ABSENT
    index: int | None = None


class ContentPartAdded(ContentPart, tag="response.content_part.added", frozen=True):
    """A content part begins."""

    index: int | None = field(default=None, name="content_index")


class ContentPartDone(ContentPart, tag="response.content_part.done", frozen=True):
    """A content part is over."""

    index: int | None = field(default=None, name="content_index")


class SummaryPartAdded(ContentPart, tag="response.reasoning_summary_part.added", frozen=True):
    """A part of the reasoning summary begins."""

    index: int | None = field(default=None, name="summary_index")


class SummaryPartDone(ContentPart, tag="response.reasoning_summary_part.done", frozen=True):
    """A part of the reasoning summary is over."""

    index: int | None = field(default=None, name="summary_index")


class AnnotationAdded(Routed, tag="response.output_text.annotation.added", frozen=True):
    """An annotation of a text part."""

    annotation: Raw = ABSENT
    index: int | None = field(default=None, name="content_index")


class CallDelta(Routed, frozen=True):
    """A fragment of a call's arguments; early servers send those of MCP calls as an object."""

    delta: str | dict[str, Any] | None = None


class ArgumentsDelta(CallDelta, tag="response.function_call_arguments.delta", frozen=True):
    """A fragment of a function call's JSON arguments."""

    delta: str | None = None


class InputDelta(CallDelta, tag="response.custom_tool_call_input.delta", frozen=True):
    """A fragment of a custom tool's free text."""


class McpArgumentsDelta(CallDelta, tag="response.mcp_call_arguments.delta", frozen=True):
    """A fragment of an MCP call's JSON arguments."""


class CodeDelta(CallDelta, tag="response.code_interpreter_call_code.delta", frozen=True):
    """A fragment of the code that the provider runs."""


class CallText(Routed, frozen=True):
    """The whole arguments of a call; some servers name the call here too."""

    text: str | dict[str, Any] | None = None
    call_id: str | None = None
    name: str | None = None


class ArgumentsDone(CallText, tag="response.function_call_arguments.done", frozen=True):
    """The whole JSON arguments of a function call."""

    text: str | dict[str, Any] | None = field(default=None, name="arguments")


class InputDone(CallText, tag="response.custom_tool_call_input.done", frozen=True):
    """The whole free text for a custom tool."""

    text: str | dict[str, Any] | None = field(default=None, name="input")


class McpArgumentsDone(CallText, tag="response.mcp_call_arguments.done", frozen=True):
    """The whole JSON arguments of an MCP call."""

    text: str | dict[str, Any] | None = field(default=None, name="arguments")


class CodeDone(CallText, tag="response.code_interpreter_call_code.done", frozen=True):
    """The whole code that the provider runs."""

    text: str | dict[str, Any] | None = field(default=None, name="code")


class ItemAdded(_Event, tag="response.output_item.added", frozen=True):
    """An output item begins; `item` is its JSON, see `output_items`."""

    output_index: int | None = None
    item: Raw = ABSENT


class ItemDone(_Event, tag="response.output_item.done", frozen=True):
    """An output item is over; `item` is its JSON, see `output_items`."""

    output_index: int | None = None
    item: Raw = ABSENT


class IncompleteDetails(msgspec.Struct, frozen=True, gc=False):
    """Why a response is incomplete."""

    reason: str | None = None


class Response(msgspec.Struct, frozen=True, gc=False):
    """The response object, as far as it is used; `output` holds items as JSON."""

    id: str | None = None
    model: str | None = None
    status: str | None = None
    error: Raw = ABSENT
    incomplete_details: IncompleteDetails | None = None
    usage: Raw = ABSENT
    output: list[Raw] | None = None


class Snapshot(_Event, frozen=True):
    """An event that carries the response object."""

    response: Response | None = None


class Created(Snapshot, tag="response.created", frozen=True):
    """The provider began to answer."""


class Queued(Snapshot, tag="response.queued", frozen=True):
    """The response waits for its turn."""


class InProgress(Snapshot, tag="response.in_progress", frozen=True):
    """The model works."""


class Completed(Snapshot, tag="response.completed", frozen=True):
    """The end of a response; `response.output` repeats all of it."""


class Incomplete(Snapshot, tag="response.incomplete", frozen=True):
    """The end of a response that was cut by a limit or a filter."""


class Failed(Snapshot, tag="response.failed", frozen=True):
    """The end of a response that failed; `response.error` says why."""


class Cancelled(Snapshot, tag="response.cancelled", frozen=True):
    """The end of a response that was cancelled from outside."""


class Error(msgspec.Struct, frozen=True, gc=False):
    """The provider reports an error, in any of the forms in use."""

    message: str
    code: str | None = None
    kind: str | None = None
    status: int | None = None


class BlockDelta(msgspec.Struct, frozen=True, gc=False):
    """An increment of an item with no common form, JSON as sent."""

    type: str
    data: bytes
    output_index: int | None = None
    item_id: str | None = None


class Progress(msgspec.Struct, frozen=True, gc=False):
    """A known event without content."""

    type: str


class KeepAlive(msgspec.Struct, frozen=True, gc=False):
    """A sign of life."""


class SplitDelta(msgspec.Struct, frozen=True, gc=False):
    """A delta of which `text` begins or ends inside a character (half of a surrogate pair).

    Servers that cut text by UTF-16 units escape such halves. `event.delta` has U+FFFD for them.
    """

    event: PartDelta | CallDelta
    text: str


TypedWire = (
    TextDelta
    | RefusalDelta
    | ReasoningDelta
    | SummaryDelta
    | TextDone
    | RefusalDone
    | ReasoningDone
    | SummaryDone
    | ContentPartAdded
    | ContentPartDone
    | SummaryPartAdded
    | SummaryPartDone
    | AnnotationAdded
    | ArgumentsDelta
    | InputDelta
    | McpArgumentsDelta
    | CodeDelta
    | ArgumentsDone
    | InputDone
    | McpArgumentsDone
    | CodeDone
    | ItemAdded
    | ItemDone
    | Created
    | Queued
    | InProgress
    | Completed
    | Incomplete
    | Failed
    | Cancelled
)
"""Events with a struct of their own, told apart by `type`."""

ResponsesWire = (
    TypedWire | Error | BlockDelta | Progress | KeepAlive | SplitDelta | Unknown | Done | Comment
)
"""Everything that the parser gives to the normalizer."""

AnyPartDelta = TextDelta | RefusalDelta | ReasoningDelta | SummaryDelta
"""Increments of a part's text."""

AnyCallDelta = ArgumentsDelta | InputDelta | McpArgumentsDelta | CodeDelta
"""Increments of a call's arguments."""

BLOCK_ITEMS = {
    "response.apply_patch_call_operation_diff.delta": "apply_patch_call",
    "response.audio.delta": "audio",
    "response.audio.transcript.delta": "audio",
    "response.image_generation_call.partial_image": "image_generation_call",
    "response.shell_call_command.delta": "shell_call",
    "response.shell_call_output_content.delta": "shell_call_output",
}
"""Increments of items with no common form, and the type of the item."""
