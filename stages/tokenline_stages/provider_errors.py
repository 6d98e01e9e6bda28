"""From what a provider says of a failure to one typed error; the rules are data.

Used for HTTP errors before the stream and for error events inside it: Anthropic's 529 arrives
with HTTP status 200 and an `overloaded_error`, OpenAI-compatible servers send `{"error": ...}`.
"""

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
    (re.compile(r"overloaded", re.IGNORECASE), OverloadedError),
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


def _class_of(message: str, status: int | None, code: str | None) -> type[ProviderError]:
    by_code = _BY_CODE.get(code or "")
    if by_code is not None and by_code is not BadRequestError:
        return by_code
    if by_code is BadRequestError or status in (None, 200, 400, 429, 500):
        for pattern, error_type in _BY_TEXT:
            if pattern.search(message):
                return error_type
    if by_code is not None:
        return by_code
    if code and code.isdigit():
        status = int(code)
    if status is None:
        return ProviderError
    return _BY_STATUS.get(status) or (ServerError if status >= 500 else ProviderError)


def provider_error(
    message: str,
    *,
    provider: str,
    status: int | None = None,
    code: str | None = None,
    request_id: str | None = None,
    retry_after_s: float | None = None,
) -> ProviderError:
    """The typed error for what a provider reported.

    Args:
        message: the provider's own words.
        provider: its name, for the message.
        status: HTTP status; None or 200 for an error inside the stream.
        code: the provider's error code or type (a number as text counts as a status).
        request_id: the provider's id of the request.
        retry_after_s: seconds the provider asks to wait.
    """
    error_type = _class_of(message, status, code)
    label = " ".join(str(x) for x in (status, code) if x is not None)
    cure = _CURES.get(error_type)
    if retry_after_s is not None:
        cure = f"wait {retry_after_s:g} s and send it again"
    text = f"{provider}: {message}" + (f" ({label})" if label else "")
    text += f"; {cure}" if cure else ""
    return error_type(
        text,
        provider=provider,
        status=status,
        code=code,
        request_id=request_id,
        retry_after_s=retry_after_s,
    )
