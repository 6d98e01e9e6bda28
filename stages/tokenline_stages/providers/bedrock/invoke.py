"""Chunks of InvokeModelWithResponseStream, said in the words of Converse.

Every family of models has its own JSON. Amazon Nova nests Converse's events; the others give
text, a reason and counts under names of their own, read here by shape, not by model name:

| shape | models |
|---|---|
| `outputText`, `completionReason` | Amazon Titan Text |
| `generation`, `stop_reason` | Meta Llama |
| `outputs[].text`, `.stop_reason` | Mistral |
| `choices[]` with `delta`, `message` or `text` | OpenAI, Qwen, DeepSeek, Jamba, Mistral chat ... |
| `text`, `is_finished`, `finish_reason`, `event_type` | Cohere Command R |
| `generations[]` with `text`, `finish_reason` | Cohere Command |
| `completion`, `stop_reason` | text completion |

Source: docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html and
docs.aws.amazon.com/nova/latest/userguide.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, field

from tokenline.errors import MalformedStreamError
from tokenline_stages.wire.items import Unknown
from tokenline_stages.wire.json_text import mend_text

from .converse import (
    ABSENT,
    BlockDelta,
    BlockStart,
    BlockStop,
    Delta,
    Item,
    MessageStart,
    MessageStop,
    Metadata,
    ReasoningDelta,
    ToolUseDelta,
    read,
)

_TEXT_INDEX = 0
_REASONING_INDEX = -1
_FIRST_CALL_INDEX = 1
METRICS = "amazon-bedrock-invocationMetrics"
"""Bedrock's own counts and latencies, in the last chunk of every model."""

_COUNTS = (
    "inputTextTokenCount",
    "totalOutputTextTokenCount",
    "prompt_token_count",
    "generation_token_count",
)


class Failure(msgspec.Struct, frozen=True, gc=False):
    """An exception inside the stream; `code` as in the API's list of exceptions."""

    code: str | None
    message: str


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """What one chunk holds. Blocks of text that follow one another are one text."""

    items: tuple[Item | Failure | Unknown, ...]
    id: str | None = None
    model: str | None = None


