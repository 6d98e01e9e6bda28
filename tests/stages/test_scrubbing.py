"""What is taken out of recorded exchanges, and what stays."""

import pytest

from tokenline.redaction import MARK
from tokenline_stages.scrubbing import (
    Scrubber,
    is_secret_parameter,
    redact_body,
    redact_headers,
    redact_url,
)

SECRET_NAMES = [
    *("Ocp-Apim-Subscription-Key", "x-functions-key", "X-Auth", "Authentication", "x-access-key"),
    *("api_key", "x-session", "Proxy-Authorization", "set-cookie", "x-goog-iam-assertion"),
    *("Authorization", "x-amz-security-token", "openai-organization", "subscriptionKey"),
    *("X-Amz-Signature", "X-Amz-Credential", "sig", "jwt", "x-apikey-id"),
]
PLAIN_NAMES = [
    *("content-type", "retry-after", "x-request-id", "x-ratelimit-remaining-tokens", "cf-ray"),
    *("openai-processing-ms", "anthropic-ratelimit-tokens-reset", "www-authenticate", "date"),
    *("server", "alt", "api-version", "access", "author"),
]
HARMLESS = [
    *("content-type", "accept", "user-agent", "anthropic-version", "anthropic-beta"),
    *("openai-beta", "x-tokenline-plan"),
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_secret_names(name: str) -> None:
    assert is_secret_parameter(name)
    assert Scrubber({}).response_headers([(name, "v")]) == ((name, MARK),)
    assert redact_url(f"http://h/p?a=1&{name}=S&b=2#{name}=S") == (
        f"http://h/p?a=1&{name}={MARK}&b=2#{name}={MARK}"
    )


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_other_names(name: str) -> None:
    assert Scrubber({}).response_headers([(name, "v")]) == ((name, "v"),)
    assert redact_url(f"http://h/p?{name}=v") == f"http://h/p?{name}=v"


def test_of_request_headers_only_what_is_known_to_be_harmless_stays() -> None:
    assert redact_headers(dict.fromkeys(HARMLESS, "v")) == dict.fromkeys(HARMLESS, "v")
    unknown = [*SECRET_NAMES, "x-tenant", "openai-project"]
    assert redact_headers(dict.fromkeys(unknown, "v")) == dict.fromkeys(unknown, MARK)
    assert redact_headers({"user-agent": "me sk-abcdefgh12345678"}) == {"user-agent": f"me {MARK}"}


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("http://user:pw@h:1/v1", f"http://{MARK}@h:1/v1"),
        ("http://token@h/v1", f"http://{MARK}@h/v1"),
        ("http://a:b@c@h/v1", f"http://{MARK}@h/v1"),
        ("http://h/@a?to=b@c", "http://h/@a?to=b@c"),
        ("//h:80?%6bey=a%26b", f"//h:80?%6bey={MARK}"),
        ("http://h/api?code=abc==", f"http://h/api?code={MARK}"),
        ("http://h/?api%5Fkey=a;b'c", f"http://h/?api%5Fkey={MARK}"),
        ("", ""),
    ],
)
def test_urls(url: str, clean: str) -> None:
    assert redact_url(url) == clean
    assert redact_url(clean) == clean


def test_urls_in_texts() -> None:
    text = 'GET "http://u:p@h/?x=1&sig=abc" failed, see <//k@i/?auth=z>; 1 = 2'
    assert Scrubber({}).text(text) == (
        f'GET "http://{MARK}@h/?x=1&sig={MARK}" failed, see <//{MARK}@i/?auth={MARK}>; 1 = 2'
    )


def test_bodies_lose_secrets_at_any_depth_and_nothing_else() -> None:
    kept = {"max_tokens": 5, "prompt_cache_key": "a", "temperature": 0.5, "stop": None}
    schema = {"properties": {"password": {"type": "string"}}}
    body = {**kept, "tools": [schema], "options": [{"api_key": "k", "token": "t"}]}
    assert redact_body(body) == {
        **kept,
        "tools": [schema],
        "options": [{"api_key": MARK, "token": MARK}],
    }
    assert redact_body({"extra_headers": {"x-tenant": "t"}}) == {
        "extra_headers": {"x-tenant": MARK}
    }


def test_values_found_anywhere_are_taken_out_everywhere() -> None:
    scrubber = Scrubber(
        {"authorization": "Bearer header-value"},
        {"password": "body-value"},
        "http://me:user-value@h/?key=query%2Fvalue",
        ["client-value"],
    )
    values = "header-value body-value user-value query%2Fvalue query/value client-value"
    assert scrubber.text(values) == " ".join([MARK] * 6)
    assert scrubber.data({"a": [values]}) == {"a": [" ".join([MARK] * 6)]}
    assert scrubber.url("http://h/header-value") == f"http://h/{MARK}"
