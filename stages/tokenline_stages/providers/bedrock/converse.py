"""Wire types of Bedrock's ConverseStream.

Source: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStreamOutput.html.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from tokenline.errors import LimitExceededError, MalformedStreamError
from tokenline_stages.wire.items import Unknown

ABSENT = Raw()
"""A member that was not sent."""


class _Event(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    pass


class MessageStart(_Event, frozen=True):
    """The answer begins."""

    role: str | None = None


class ToolUseStart(_Event, frozen=True):
    """A tool call begins. `type` is `server_tool_use` for tools that Bedrock runs."""

    tool_use_id: str | None = None
    name: str | None = None
    type: str | None = None


class BlockStart(_Event, frozen=True):
    """A block begins; text and reasoning blocks do without. `start` has one member, its kind."""

    content_block_index: int = 0
    start: dict[str, Raw] | None = None


class ToolUseDelta(_Event, frozen=True):
    """A fragment of a call's JSON; some models send the object itself."""

    input: str | dict[str, Any] | None = None


class ReasoningDelta(_Event, frozen=True):
    """Reasoning, its signature, or reasoning that cannot be read (base64)."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class Delta(_Event, frozen=True):
    """What is new in a block; one member is set."""

    text: str | None = None
    tool_use: ToolUseDelta | None = None
    reasoning_content: ReasoningDelta | None = None
    citation: Raw = ABSENT
    tool_result: Raw = ABSENT
    image: Raw = ABSENT


class BlockDelta(_Event, frozen=True):
    """A block grows."""

    content_block_index: int = 0
    delta: Delta = Delta()


class BlockStop(_Event, frozen=True):
    """A block is over."""

    content_block_index: int = 0


class MessageStop(_Event, frozen=True):
    """The answer is over; `Metadata` may follow."""

    stop_reason: str | None = None
    additional_model_response_fields: Raw = ABSENT


class StopFields(msgspec.Struct, frozen=True, gc=False):
    """The one additional response field with a common meaning."""

    stop_sequence: str | None = None


class Metadata(_Event, frozen=True):
    """Token counts, latency, and what guardrails and routers did."""

    usage: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    performance_config: dict[str, Any] | None = None
    service_tier: dict[str, Any] | None = None
    trace: Raw = ABSENT


class Failure(msgspec.Struct, frozen=True, gc=False):
    """An exception inside the stream."""

    code: str | None
    message: str


Item = MessageStart | BlockStart | BlockDelta | BlockStop | MessageStop | Metadata

_T = TypeVar("_T")
_decoders: Mapping[str, msgspec.json.Decoder[Item]] = {
    "messageStart": msgspec.json.Decoder(MessageStart),
    "contentBlockStart": msgspec.json.Decoder(BlockStart),
    "contentBlockDelta": msgspec.json.Decoder(BlockDelta),
    "contentBlockStop": msgspec.json.Decoder(BlockStop),
    "messageStop": msgspec.json.Decoder(MessageStop),
    "metadata": msgspec.json.Decoder(Metadata),
}
_tool_use = msgspec.json.Decoder(ToolUseStart)
_stop_fields = msgspec.json.Decoder(StopFields)


def read_event(name: object, payload: bytes) -> Item | Unknown:
    """Read one event of ConverseStream.

    Args:
        name: type of the event.
        payload: its JSON.

    Raises:
        MalformedStreamError: not JSON, or a known member of an impossible type.
        LimitExceededError: JSON nested deeper than the decoder can follow.
    """
    decoder = _decoders.get(name) if isinstance(name, str) else None
    if decoder is None:
        return Unknown(str(name), payload)
    item = read(decoder, payload)
    if type(item) is BlockDelta and item.delta.text is None and _is_unknown(item.delta):
        return Unknown("contentBlockDelta", payload)
    return item


def _is_unknown(delta: Delta) -> bool:
    return (
        delta.tool_use is None
        and delta.reasoning_content is None
        and not (delta.citation or delta.tool_result or delta.image)
    )


def read(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T:
    """Decode, with the errors of `read_event`."""
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedStreamError(f"not an event of Bedrock: {error}") from error
    except RecursionError:
        raise LimitExceededError(
            "an event of Bedrock is nested too deeply", limit="max_json_depth"
        ) from None


def read_tool_use(start: Raw) -> ToolUseStart:
    """The start of a tool call, or what the start of a result says of its call.

    Raises:
        MalformedStreamError: it says something else.
    """
    return read(_tool_use, bytes(start))


def read_stop_sequence(fields: Raw) -> str | None:
    """The stop sequence among `additionalModelResponseFields`, if the model reports it."""
    try:
        return _stop_fields.decode(fields).stop_sequence
    except (ValueError, RecursionError):
        return None
