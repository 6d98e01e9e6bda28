"""What a server sent instead of a stream, as typed errors; the same for every HTTP client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from tokenline.errors import NotAStreamError, ProviderError, StreamError
from tokenline_stages.provider_errors import one_line, provider_error

MAX_ANSWER_BYTES = 64 * 1024
"""How much of such an answer is read."""

ANSWER_TIMEOUT_S = 10.0
"""How long it is waited for."""

NO_STREAM_TYPES = ("application/json", "text/html")
"""Media types that are no stream."""

_SHOWN_BYTES = 200
_REQUEST_IDS = ("x-request-id", "request-id", "x-amzn-requestid")


async def read_answer(read: Callable[[], Awaitable[bytes]]) -> bytes:
    """The body of an answer that is no stream: as much as is of use and can be had in time.

    Args:
        read: gives the next bytes, `b""` at the end. If it raises, what came before is enough.
    """
    body = b""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while len(body) < MAX_ANSWER_BYTES:
                data = await read()
                if not data:
                    break
                body += data
    except Exception:
        pass  # that the answer itself broke off is not what the user must know
    return body[:MAX_ANSWER_BYTES]


def media_type(headers: Mapping[str, str]) -> str:
    """The `content-type` without its parameters, in lower case; `""` if there is none."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def redirect_error(provider: str, status: int, location: str | None) -> NotAStreamError:
    """The error for a redirect: it is not followed, or keys would go to another server."""
    if not location:
        return NotAStreamError(
            f"{provider}: the server answered with HTTP {status} and no address to go to instead;"
            " check the base URL",
            provider=provider,
            status=status,
        )
    return NotAStreamError(
        f"{provider}: the server redirects (HTTP {status}) to {one_line(location)};"
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


class Reported(NamedTuple):
    """What an error body says.

    Attributes:
        message: the words, `""` for none.
        code: the error's code.
        kind: its type, or Google's status.
    """

    message: str
    code: str | None = None
    kind: str | None = None


def read_report(body: Any) -> Reported:
    """What an error body in any of the providers' forms says."""
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if not isinstance(body, dict):
        return Reported(body if isinstance(body, str) else "")
    words = (body.get(name) for name in ("message", "Message", "error", "detail"))
    kind = _text(body, "type") or _text(body, "status")
    code = _text(body, "code") or aws_name(_text(body, "__type") or "")
    return Reported(str(next(filter(None, words), "")), code, kind)


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None


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


def aws_name(shape: str) -> str | None:
    """The exception that AWS names, spelled as in its event streams; None if it names none.

    AWS puts the name into the header `x-amzn-errortype` or the body's `__type`, with a namespace
    before it or an address after it (Smithy, AWS restJson1 protocol, operation errors).
    """
    name = shape.partition(":")[0].rpartition("#")[2].strip()
    return name[:1].lower() + name[1:] or None


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
    message, code, kind = read_report(answer)
    return provider_error(
        one_line(message) or _in_other_words(status, body),
        provider=provider,
        status=status,
        code=code or aws_name(headers.get("x-amzn-errortype", "")),
        kind=kind,
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
