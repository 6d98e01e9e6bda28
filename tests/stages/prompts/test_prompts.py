"""Requests of every API in the shape of the GenAI conventions; odd ones without an exception.

Payloads were written by hand from the providers' documentation.
"""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline.telemetry import content
from tokenline.telemetry.content import Prompt
from tokenline_stages.prompts import read_prompt
from tokenline_stages.providers.registry import known_providers, provider


def read(api: str, payload: dict[str, Any]) -> Prompt:
    prompt = read_prompt(api, payload)
    assert prompt is not None
    return prompt


def text(content: str) -> dict[str, Any]:
    return {"type": "text", "content": content}


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city",
    "parameters": SCHEMA,
}


def test_chat_completions() -> None:
    prompt = read(
        "openai.chat",
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {
                    "role": "user",
                    "name": "ann",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": "https://a.example/b.png"}},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA"}},
                        {"type": "input_audio", "input_audio": {"data": "BBB", "format": "wav"}},
                        {"type": "file", "file": {"file_id": "file-1"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": '{"city": "Bern"}'},
                        }
                    ],
                },
                {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
            ],
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "get_weather",
                        "description": "Weather of a city",
                        "parameters": SCHEMA,
                    },
                },
                {"type": "custom", "custom": {"name": "sql"}},
            ],
        },
    )
    assert prompt.system_instructions == []  # they are part of the history here
    assert prompt.messages == [
        {"role": "system", "parts": [text("Be brief.")]},
        {
            "role": "user",
            "name": "ann",
            "parts": [
                text("What is this?"),
                {"type": "uri", "modality": "image", "uri": "https://a.example/b.png"},
                {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAA"},
                {"type": "blob", "modality": "audio", "mime_type": "audio/wav", "content": "BBB"},
                {"type": "file", "modality": "document", "file_id": "file-1"},
            ],
        },
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "tool_call",
                    "id": "call_1",
                    "name": "get_weather",
                    "arguments": '{"city": "Bern"}',
                }
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "call_1", "response": "rain"}],
        },
    ]
    assert prompt.tools == [WEATHER, {"type": "custom", "name": "sql"}]


def test_ollama_chat() -> None:
    prompt = read(
        "ollama.chat",
        {
            "messages": [
                {"role": "user", "content": "Look", "images": ["AAA"]},
                {
                    "role": "assistant",
                    "content": "",
                    "thinking": "hm",
                    "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}],
                },
                {"role": "tool", "tool_name": "f", "content": "1"},
            ]
        },
    )
    assert [message["parts"] for message in prompt.messages] == [
        [text("Look"), {"type": "blob", "modality": "image", "mime_type": None, "content": "AAA"}],
        [
            {"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "name": "f", "arguments": {"a": 1}},
        ],
        [{"type": "tool_call_response", "id": "f", "response": "1"}],
    ]


def test_responses() -> None:
    prompt = read(
        "openai.responses",
        {
            "instructions": "Be brief.",
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Hi"},
                        {"type": "input_image", "image_url": "https://a.example/b.png"},
                        {"type": "input_file", "file_id": "file-1"},
                    ],
                },
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {
                    "type": "function_call",
                    "call_id": "call_1",
                    "name": "get_weather",
                    "arguments": "{}",
                },
                {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
                {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            ],
            "tools": [{**WEATHER, "strict": True}, {"type": "web_search"}],
        },
    )
    assert prompt.system_instructions == [text("Be brief.")]
    assert prompt.messages == [
        {
            "role": "user",
            "parts": [
                text("Hi"),
                {"type": "uri", "modality": "image", "uri": "https://a.example/b.png"},
                {"type": "file", "modality": "document", "file_id": "file-1"},
            ],
        },
        {"role": "assistant", "parts": [{"type": "reasoning", "content": "hm"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "id": "call_1", "name": "get_weather", "arguments": "{}"}
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "call_1", "response": "rain"}],
        },
        {
            "role": "assistant",
            "parts": [
                {
                    "type": "server_tool_call",
                    "name": "web_search",
                    "server_tool_call": {
                        "type": "web_search",
                        "id": "ws_1",
                        "status": "completed",
                    },
                    "id": "ws_1",
                }
            ],
        },
    ]
    assert prompt.tools == [WEATHER, {"type": "web_search", "name": "web_search"}]


