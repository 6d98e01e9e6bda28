"""Errors inside an HTTP 200 stream: the many forms of them, and the typed error each becomes."""

from collections.abc import Mapping
from typing import Any

from tokenline.errors import ProviderError
from tokenline_stages.provider_errors import provider_error

from .chunk import ChatChunk, ErrorChunk
from .lenient import number_of, text_of, write

_MOST_TEXT = 2000
_NO_WORDS: tuple[Any, ...] = (None, "", 0, True, [], {})
_NO_FIELDS: Mapping[str, Any] = {}


def error_in(value: Mapping[str, Any]) -> Any:
    """The error in an event's object; None if it is no error.

    Known forms: `{"error": {...}}` (OpenAI and most others), `{"error": "text"}` (Hugging Face,
    xAI, LM Studio), `{"object": "error", ...}` (vLLM, Mistral), `{"detail": ...}` (FastAPI),
    `{"base_resp": {"status_code": ..., "status_msg": ...}}` (MiniMax), `{"error_code": ...,
    "error_msg": ...}` (Qianfan), `{"errors": [...]}` (Cloudflare), and `{"message": ..., "code",
    "status" or "error": true ...}` (gateways).
    """
    error = value.get("error") or value.get("errors")
    if error:
        return _told(error, value)
    base = value.get("base_resp")
    if isinstance(base, Mapping) and number_of(base.get("status_code")):
        return {"message": base.get("status_msg"), "code": base.get("status_code")}
    if value.get("choices"):
        return None
    kind = value.get("type")
    if value.get("object") == "error" or (isinstance(kind, str) and "error" in kind):
        return value
    if "detail" in value or value.get("error_code") or value.get("error_msg"):
        return value
    return value if "message" in value and ("code" in value or "status" in value) else None


def _told(error: Any, around: Mapping[str, Any]) -> Any:
    """The error itself: the first of a list; a mere mark says that it stands around."""
    if isinstance(error, list):
        error = error[0]
    return around if error is True else error


def read_failure(
    error: Any, data: bytes, around: Mapping[str, Any], chunk: ChatChunk | None = None
) -> ErrorChunk:
    """Describe an error in common terms.

    Args:
        error: the error itself: an object, or only words.
        data: the event as sent.
        around: the object that the error was in; some servers put the code there.
        chunk: what else the event carried.
    """
    fields = error if isinstance(error, Mapping) else around
    details = fields.get("metadata")
    details = details if isinstance(details, Mapping) else _NO_FIELDS
    status = number_of(fields.get("status_code")) or number_of(fields.get("status"))
    kind = text_of(fields.get("type")) or text_of(fields.get("error_type"))
    wait = fields.get("retry_after", details.get("retry_after_seconds"))
    return ErrorChunk(
        message=_message(error, details),
        code=text_of(fields.get("code")) or text_of(fields.get("error_code")) or None,
        type=kind,
        status=status,
        retry_after_s=float(wait) if isinstance(wait, int | float) else None,
        data=data,
        chunk=chunk,
    )


def _message(error: Any, details: Mapping[str, Any]) -> str:
    words: Any = error
    if isinstance(error, Mapping):
        keys = ("message", "detail", "msg", "error_msg", "error")
        words = next((error[key] for key in keys if error.get(key) not in _NO_WORDS), error)
    message = words if isinstance(words, str) else write(words).decode("utf-8", "replace")
    # OpenRouter says "Provider returned error" and puts the provider's own words beside it.
    upstream = details.get("raw")
    if isinstance(upstream, str) and upstream not in message:
        message = f"{message}: {upstream}"
    message = " ".join(message.split())
    return message[:_MOST_TEXT] or "the server reported an error without a word"


def typed_error(failure: ErrorChunk, provider: str) -> ProviderError:
    """The error to raise; the event as sent is a note on it."""
    error = provider_error(
        failure.message,
        provider=provider,
        status=failure.status,
        code=failure.code,
        kind=failure.type,
        retry_after_s=failure.retry_after_s,
    )
    if failure.data:
        error.add_note(failure.data[:_MOST_TEXT].decode("utf-8", "replace"))
    return error
