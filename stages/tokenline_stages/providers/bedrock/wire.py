"""Wire items of Bedrock: both streaming APIs, from the same frames.

Frames are of the AWS event stream; their headers say what the payload is. InvokeModel's payload
is the model's own JSON in base64. Source:
docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html and
API_runtime_InvokeModelWithResponseStream.html.
"""

from collections.abc import Mapping

import msgspec

from tokenline_stages.wire.aws_eventstream import Frame
from tokenline_stages.wire.items import Unknown

from . import converse
from .invoke import Chunk, Failure, read_chunk

Item = converse.Item | Chunk | Failure | Unknown


class _Payload(msgspec.Struct, frozen=True, gc=False):
    data: bytes | None = msgspec.field(name="bytes", default=None)  # base64 in JSON


class _Exception(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    message: str | None = None
    capital_message: str | None = msgspec.field(name="Message", default=None)
    original_message: str | None = None


_payload = msgspec.json.Decoder(_Payload)
_exception = msgspec.json.Decoder(_Exception)


def decode(frame: Frame) -> Item:
    """Read one frame.

    Raises:
        MalformedStreamError: the payload is not JSON, or a known member of an impossible type.
        LimitExceededError: JSON nested deeper than the decoder can follow.
    """
    headers = frame.headers
    if headers.get(":message-type", "event") != "event":
        return _read_failure(headers, frame.payload)
    name = headers.get(":event-type")
    if name != "chunk":
        return converse.read_event(name, frame.payload)
    data = converse.read(_payload, frame.payload).data
    return Unknown("chunk", frame.payload) if data is None else read_chunk(data)


def _read_failure(headers: Mapping[str, object], payload: bytes) -> Failure:
    code = headers.get(":exception-type") or headers.get(":error-code")
    try:
        said = _exception.decode(payload)
    except (ValueError, RecursionError):
        said = _Exception(payload.decode("utf-8", "replace"))
    words = [said.message or said.capital_message, said.original_message]
    if not any(words):
        words = [str(headers.get(":error-message") or "an exception without a message")]
    message = "; ".join(dict.fromkeys(word for word in words if word))
    return Failure(str(code)[:1].lower() + str(code)[1:] if code else None, message)
