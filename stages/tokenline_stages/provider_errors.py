"""From what a provider says of a failure to one typed error; the rules are data.

Used for HTTP errors before the stream and for error events inside it: Anthropic's 529 arrives
with HTTP status 200 and an `overloaded_error`, OpenAI-compatible servers send `{"error": ...}`.
"""

import math
import re

from tokenline.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextOverflowError,
    CreditsError,
    NotFoundError,
    OverloadedError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
    ServerError,
)

_BY_CODE: dict[str, type[ProviderError]] = {
    # Anthropic: docs.anthropic.com/en/api/errors
    "invalid_request_error": BadRequestError,
    "authentication_error": AuthenticationError,
    "billing_error": CreditsError,
    "permission_error": PermissionDeniedError,
    "not_found_error": NotFoundError,
    "request_too_large": ContextOverflowError,
    "rate_limit_error": RateLimitError,
    "timeout_error": ServerError,
    "api_error": ServerError,
    "overloaded_error": OverloadedError,
    # OpenAI: platform.openai.com/docs/guides/error-codes and the Responses error codes
    "invalid_api_key": AuthenticationError,
    "insufficient_quota": CreditsError,
    "context_length_exceeded": ContextOverflowError,
    "rate_limit_exceeded": RateLimitError,
    "model_not_found": NotFoundError,
    "content_filter": ContentFilterError,
    "content_policy_violation": ContentFilterError,
    "server_error": ServerError,
    "server_is_overloaded": OverloadedError,
    "slow_down": RateLimitError,
    # Compatible servers: Moonshot (platform.moonshot.ai, errors), Hugging Face TGI's error types
    "engine_overloaded_error": OverloadedError,
    "overloaded": OverloadedError,
    # OpenAI: the API reference's codes of a failed response
    "invalid_prompt": BadRequestError,
    "data_residency_mismatch": BadRequestError,
    "bio_policy": ContentFilterError,
    "cyber_policy": ContentFilterError,
    "misalignment_policy_violation": ContentFilterError,
    "image_content_policy_violation": ContentFilterError,
    "vector_store_timeout": ServerError,
    "invalid_image": BadRequestError,
    "invalid_image_format": BadRequestError,
    "invalid_base64_image": BadRequestError,
    "invalid_image_url": BadRequestError,
    "invalid_image_mode": BadRequestError,
    "image_too_large": BadRequestError,
    "image_too_small": BadRequestError,
    "image_parse_error": BadRequestError,
    "image_file_too_large": BadRequestError,
    "image_file_not_found": BadRequestError,
    "empty_image_file": BadRequestError,
    "unsupported_image_media_type": BadRequestError,
    "failed_to_download_image": BadRequestError,
    # Google: google.rpc.Code
    "INVALID_ARGUMENT": BadRequestError,
    "FAILED_PRECONDITION": BadRequestError,
    "UNAUTHENTICATED": AuthenticationError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "RESOURCE_EXHAUSTED": RateLimitError,
    "INTERNAL": ServerError,
    "UNAVAILABLE": OverloadedError,
    "DEADLINE_EXCEEDED": ServerError,
    # AWS Bedrock runtime exceptions
    "validationException": BadRequestError,
    "accessDeniedException": PermissionDeniedError,
    "resourceNotFoundException": NotFoundError,
    "throttlingException": RateLimitError,
    "serviceQuotaExceededException": RateLimitError,
    "serviceUnavailableException": OverloadedError,
    "modelNotReadyException": OverloadedError,
    "internalServerException": ServerError,
    "modelStreamErrorException": ServerError,
    "modelTimeoutException": ServerError,
    "modelErrorException": ServerError,
}

