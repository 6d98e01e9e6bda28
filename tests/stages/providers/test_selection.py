"""Which wire API a payload goes to, by provider name and payload shape; nothing is sent."""

from typing import Any

import pytest

from tokenline.errors import ConfigError, UsageError
from tokenline_stages.connection import Connection, connect
from tokenline_stages.direct import DirectSource
from tokenline_stages.providers.registry import provider
from tokenline_stages.source import SdkSource

TURN = [{"role": "user", "content": "hi"}]
BLOCKS = [{"role": "user", "content": [{"text": "hi"}, {"cachePoint": {"type": "default"}}]}]
TYPED = [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"

CHAT = {"model": "m", "messages": TURN}
RESPONSES = {"model": "m", "input": "hi"}

BOTH = ("openai", "azure", "vllm", "ollama", "llamacpp", "openrouter", "openai-compatible")
CHAT_ONLY = ("lmstudio", "mistral", "together", "perplexity", "snowflake", "zai")

CASES: list[tuple[str, dict[str, Any], str]] = [
    *((name, CHAT, "openai.chat") for name in (*BOTH, *CHAT_ONLY)),
    *((name, RESPONSES, "openai.responses") for name in BOTH),
    ("openai", CHAT | RESPONSES, "openai.chat"),
    ("openai", {"input": [], "instructions": "x"}, "openai.responses"),
    ("openai", {"messages": []}, "openai.chat"),
    ("anthropic", CHAT, "anthropic.messages"),
    ("anthropic-vertex", CHAT, "anthropic.messages"),
    ("anthropic-bedrock", CHAT, "anthropic.messages"),
    # Converse's members only, and blocks without a type
    ("bedrock", {"modelId": "amazon.nova-lite-v1:0", "messages": BLOCKS}, "bedrock.converse"),
    ("bedrock", {"modelId": "anthropic.claude-x", "messages": BLOCKS}, "bedrock.converse"),
    (
        "bedrock",
        {"model": "m", "messages": BLOCKS, "system": [{"text": "x"}], "inferenceConfig": {}},
        "bedrock.converse",
    ),
    ("bedrock", {"modelId": ARN, "promptVariables": {}}, "bedrock.converse"),
    # a model's own form
    (
        "bedrock",
        {"modelId": "amazon.nova-lite-v1:0", "schemaVersion": "messages-v1", "messages": BLOCKS},
        "bedrock.invoke",
    ),
    ("bedrock", {"modelId": "openai.gpt-oss-20b-1:0", "messages": TURN}, "bedrock.invoke"),
    ("bedrock", {"modelId": "mistral.x", "messages": TURN, "max_tokens": 9}, "bedrock.invoke"),
    ("bedrock", {"modelId": "cohere.command-r-v1:0", "message": "hi"}, "bedrock.invoke"),
    ("bedrock", {"modelId": "amazon.titan-x", "inputText": "hi"}, "bedrock.completion"),
    ("bedrock", {"modelId": "meta.llama3", "prompt": "hi"}, "bedrock.completion"),
    # Anthropic's models send Messages events
    (
        "bedrock",
        {"modelId": ARN, "anthropic_version": "bedrock-2023-05-31", "messages": TYPED},
        "anthropic.messages",
    ),
    (
        "bedrock",
        {"model": "us.anthropic.claude-x", "messages": TURN, "max_tokens": 9},
        "anthropic.messages",
    ),
    ("gemini", {"model": "m", "contents": []}, "gemini.generate_content"),
    ("google", {"model": "m", "contents": []}, "gemini.generate_content"),
    ("ollama-native", CHAT, "ollama.chat"),
    ("ollama-native", {"model": "m", "prompt": "hi"}, "ollama.generate"),
]

REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *((name, RESPONSES, r"openai\.chat takes `messages`") for name in CHAT_ONLY),
    ("openai", {"model": "m"}, r"`messages`; openai\.responses takes `input`"),
    ("openai", {}, "a payload of nothing"),
    ("anthropic", RESPONSES, r"anthropic\.messages takes `messages`"),
    ("gemini", CHAT, r"gemini\.generate_content takes `contents`"),
    ("ollama-native", RESPONSES, r"ollama\.chat takes `messages`; ollama\.generate takes `prompt`"),
    ("bedrock", RESPONSES, r"bedrock\.converse takes"),
    ("bedrock", {"modelId": "m", "messages": "hi", "system": []}, ""),
]


def open_connection(name: str, **options: Any) -> Connection:
    options = {"base_url": "http://127.0.0.1:9/v1", "api_key": "k"} | options
    return connect(name, **options)


