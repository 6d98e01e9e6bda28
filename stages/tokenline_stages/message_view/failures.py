"""From an error to what clients are told of it."""

from collections.abc import Mapping
from typing import NamedTuple

from tokenline import errors
from tokenline.json_args import pair_surrogates
from tokenline.result import ErrorInfo

from .messages import StopReason


class Failure(NamedTuple):
    """What a client is told of an error.

    Attributes:
        stop_reason: why the response is over.
        error_type: class of the failure.
        message: one line that says what to do.
        detail: status and code, as the provider gave them.
        retryable: whether the same request may succeed if sent again.
    """

    stop_reason: StopReason
    error_type: str
    message: str
    detail: str | None
    retryable: bool


_API = StopReason.LLM_API_ERROR
_INVALID = StopReason.INVALID_LLM_RESPONSE

_KINDS: Mapping[str, tuple[StopReason, str]] = {
    "RunCancelledError": (StopReason.CANCELLED, "cancelled"),
    "StreamTimeoutError": (_API, "llm_timeout"),
    "RateLimitError": (_API, "llm_rate_limit"),
    "AuthenticationError": (_API, "llm_authentication"),
    "PermissionDeniedError": (_API, "llm_authentication"),
    "CreditsError": (StopReason.INSUFFICIENT_CREDITS, "llm_error"),
    "ContextOverflowError": (
        StopReason.CONTEXT_WINDOW_OVERFLOW,
        StopReason.CONTEXT_WINDOW_OVERFLOW.value,
    ),
    "EmptyResponseError": (_INVALID, "llm_empty_response"),
    "MalformedStreamError": (_INVALID, "llm_error"),
    "ContentFilterError": (_INVALID, "llm_error"),
    "StreamCutError": (_API, "stream_incomplete"),
    "ConnectError": (_API, "llm_error"),
    "NotAStreamError": (_API, "llm_error"),
    "ProviderError": (_API, "llm_error"),
}
_OTHERS = (StopReason.ERROR, "internal_error")


def describe_failure(error: BaseException | ErrorInfo) -> Failure:
    """What clients are told of `error`."""
    info = error if isinstance(error, ErrorInfo) else ErrorInfo.from_exception(error)
    kind: type = type(error) if isinstance(error, BaseException) else _class_of(info)
    stop_reason, error_type = _OTHERS
    for base in kind.__mro__:
        if base.__name__ in _KINDS:
            stop_reason, error_type = _KINDS[base.__name__]
            break
    detail = " ".join(str(x) for x in (info.status, info.code) if x is not None)
    return Failure(
        stop_reason,
        error_type,
        info.message,
        pair_surrogates(detail) or None,
        info.retryable,
    )


def _class_of(info: ErrorInfo) -> type:
    found = getattr(errors, info.type, None)
    return found if isinstance(found, type) else Exception
