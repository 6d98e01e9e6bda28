"""What a server sent instead of a stream, as typed errors; the same for every HTTP client."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import msgspec

from tokenline.errors import NotAStreamError, ProviderError, StreamError
from tokenline_stages.provider_errors import provider_error

MAX_ANSWER_BYTES = 64 * 1024
"""How much of such an answer is read."""

NO_STREAM_TYPES = ("application/json", "text/html")
"""Media types that are no stream."""

_SHOWN_BYTES = 200
_SHOWN_CHARS = 500
_REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid")


def media_type(headers: Mapping[str, str]) -> str:
    """The `content-type` without its parameters, in lower case; `""` if there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def redirect_error(provider: str, status: int, location: str | None) -> NotAStreamError:
    """The error for a redirect: it is not followed, or keys would go to another server."""
    return NotAStreamError(
        f"{provider}: the server redirects (HTTP {status}) to {location};"
        " keys are not sent along a redirect, set that address as the base URL",
        provider=provider,
        status=status,
    )


def no_stream_error(
    provider: str, status: int, headers: Mapping[str, str], body: bytes
) -> StreamError:
    """The error for an answer of a type that is no stream: what it reports, if it does."""
    answer = decode_answer(body)
    if isinstance(answer, dict) and answer.get("error"):
        return _provider_error(provider, status, headers, answer)
    return NotAStreamError(
        f"{provider}: the server answered with {media_type(headers)}, not an event stream;"
        f" check the base URL and that the server streams: {show(body)}",
        provider=provider,
        status=status,
        request_id=request_id(headers),
    )


def status_error(
    provider: str, status: int, headers: Mapping[str, str], body: bytes
) -> ProviderError:
    """The error for an answer with an error status (400 and above)."""
    return _provider_error(provider, status, headers, decode_answer(body), body)


def decode_answer(body: bytes) -> Any:
    """The JSON value of a body; None if it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def reported(body: Any) -> tuple[str, str | None]:
    """Message and code of an error body in any of the providers' forms."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if isinstance(body, dict):
        message = body.get("message") or body.get("error") or body.get("detail") or ""
        named = (body.get(name) for name in ("code", "type", "status"))
        return str(message), next((x for x in named if isinstance(x, str) and x), None)
    return (body if isinstance(body, str) else ""), None


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's id of the request."""
    return next((headers[name] for name in _REQUEST_IDS if headers.get(name)), None)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of `retry-after-ms` or `retry-after` (RFC 9110, section 10.2.3: or a date)."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= wait_s < math.inf:
            return wait_s
    return _until(headers.get("retry-after", ""))


def aws_code(headers: Mapping[str, str]) -> str | None:
    """The exception that AWS names in `x-amzn-errortype`, spelled as in its event streams."""
    name = headers.get("x-amzn-errortype", "").partition(":")[0].rpartition("#")[2].strip()
    return name[:1].lower() + name[1:] or None


def one_line(text: str) -> str:
    """A server's words as one line of moderate length, for a message."""
    line = " ".join(text[: 2 * _SHOWN_CHARS].split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 3]}..."


def show(body: bytes) -> str:
    """The beginning of a body, for a message."""
    return repr(body[:_SHOWN_BYTES].decode("utf-8", "replace").strip())


def _provider_error(
    provider: str,
    status: int,
    headers: Mapping[str, str],
    answer: Any,
    body: bytes = b"",
) -> ProviderError:
    message, code = reported(answer)
    return provider_error(
        one_line(message) or _in_other_words(status, body),
        provider=provider,
        status=status,
        code=code or aws_code(headers),
        request_id=request_id(headers),
        retry_after_s=retry_after_s(headers),
    )


def _in_other_words(status: int, body: bytes) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "the request failed"
    return f"{phrase}: {show(body)}" if body.strip() else phrase


def _until(date: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
