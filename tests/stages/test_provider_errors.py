"""From a provider's words, codes and statuses to one typed error."""

import math

import pytest

from tokenline.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ContextOverflowError,
    NotFoundError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from tokenline_stages.provider_errors import one_line, provider_error


@pytest.mark.parametrize(
    ("status", "code", "kind", "expected"),
    [
        (None, "invalid_prompt", None, BadRequestError),
        (None, "image_too_large", None, BadRequestError),
        (None, "bio_policy", None, ContentFilterError),
        (None, "image_content_policy_violation", "invalid_request_error", ContentFilterError),
        (None, "vector_store_timeout", None, ServerError),
        (401, "invalid_api_key", "invalid_request_error", AuthenticationError),
        (404, None, "invalid_request_error", NotFoundError),
        (429, None, "invalid_request_error", RateLimitError),
        (500, None, "invalid_request_error", BadRequestError),
        (400, "unsupported_value", "invalid_request_error", BadRequestError),
        (None, "words_of_its_own", "overloaded_error", OverloadedError),
        (200, "rate_limit_exceeded", "server_error", RateLimitError),
        (None, "503", None, OverloadedError),
        (None, "1211", None, ProviderError),
        (None, None, "a_kind", ProviderError),
        (502, None, None, ServerError),
    ],
)
def test_codes_come_first_then_kinds_then_statuses(
    status: int | None, code: str | None, kind: str | None, expected: type[ProviderError]
) -> None:
    error = provider_error("no", provider="acme", status=status, code=code, kind=kind)
    assert type(error) is expected
    assert error.code == (code or kind)
    assert (code or kind or "acme") in str(error)


def test_wording_decides_where_codes_are_vague() -> None:
    for code, kind in (("invalid_prompt", None), (None, "invalid_request_error"), (None, None)):
        error = provider_error("prompt is too long", provider="acme", code=code, kind=kind)
        assert type(error) is ContextOverflowError


@pytest.mark.parametrize(
    ("status", "code", "kind", "message"),
    [
        pytest.param(529, None, None, "no", id="HTTP 529"),
        pytest.param(503, None, None, "no", id="HTTP 503"),
        pytest.param(529, None, "api_error", "no", id="HTTP 529, a vague type"),
        pytest.param(529, "server_error", None, "no", id="HTTP 529, a vague code"),
        pytest.param(503, None, "server_error", "no", id="HTTP 503 of OpenAI"),
        pytest.param(529, "internalServerException", None, "no", id="HTTP 529 of AWS's form"),
        pytest.param(None, None, "overloaded_error", "no", id="Anthropic, inside the stream"),
        pytest.param(
            None,
            "server_error",
            None,
            "The engine is currently overloaded, please try again later",
            id="OpenAI, inside the stream",
        ),
        pytest.param(None, "server_is_overloaded", None, "no", id="OpenAI's own code"),
        pytest.param(500, None, "server_error", "Overloaded", id="HTTP 500 in clear words"),
        pytest.param(502, None, None, "upstream is overloaded", id="a gateway"),
        pytest.param(429, None, None, "The model is overloaded", id="HTTP 429 in clear words"),
        pytest.param(429, None, "engine_overloaded_error", "no", id="Moonshot"),
        pytest.param(429, None, "overloaded", "no", id="TGI"),
        pytest.param(None, "529", None, "no", id="a status as code"),
        pytest.param(503, "UNAVAILABLE", None, "The model is overloaded.", id="Gemini"),
        pytest.param(
            500, "INTERNAL", None, "This model is experiencing high demand.", id="Gemini, busy"
        ),
        pytest.param(None, "serviceUnavailableException", None, "no", id="Bedrock"),
        pytest.param(429, "modelNotReadyException", None, "no", id="Bedrock, model not ready"),
        pytest.param(503, None, None, "server busy, please try again", id="Ollama"),
    ],
)
def test_overload(status: int | None, code: str | None, kind: str | None, message: str) -> None:
    error = provider_error(message, provider="acme", status=status, code=code, kind=kind)
    assert type(error) is OverloadedError
    assert error.retryable


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (429, "throttlingException", RateLimitError),
        (503, "slow_down", RateLimitError),
        (400, "invalid_request_error", BadRequestError),
        (401, None, AuthenticationError),
        (500, "api_error", ServerError),
    ],
)
def test_what_is_not_overload(status: int, code: str | None, expected: type[ProviderError]) -> None:
    error = provider_error("it went wrong", provider="acme", status=status, code=code)
    assert type(error) is expected


@pytest.mark.parametrize("message", ["a\n\n b\t c\r\nd", "x " * 100_000, "\n"])
def test_messages_are_one_line_of_moderate_length(message: str) -> None:
    text = str(provider_error(message, provider="acme", status=500, code="c\n" * 5000))
    assert text.splitlines() == [text]
    assert len(text) < 1100


def test_one_line() -> None:
    assert one_line(" a\n\n b\t") == "a b"
    assert len(one_line("x" * 10_000)) == 500


@pytest.mark.parametrize("wait_s", [math.nan, math.inf, -1.0])
def test_what_is_no_time_is_not_waited_for(wait_s: float) -> None:
    error = provider_error("no", provider="acme", status=429, retry_after_s=wait_s)
    assert error.retry_after_s is None
    assert "wait and send" in str(error)


@pytest.mark.parametrize(
    ("wait_s", "shown"), [(7.0, "7 s"), (0.25, "0.25 s"), (2e9, "2000000000 s"), (0.0, "0 s")]
)
def test_waits_are_shown_in_seconds(wait_s: float, shown: str) -> None:
    error = provider_error("no", provider="acme", status=429, retry_after_s=wait_s)
    assert f"wait {shown} and" in str(error)
