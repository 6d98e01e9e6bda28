"""Wire types of Gemini's `streamGenerateContent?alt=sse`.

Every SSE event is a whole `GenerateContentResponse` with the content that is new; there is no
end marker. Source: ai.google.dev/api/generate-content and ai.google.dev/api/caching#Part.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from tokenline.errors import LimitExceededError, MalformedStreamError
from tokenline_stages.wire.items import Unknown


class FunctionCall(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A call. Vertex AI may stream its arguments: `partial_args` until `will_continue` ends."""

    name: str | None = None
    id: str | None = None
    args: Raw = Raw()
    partial_args: Raw = Raw()
    will_continue: bool | None = None


class Part(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Text, thought or function call; a part of any other kind is read by `read_part`."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class Content(msgspec.Struct, frozen=True, gc=False):
    """New parts of a candidate."""

    parts: tuple[Part, ...] | None = None


class Candidate(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """What is new in one candidate."""

    index: int | None = None
    content: Content | None = None
    finish_reason: str | None = None
    finish_message: Raw = Raw()
    safety_ratings: Raw = Raw()
    citation_metadata: Raw = Raw()
    grounding_metadata: Raw = Raw()
    url_context_metadata: Raw = Raw()
    avg_logprobs: Raw = Raw()
    logprobs_result: Raw = Raw()


class PromptFeedback(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Whether the prompt was blocked."""

    block_reason: str | None = None


class ErrorDetail(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One detail of an error; `retry_delay` ("34s") comes with google.rpc.RetryInfo."""

    retry_delay: str | None = None


class Error(msgspec.Struct, frozen=True, gc=False):
    """A google.rpc.Status; `status` is the name of its code."""

    message: str | None = None
    code: int | str | None = None
    status: str | None = None
    details: Raw = Raw()


class Chunk(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One event. `data` is its JSON as sent."""

    candidates: tuple[Candidate, ...] | None = None
    usage_metadata: dict[str, Any] | None = None
    prompt_feedback: PromptFeedback | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: Error | str | None = None
    data: bytes = msgspec.field(name="//", default=b"")  # a name that no response uses


class Chunks(msgspec.Struct, frozen=True, gc=False):
    """Several responses in one JSON array: the form of error bodies and of `alt=json`."""

    chunks: tuple[Chunk, ...]


class RawPart(msgspec.Struct, frozen=True, gc=False):
    """A part of any kind: `type` is its first member that holds content."""

    type: str
    data: bytes
    call_id: str | None = None


_T = TypeVar("_T")
Item = Chunk | Chunks | Unknown

_chunk = msgspec.json.Decoder(Chunk)
_array = msgspec.json.Decoder(tuple[Raw, ...])
_details = msgspec.json.Decoder(tuple[ErrorDetail, ...])
_members = msgspec.json.Decoder(dict[str, Raw])
BESIDE_CONTENT = frozenset(
    {"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"}
)
_NO_CONTENT = (frozenset({b"null"}), frozenset({b"null", b'""'}))


class _CallId(msgspec.Struct, frozen=True, gc=False):
    id: Any = None


class _RawContent(msgspec.Struct, frozen=True, gc=False):
    parts: tuple[Raw, ...] | None = None


class _RawCandidate(msgspec.Struct, frozen=True, gc=False):
    content: _RawContent | None = None


class _RawChunk(msgspec.Struct, frozen=True, gc=False):
    candidates: tuple[_RawCandidate, ...] | None = None


_raw_chunk = msgspec.json.Decoder(_RawChunk)
_call_id = msgspec.json.Decoder(_CallId)


def decode(name: str, data: bytes) -> Item:
    """Read one SSE event; also the JSON array that `alt=json` and some error bodies are.

    Args:
        name: event name; Gemini sends none.
        data: joined data lines.

    Raises:
        MalformedStreamError: not JSON, or a known field of an impossible type.
        LimitExceededError: JSON nested deeper than the decoder can follow.
    """
    if data[:1] == b"[":
        parts = _read(_array, data)
        return Chunks(tuple(_decode_chunk(bytes(part)) for part in parts))
    chunk = _decode_chunk(data)
    if chunk.candidates is None and chunk.usage_metadata is None and _is_unknown(chunk):
        return Unknown(name.strip() or "chunk", data)
    return chunk


def _read(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedStreamError(f"not a response of Gemini: {error}") from error
    except RecursionError:
        raise LimitExceededError(
            "a response of Gemini is nested too deeply", limit="max_json_depth"
        ) from None


def _decode_chunk(data: bytes) -> Chunk:
    chunk = _read(_chunk, data)
    msgspec.structs.force_setattr(chunk, "data", data)
    return chunk


def _is_unknown(chunk: Chunk) -> bool:
    return (
        chunk.error is None
        and chunk.prompt_feedback is None
        and chunk.response_id is None
        and chunk.model_version is None
    )


def read_parts(data: bytes) -> list[tuple[Raw, ...]]:
    """The parts of each candidate of a chunk, in order, as sent; for `read_part`.

    Raises:
        MalformedStreamError: a part that cannot be read.
        LimitExceededError: JSON nested deeper than the decoder can follow.
    """
    candidates = _read(_raw_chunk, data).candidates or ()
    return [(one.content and one.content.parts) or () for one in candidates]


def read_part(raw: Raw) -> RawPart:
    """One part, whatever its kind. Empty text is no content.

    Raises:
        MalformedStreamError: it cannot be read.
        LimitExceededError: JSON nested deeper than the decoder can follow.
    """
    data = bytes(raw)
    for key, value in _read(_members, data).items():
        content = bytes(value)
        if key in BESIDE_CONTENT or content in _NO_CONTENT[key == "text"]:
            continue
        call_id = _read(_call_id, content).id if content[:1] == b"{" else None
        return RawPart(key, data, call_id if isinstance(call_id, str) else None)
    return RawPart("part", data)


def read_member(data: bytes, name: str) -> bytes:
    """One member of a chunk as sent; empty if there is none.

    Raises:
        MalformedStreamError: not a JSON object.
    """
    return bytes(_read(_members, data).get(name, b""))


def retry_after_s(error: Error) -> float | None:
    """Seconds that an error asks to wait, from its google.rpc.RetryInfo."""
    try:
        for detail in _details.decode(error.details):
            if detail.retry_delay:
                return float(detail.retry_delay.removesuffix("s"))
    except (ValueError, RecursionError):
        return None
    return None
