"""What `connect` refuses at once, and where addresses come from."""

from typing import Any

import pytest
from anthropic import Anthropic, AnthropicBedrock
from openai import AzureOpenAI, OpenAI

from tokenline.errors import ConfigError
from tokenline.options import RunOptions
from tokenline.policy import RetryPolicy
from tokenline_stages.connection import connect

KEY = "sk-test-0123456789"
CHAT: dict[str, Any] = {"model": "m", "messages": []}


@pytest.mark.parametrize("max_retries", [-1, "2", 1.5, None, True])
def test_retries_are_a_number(max_retries: Any) -> None:
    with pytest.raises(ConfigError, match="max_retries is a number, 0 or more"):
        connect("openai", max_retries=max_retries)


def test_retries_are_those_of_the_run() -> None:
    retry = connect("openai", max_retries=3).pipeline(CHAT).options.retry
    assert retry == RetryPolicy(attempts=4)
    options = RunOptions(retry=RetryPolicy(attempts=7))
    assert connect("openai", options=options).pipeline(CHAT).options is options


@pytest.mark.parametrize(
    ("name", "client", "twin"),
    [
        ("openai", OpenAI(api_key=KEY), "AsyncOpenAI"),
        ("azure", AzureOpenAI(api_key=KEY, azure_endpoint="http://h", api_version="1"), "AsyncAzu"),
        ("anthropic", Anthropic(api_key=KEY), "AsyncAnthropic"),
        ("bedrock", AnthropicBedrock(aws_region="us-east-1"), "AsyncAnthropicBedrock"),
        ("anthropic", type("Mine", (Anthropic,), {})(api_key=KEY), "AsyncAnthropic"),
    ],
)
def test_a_synchronous_client_is_refused_at_once(name: str, client: Any, twin: str) -> None:
    with pytest.raises(ConfigError, match=f"no asynchronous client; pass an {twin}") as caught:
        connect(name, client=client)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("base_url", ["127.0.0.1:8080/v1", "ftp://h", "http://h:99999", 5])
def test_an_address_that_is_none_is_refused_at_once(base_url: Any) -> None:
    with pytest.raises(ConfigError, match=r"^base_url: "):
        connect("openai", base_url=base_url)


@pytest.mark.parametrize("direct", [None, True, False])
@pytest.mark.parametrize(
    ("name", "variable", "payload"),
    [
        ("openai", "OPENAI_BASE_URL", CHAT),
        ("openai", "OPENAI_BASE_URL", {"model": "m", "input": "hi"}),
        ("anthropic", "ANTHROPIC_BASE_URL", CHAT),
        ("anthropic-vertex", "ANTHROPIC_VERTEX_BASE_URL", CHAT),
        ("anthropic-bedrock", "ANTHROPIC_BEDROCK_BASE_URL", CHAT),
        ("azure", "AZURE_OPENAI_ENDPOINT", CHAT),
        ("gemini", "GOOGLE_GEMINI_BASE_URL", {"model": "m", "contents": []}),
        ("ollama-native", "OLLAMA_HOST", CHAT),
    ],
)
def test_variables_with_bad_addresses_are_named(
    name: str,
    variable: str,
    payload: dict[str, Any],
    direct: bool | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if direct is not None and name not in ("openai", "anthropic"):
        pytest.skip("has one kind of source only")
    monkeypatch.setenv(variable, "http://127.0.0.1:99999/v1")
    with pytest.raises(ConfigError, match=rf"^{variable}: .*Port out of range"):
        connect(name, api_key=KEY, direct=direct).run(payload)
