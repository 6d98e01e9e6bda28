"""What counts as a secret, in text, in data and in the errors of a run."""

import logging
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.lines import builder, reads
from tokenline.errors import ProviderError, StreamError
from tokenline.events import Event
from tokenline.pipeline import Branch
from tokenline.redaction import (
    MARK,
    hide_in_error,
    hide_shapes,
    hide_values,
    is_secret_name,
    secret_values,
)
from tokenline.stage import StageSpec
from tokenline.testing import ScriptedSource

KEY = "sk-test-0123456789abcdefghij"
PLAIN_KEY = "swordfish-gateway"

SECRET_NAMES = (
    "Authorization",
    "proxy-authorization",
    "api_key",
    "apiKey",
    "X-Api-Key",
    "x-goog-api-key",
    "OPENAI_API_KEY",
    "aws_secret_access_key",
    "client_secret",
    "password",
    "Set-Cookie",
    "refresh_token",
)
OTHER_NAMES = (
    "max_tokens",
    "token",
    "eos_token",
    "key",
    "keys",
    "secretary",
    "name",
    "content",
    "prompt_cache_key",
)


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"Incorrect API key provided: {KEY}.", f"Incorrect API key provided: {MARK}."),
        ('{"api_key": "hunter2-x"}', f'{{"api_key": "{MARK}"}}'),
        (r"{\"password\": \"hunter22\"}", rf"{{\"password\": \"{MARK}\"}}"),
        ("Authorization: Bearer abcdefgh1", f"Authorization: Bearer {MARK}"),
        ("{'x-api-key': 'abc-def'}", f"{{'x-api-key': '{MARK}'}}"),
        ("DB_PASSWORD=abcdefg x", f"DB_PASSWORD={MARK} x"),
        ("postgresql://me:pass@host/db", f"postgresql://me:{MARK}@host/db"),
        ("https://host/v1?key=abc&alt=sse", f"https://host/v1?key={MARK}&alt=sse"),
        ("\u0130 Bearer abcdefgh1", f"\u0130 Bearer {MARK}"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----",
            f"-----BEGIN RSA PRIVATE KEY-----{MARK}-----END RSA PRIVATE KEY-----",
        ),
        ("AKIAABCDEFGHIJKLMNO7 x", f"{MARK} x"),
    ],
)
def test_shapes(text: str, clean: str) -> None:
    assert hide_shapes(text) == clean
    assert hide_shapes(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 100000, eos_token: 12345678",
        "the password is strong; tokens=1234567",
        "sk-learn-contrib-something-long",
        "a bearer of bad news",
        "monkey: bananas turkey=istanbul",
        "https://host:8080/path@v2",
        "",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert hide_shapes(text) == text


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_key_is_found_in_any_text(before: str, after: str) -> None:
    assert KEY not in hide_shapes(f"{before} {KEY} {after}")


@given(st.text(max_size=300))
def test_hiding_twice_changes_nothing_more(text: str) -> None:
    once = hide_shapes(text)
    assert hide_shapes(once) == once


def test_values_under_secret_names() -> None:
    data = {
        "headers": {"Authorization": f"Bearer {PLAIN_KEY}", "accept": "visible"},
        "tools": [{"api_key": "another-one", "parameters": {"password": {"type": "string"}}}],
        "password": "short",
    }
    found = secret_values(data)
    assert found == {f"Bearer {PLAIN_KEY}", PLAIN_KEY, "another-one"}
    assert hide_values(f"got {PLAIN_KEY}", found) == f"got {MARK}"


def test_errors_lose_secrets_down_to_their_causes() -> None:
    cause = ValueError(f"sent {PLAIN_KEY}")
    cause.body = {"error": {"message": PLAIN_KEY}}  # type: ignore[attr-defined]
    error = ProviderError(f"bad key {PLAIN_KEY}", code=PLAIN_KEY)
    error.__cause__ = cause
    cause.__context__ = error
    hide_in_error(error, [PLAIN_KEY])
    assert PLAIN_KEY not in "".join(traceback.format_exception(error))
    assert PLAIN_KEY not in repr(vars(error)) + repr(vars(cause))


def test_errors_that_refuse_to_change_do_no_harm() -> None:
    class Stubborn(Exception):
        def __setattr__(self, name: str, value: Any) -> None:
            raise AttributeError(name)

    error = Stubborn("x")
    error.__dict__["detail"] = KEY
    hide_in_error(error)


@pytest.mark.anyio
async def test_errors_of_a_run_do_not_show_what_was_sent() -> None:
    class Source(ScriptedSource):
        secrets = ("from-the-source",)

    said = ProviderError(f"{PLAIN_KEY} and from-the-source and in-payload")
    async with (
        builder(Source(said))
        .build()
        .run({"api_key": "in-payload"}, headers={"x-api-key": PLAIN_KEY}) as run
    ):
        with pytest.raises(StreamError) as caught:
            await run.result()
    text = "".join(traceback.format_exception(caught.value))
    assert f"{MARK} and {MARK} and {MARK}" in text
    assert not any(s in text for s in (PLAIN_KEY, "from-the-source", "in-payload"))
    assert caught.value.partial is not None
    assert caught.value.partial.error is not None
    assert PLAIN_KEY not in caught.value.partial.error.message


@pytest.mark.anyio
async def test_logs_of_failing_branches_do_not_show_it_either(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Failing:
        def feed(self, items: Any, recv_ns: int, out: list[Any]) -> None:
            raise ValueError(f"branch saw {PLAIN_KEY}")

        def finish(self, recv_ns: int, out: list[Any]) -> None:
            return

    stage = StageSpec("audit", Event, Event, lambda context: Failing())
    branch = Branch("audit", stage=stage, required=False)
    pipeline = builder(ScriptedSource(reads())).branch(branch).build()
    with caplog.at_level(logging.DEBUG):
        async with pipeline.run({}, headers={"authorization": f"Bearer {PLAIN_KEY}"}) as run:
            await run.result()
    assert "branch saw" in caplog.text
    assert PLAIN_KEY not in caplog.text


@pytest.mark.parametrize(
    "name", ["authorization_token", "X-Api-Token", "github_token", "x-auth-key", "pwd", "bearer"]
)
def test_further_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)
    assert secret_values({"mcp": [{name: "mcptok-Plainvalue"}]}) == {"mcptok-Plainvalue"}


@pytest.mark.parametrize("name", ["max_tokens", "tokens", "token", "total_tokens", "tokenizer"])
def test_names_of_counts_are_none(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Mine": "Plain123456", "Accept": "text/plain"},
        [["X-Mine", "Plain123456"]],
        [{"name": "X-Mine", "value": "Plain123456"}],
    ],
)
@pytest.mark.parametrize("name", ["headers", "Headers", "extra_headers", "default-headers"])
def test_header_values_are_secret_whatever_their_name(name: str, headers: object) -> None:
    assert secret_values({name: headers}) == {"Plain123456"}


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Token abcdef1234567890",
        "authorization: ApiKey abcdef1234567890",
        "redis://:abcdef1234567890@h/0",
        "postgresql://u:p@abcdef1234567890@h/db",
    ],
)
def test_further_shapes(text: str) -> None:
    assert "abcdef1234567890" not in hide_shapes(text)