def test_responses_with_plain_input() -> None:
    prompt = read("openai.responses", {"input": "Hi"})
    assert prompt.messages == [{"role": "user", "parts": [text("Hi")]}]


def test_anthropic() -> None:
    prompt = read(
        "anthropic.messages",
        {
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {}}],
            "messages": [
                {"role": "user", "content": "Hi"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "s"},
                        {"type": "redacted_thinking", "data": "zzz"},
                        {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {}},
                        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}},
                        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "content": [{"type": "text", "text": "rain"}],
                        },
                        {
                            "type": "image",
                            "source": {"type": "base64", "media_type": "image/png", "data": "A"},
                        },
                        {"type": "document", "source": {"type": "file", "file_id": "f1"}},
                    ],
                },
            ],
            "tools": [
                {
                    "name": "get_weather",
                    "description": "Weather of a city",
                    "input_schema": SCHEMA,
                },
                {"type": "web_search_20250305", "name": "web_search"},
            ],
        },
    )
    assert prompt.system_instructions == [text("Be brief.")]
    assert [message["parts"] for message in prompt.messages] == [
        [text("Hi")],
        [
            {"type": "reasoning", "content": "hm"},
            {"type": "reasoning", "content": ""},
            {"type": "tool_call", "id": "t1", "name": "get_weather", "arguments": {}},
            {
                "type": "server_tool_call",
                "id": "s1",
                "name": "web_search",
                "server_tool_call": {"type": "web_search", "arguments": {}},
            },
            {
                "type": "server_tool_call_response",
                "id": "s1",
                "server_tool_call_response": {"type": "web_search", "content": []},
            },
        ],
        [
            {"type": "tool_call_response", "id": "t1", "response": [text("rain")]},
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "A"},
            {"type": "file", "modality": "document", "file_id": "f1"},
        ],
    ]
    assert prompt.tools == [WEATHER, {"type": "web_search_20250305", "name": "web_search"}]


@pytest.mark.parametrize("snake", [False, True])
def test_gemini(snake: bool) -> None:
    def key(name: str) -> str:
        if not snake:
            return name
        return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)

    prompt = read(
        "gemini.generate_content",
        {
            key("systemInstruction"): {"parts": [{"text": "Be brief."}]},
            "contents": [
                {
                    "role": "user",
                    "parts": [
                        {"text": "Hi"},
                        {key("inlineData"): {key("mimeType"): "image/png", "data": "A"}},
                        {key("fileData"): {key("mimeType"): "video/mp4", key("fileUri"): "gs://b"}},
                    ],
                },
                {
                    "role": "model",
                    "parts": [
                        {"text": "hm", "thought": True},
                        {key("functionCall"): {"name": "get_weather", "args": {"city": "Bern"}}},
                    ],
                },
                {
                    "role": "user",
                    "parts": [{key("functionResponse"): {"name": "get_weather", "response": {}}}],
                },
            ],
            "tools": [
                {
                    key("functionDeclarations"): [
                        {
                            "name": "get_weather",
                            "description": "Weather of a city",
                            "parameters": SCHEMA,
                        }
                    ]
                },
                {"googleSearch": {}},
            ],
        },
    )
    assert prompt.system_instructions == [text("Be brief.")]
    assert [message["role"] for message in prompt.messages] == ["user", "assistant", "user"]
    assert [message["parts"] for message in prompt.messages] == [
        [
            text("Hi"),
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "A"},
            {"type": "uri", "modality": "video", "uri": "gs://b", "mime_type": "video/mp4"},
        ],
        [
            {"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "name": "get_weather", "arguments": {"city": "Bern"}},
        ],
        [{"type": "tool_call_response", "id": "get_weather", "response": {}}],
    ]
    assert prompt.tools[0] == WEATHER
    assert prompt.tools[1]["type"] == "googleSearch"