@pytest.mark.parametrize(("name", "payload", "api"), CASES)
def test_payload_chooses_api(name: str, payload: dict[str, Any], api: str) -> None:
    before = dict(payload)
    assert open_connection(name).pipeline(payload).source.api == api
    assert payload == before


@pytest.mark.parametrize(("name", "payload", "words"), REFUSED[:-1])
def test_payload_without_api_is_refused(name: str, payload: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as failure:
        open_connection(name).run(payload)
    assert "\n" not in str(failure.value)


def test_messages_that_are_no_list_are_left_to_the_server() -> None:
    name, payload, _ = REFUSED[-1]
    assert open_connection(name).pipeline(payload).source.api == "bedrock.invoke"


@pytest.mark.parametrize(
    ("name", "given", "api"),
    [
        ("openai", "responses", "openai.responses"),
        ("openai", "openai.chat", "openai.chat"),
        ("bedrock", "converse", "bedrock.converse"),
        ("bedrock", "invoke", "bedrock.invoke"),
        ("ollama-native", "generate", "ollama.generate"),
    ],
)
def test_api_overrides_the_shape(name: str, given: str, api: str) -> None:
    connection = open_connection(name, api=given)
    for payload in (CHAT, RESPONSES, {}, None):
        assert connection.pipeline(payload).source.api == api


def test_api_that_a_proxy_lacks_is_refused_when_connecting() -> None:
    with pytest.raises(ConfigError, match=r"no API 'responses'; it has: openai\.chat"):
        open_connection("lmstudio", api="responses")


@pytest.mark.parametrize("payload", [[], "hi", None, 3])
def test_payload_that_is_no_mapping_is_refused(payload: Any) -> None:
    with pytest.raises(UsageError, match="a request payload is a dict"):
        provider("openai").api_for(payload)


def test_pipeline_is_made_once_for_an_api() -> None:
    connection = open_connection("openai")
    assert connection.pipeline(CHAT) is connection.pipeline({"messages": []})
    assert connection.pipeline(CHAT) is not connection.pipeline(RESPONSES)
    assert connection.pipeline() is connection.pipeline(CHAT)


@pytest.mark.parametrize(
    ("name", "payload", "operation"),
    [
        ("openai", CHAT, "chat"),
        ("openai", RESPONSES, "chat"),
        ("anthropic-vertex", CHAT, "chat"),
        ("bedrock", {"messages": BLOCKS}, "chat"),
        ("bedrock", {"prompt": "hi"}, "text_completion"),
        ("gemini", {"contents": []}, "generate_content"),
        ("ollama-native", CHAT, "chat"),
        ("ollama-native", {"prompt": "hi"}, "text_completion"),
    ],
)
def test_operation_is_of_the_conventions(
    name: str, payload: dict[str, Any], operation: str
) -> None:
    assert open_connection(name).pipeline(payload).source.operation == operation


PROXY = {"HTTP_PROXY": "http://127.0.0.1:9", "NO_PROXY": ""}


@pytest.mark.parametrize(
    ("name", "options", "environment", "kind"),
    [
        ("openai", {}, {}, DirectSource),
        ("groq", {}, {}, DirectSource),
        ("anthropic", {}, {}, DirectSource),
        ("gemini", {}, {}, DirectSource),
        ("ollama-native", {}, {}, DirectSource),
        ("openai", {"direct": True}, PROXY, DirectSource),
        # what only the SDK can do
        ("openai", {"direct": False}, {}, SdkSource),
        ("openai", {"client_options": {"organization": "o"}}, {}, SdkSource),
        ("openai", {}, PROXY, SdkSource),
        ("anthropic", {}, PROXY, SdkSource),
        ("azure", {}, {}, SdkSource),
        ("anthropic-vertex", {}, {}, SdkSource),
        ("anthropic-bedrock", {}, {}, SdkSource),
        ("bedrock", {}, {}, SdkSource),
        # without a key the SDK may still find a profile
        ("anthropic", {"api_key": None}, {}, SdkSource),
        ("anthropic", {"api_key": None, "direct": True}, {}, DirectSource),
        ("anthropic", {"api_key": None}, {"ANTHROPIC_AUTH_TOKEN": "t"}, DirectSource),
    ],
)
def test_sdk_makes_requests_only_where_it_must(
    name: str,
    options: dict[str, Any],
    environment: dict[str, str],
    kind: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert type(open_connection(name, **options).pipeline().source) is kind


def test_client_leaves_the_direct_way_to_the_sdk() -> None:
    from openai import AsyncOpenAI

    client = AsyncOpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    assert type(connect("openai", client=client).pipeline().source) is SdkSource
    with pytest.raises(ConfigError, match="leave out client"):
        connect("openai", client=client, direct=True).pipeline()