_BY_STATUS: dict[int, type[ProviderError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: CreditsError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: BadRequestError,
    413: ContextOverflowError,
    422: BadRequestError,
    429: RateLimitError,
    503: OverloadedError,
    529: OverloadedError,
}

# OpenAI's "The engine is currently overloaded" is a server_error; Gemini's models are under "high
# demand", Ollama is a "server busy", Mistral's service tier has its "capacity exceeded".
_OVERLOADED = re.compile(
    r"overloaded|server (is )?busy|(at|over) capacity|capacity exceeded|experiencing high demand",
    re.IGNORECASE,
)
_OVERLOADED_STATUS = (503, 529)

# Wordings, for servers that send no usable code; first match wins.
_BY_TEXT: tuple[tuple[re.Pattern[str], type[ProviderError]], ...] = (
    (
        re.compile(
            r"maximum context length|exceeds the context window|context_length_exceeded"
            r"|prompt is too long|input is too long|exceeds? the (available|maximum) context"
            r"|exceeds the maximum allowed input length|input tokens exceed the configured limit",
            re.IGNORECASE,
        ),
        ContextOverflowError,
    ),
    (
        re.compile(r"insufficient (credits?|balance|quota|funds)|credit balance", re.IGNORECASE),
        CreditsError,
    ),
    (_OVERLOADED, OverloadedError),
    (re.compile(r"rate.?limit|too many requests", re.IGNORECASE), RateLimitError),
    (re.compile(r"content.?(filter|policy|management)", re.IGNORECASE), ContentFilterError),
)


_CURES: dict[type[ProviderError], str] = {
    AuthenticationError: "check the API key",
    PermissionDeniedError: "check what this key may do",
    CreditsError: "check the account's credit and quota",
    NotFoundError: "check the model name and the base URL",
    RateLimitError: "wait and send it again",
    OverloadedError: "wait and send it again",
    ServerError: "send it again later",
    ContextOverflowError: "shorten the input",
}


_SHOWN_CHARS = 500


def one_line(text: str) -> str:
    """A server's words as one line of moderate length, for a message."""
    line = " ".join(text[: 2 * _SHOWN_CHARS].split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[: _SHOWN_CHARS - 3]}..."


def _class_of(
    message: str, status: int | None, code: str | None, kind: str | None
) -> type[ProviderError]:
    named = next((_BY_CODE[name] for name in (code, kind) if name in _BY_CODE), None)
    if named in (None, ServerError) and _tells_overload(message, status):
        # Such codes say no more than that it is the server's fault.
        return OverloadedError
    if named is not None and named is not BadRequestError:
        return named
    if named is BadRequestError or status in (None, 200, 400, 429, 500):
        for pattern, error_type in _BY_TEXT:
            if pattern.search(message):
                return error_type
    if code and code.isdecimal() and len(code) == 3:
        status = int(code)
    by_status = _BY_STATUS.get(status or 0)
    if named is not None:
        # OpenAI calls every refusal an invalid request; the status says which.
        return by_status if by_status is not None and (status or 0) < 500 else named
    if by_status is not None:
        return by_status
    return ServerError if status is not None and status >= 500 else ProviderError


def _tells_overload(message: str, status: int | None) -> bool:
    if status in (None, 200) or status >= 500:
        return status in _OVERLOADED_STATUS or _OVERLOADED.search(message) is not None
    return False


def provider_error(
    message: str,
    *,
    provider: str,
    status: int | None = None,
    code: str | None = None,
    kind: str | None = None,
    request_id: str | None = None,
    retry_after_s: float | None = None,
) -> ProviderError:
    """The typed error for what a provider reported.

    Its class goes by the code, then the kind, then wording and status.

    Args:
        message: the provider's own words; shown on one line, the first 500 characters of it.
        provider: its name, for the message.
        status: HTTP status; None or 200 for an error inside the stream.
        code: the provider's error code (a number as text counts as a status).
        kind: its error type, where it sends one beside the code or instead of it.
        request_id: the provider's id of the request.
        retry_after_s: seconds the provider asks to wait; what is no time is ignored.
    """
    error_type = _class_of(message, status, code, kind)
    code = code or kind or None
    if retry_after_s is not None and not 0 <= retry_after_s < math.inf:
        retry_after_s = None
    label = " ".join(str(x) for x in (status, code) if x is not None)
    cure = _CURES.get(error_type)
    if retry_after_s is not None:
        cure = f"wait {_seconds(retry_after_s)} s and send it again"
    text = f"{provider}: {one_line(message)}" + (f" ({one_line(label)})" if label else "")
    text += f"; {cure}" if cure else ""
    return error_type(
        text,
        provider=provider,
        status=status,
        code=code,
        request_id=request_id,
        retry_after_s=retry_after_s,
    )


def _seconds(wait_s: float) -> str:
    return f"{wait_s:.3f}".rstrip("0").rstrip(".") if wait_s < 1000 else f"{wait_s:.0f}"