def test_gemini_with_plain_contents() -> None:
    prompt = read("gemini.generate_content", {"contents": "Hi"})
    assert prompt.messages == [{"role": "user", "parts": [text("Hi")]}]


def test_bedrock_converse() -> None:
    prompt = read(
        "bedrock.converse",
        {
            "system": [{"text": "Be brief."}],
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"text": "Hi"},
                        {"image": {"format": "png", "source": {"bytes": b"A"}}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": [
                        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
                        {"toolUse": {"toolUseId": "t1", "name": "get_weather", "input": {}}},
                    ],
                },
                {
                    "role": "user",
                    "content": [{"toolResult": {"toolUseId": "t1", "content": [{"text": "rain"}]}}],
                },
            ],
            "toolConfig": {
                "tools": [
                    {
                        "toolSpec": {
                            "name": "get_weather",
                            "description": "Weather of a city",
                            "inputSchema": {"json": SCHEMA},
                        }
                    }
                ]
            },
        },
    )
    assert prompt.system_instructions == [text("Be brief.")]
    assert [message["parts"] for message in prompt.messages] == [
        [
            text("Hi"),
            {"type": "blob", "modality": "image", "mime_type": "image/png", "content": b"A"},
        ],
        [
            {"type": "reasoning", "content": "hm"},
            {"type": "tool_call", "id": "t1", "name": "get_weather", "arguments": {}},
        ],
        [{"type": "tool_call_response", "id": "t1", "response": [{"text": "rain"}]}],
    ]
    assert prompt.tools == [WEATHER]


@pytest.mark.parametrize(
    ("api", "payload"),
    [
        ("ollama.generate", {"prompt": "Hi", "system": "Be brief."}),
        ("bedrock.invoke", {"prompt": "Hi", "system": "Be brief."}),
        (
            "bedrock.invoke",
            {"messages": [{"role": "user", "content": "Hi"}], "system": "Be brief."},
        ),
        ("bedrock.completion", {"inputText": "Hi", "system": "Be brief."}),
    ],
)
def test_one_prompt(api: str, payload: dict[str, Any]) -> None:
    prompt = read(api, payload)
    assert prompt.messages == [{"role": "user", "parts": [text("Hi")]}]
    assert prompt.system_instructions == [text("Be brief.")]


APIS = sorted({api.name for name in known_providers() for api in provider(name).apis})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "role",
                    "content",
                    "type",
                    "text",
                    "parts",
                    "tool_calls",
                    "function",
                    "image",
                    "source",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(["messages", "input", "contents", "system", "tools", "instructions"])


@pytest.mark.parametrize("api", APIS)
def test_every_api_has_a_reader(api: str) -> None:
    assert read_prompt(api, {}) == Prompt()


@settings(max_examples=60, deadline=None)
@given(api=st.sampled_from(APIS), payload=st.dictionaries(FIELDS, JSON, max_size=4))
def test_nonsense_raises_nothing(api: str, payload: dict[str, Any]) -> None:
    prompt = read(api, payload)
    for message in prompt.messages:
        assert set(message) >= {"role", "parts"}
        assert all("type" in part for part in message["parts"])
    assert all({"type", "name"} <= set(tool) for tool in prompt.tools)


def test_an_unknown_api_is_left_to_others() -> None:
    assert read_prompt("acme.chat", {"messages": []}) is None


def test_the_stages_bring_their_readers() -> None:
    payload = {"messages": [{"role": "user", "content": "Hi"}]}
    assert content.read_prompt("openai.chat", payload).messages