class _Function(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None


class _ToolCall(msgspec.Struct, frozen=True, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None
    name: str | None = None  # Cohere
    parameters: dict[str, Any] | None = None  # Cohere


class _Message(msgspec.Struct, frozen=True, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: tuple[_ToolCall, ...] | None = None


class _Choice(msgspec.Struct, frozen=True, gc=False):
    index: int | None = None
    delta: _Message | None = None
    message: _Message | None = None
    text: str | None = None
    finish_reason: str | None = None
    stop_reason: str | None = None


class _Output(msgspec.Struct, frozen=True, gc=False):
    text: str | None = None
    stop_reason: str | None = None
    finish_reason: str | None = None


class _Shape(msgspec.Struct, frozen=True, gc=False):
    message_start: MessageStart | None = field(name="messageStart", default=None)
    block_start: BlockStart | None = field(name="contentBlockStart", default=None)
    block_delta: BlockDelta | None = field(name="contentBlockDelta", default=None)
    block_stop: BlockStop | None = field(name="contentBlockStop", default=None)
    message_stop: MessageStop | None = field(name="messageStop", default=None)
    metadata: Metadata | None = None
    metrics: dict[str, Any] | None = field(name=METRICS, default=None)
    trace: Raw = field(name="amazon-bedrock-trace", default=ABSENT)
    error: Any = None
    outputText: str | None = None
    completionReason: str | None = None
    inputTextTokenCount: int | None = None
    totalOutputTextTokenCount: int | None = None
    generation: str | None = None
    completion: str | None = None
    stop_reason: str | None = None
    prompt_token_count: int | None = None
    generation_token_count: int | None = None
    outputs: tuple[_Output, ...] | None = None
    generations: tuple[_Output, ...] | None = None
    choices: tuple[_Choice, ...] | None = None
    usage: dict[str, Any] | None = None
    text: str | None = None
    finish_reason: str | None = None
    tool_calls: tuple[_ToolCall, ...] | None = None
    citations: tuple[Raw, ...] | None = None
    is_finished: bool | None = None
    id: str | int | None = None
    model: str | None = None


_shape = msgspec.json.Decoder(_Shape)


def read_chunk(data: bytes) -> Chunk | Unknown:
    """Read the JSON of one chunk.

    Raises:
        MalformedStreamError: not JSON, or a known member of an impossible type.
        LimitExceededError: JSON nested deeper than the decoder can follow.
    """
    try:
        shape = read(_shape, data)
    except MalformedStreamError:
        shape = read(_shape, mend_text(data))
    items = (*_events(shape, data), *_content(shape), *_end(shape))
    if not items and shape == _Shape():
        return Unknown("chunk", data)
    id_ = None if shape.id is None else str(shape.id)
    return Chunk(items, id_, shape.model)


def _events(shape: _Shape, data: bytes) -> Iterator[Item | Failure | Unknown]:
    if shape.message_start is not None:
        yield shape.message_start
    if shape.block_start is not None:
        yield shape.block_start
    if shape.block_delta is not None:
        yield shape.block_delta
    if shape.block_stop is not None:
        yield shape.block_stop
    if shape.message_stop is not None:
        yield shape.message_stop
    if shape.error is not None:
        yield Failure(None, str(shape.error))
    for choice in shape.choices or ():
        if choice.index:
            yield Unknown("choice", data)


def _content(shape: _Shape) -> Iterator[Item]:
    for text in (shape.outputText, shape.generation, shape.completion, shape.text):
        if text:
            yield _text(text)
    for output in (*(shape.outputs or ()), *(shape.generations or ())):
        if output.text:
            yield _text(output.text)
    for choice in shape.choices or ():
        if not choice.index:
            yield from _choice(choice)
    for citation in shape.citations or ():
        yield BlockDelta(_TEXT_INDEX, Delta(citation=citation))
    yield from _calls(shape.tool_calls)


def _text(text: str) -> BlockDelta:
    return BlockDelta(_TEXT_INDEX, Delta(text))


def _choice(choice: _Choice) -> Iterator[Item]:
    message = choice.delta or choice.message or _Message()
    reasoning = message.reasoning_content or message.reasoning
    if reasoning:
        yield BlockDelta(_REASONING_INDEX, Delta(reasoning_content=ReasoningDelta(reasoning)))
    text = message.content or choice.text
    if text:
        yield _text(text)
    yield from _calls(message.tool_calls)


def _calls(calls: tuple[_ToolCall, ...] | None) -> Iterator[Item]:
    for number, call in enumerate(calls or ()):
        index = _FIRST_CALL_INDEX + (number if call.index is None else call.index)
        function = call.function or _Function(call.name, call.parameters)
        if function.name:
            start = {"toolUseId": call.id, "name": function.name}
            yield BlockStart(index, {"toolUse": Raw(msgspec.json.encode(start))})
        if function.arguments:
            yield BlockDelta(index, Delta(tool_use=ToolUseDelta(function.arguments)))


def _end(shape: _Shape) -> Iterator[Item]:
    reason = _reason(shape)
    if reason:
        yield MessageStop(reason)
    usage = {name: count for name in _COUNTS if (count := getattr(shape, name)) is not None}
    metadata = shape.metadata or Metadata()
    for more in (shape.usage, metadata.usage, shape.metrics and {METRICS: shape.metrics}):
        usage |= more or {}
    if usage or shape.metadata is not None or shape.trace:
        yield msgspec.structs.replace(
            metadata, usage=usage or None, trace=shape.trace or metadata.trace
        )


def _reason(shape: _Shape) -> str | None:
    choices = [
        choice.finish_reason or choice.stop_reason
        for choice in shape.choices or ()
        if not choice.index
    ]
    outputs = [output.stop_reason for output in shape.outputs or ()]
    generations = [generation.finish_reason for generation in shape.generations or ()]
    named = (shape.completionReason, shape.stop_reason, shape.finish_reason)
    reasons = (*named, *outputs, *generations, *choices)
    return next((reason for reason in reasons if reason), None)
