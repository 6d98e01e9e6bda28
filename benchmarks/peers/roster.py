"""Who is measured, and what each needs installed."""

from __future__ import annotations

from pathlib import Path

from benchmarks.clients.contract import ClientSpec
from benchmarks.environments import ROOT, Environment

_PROJECT = ["--constraint", str(ROOT / "constraints.txt")]
_REQUIREMENTS: dict[str, list[str]] = {
    "floor": ["msgspec"],
    "aiohttp": ["aiohttp", "msgspec"],
    "tokenline": _PROJECT,
    "tokenline-uvloop": [*_PROJECT, "uvloop"],
    "openai": ["openai"],
    "openai-aiohttp": ["openai[aiohttp]"],
    "anthropic": ["anthropic"],
    "litellm": ["litellm"],
    "langchain": ["langchain-openai"],
    "pydantic-ai": ["pydantic-ai-slim[openai]"],
}

FLOOR = "floor"
AWAITED = "floor, awaited"
FLOORS = {"chat": FLOOR, "messages": "floor, Messages", "responses": "floor, Responses"}
"""The floor of each API: its events differ in size, and so does the least that they cost."""

TOKENLINE = "tokenline"
OPENAI = "openai SDK"
ANTHROPIC = "anthropic SDK"
LITELLM = "litellm"

CLIENTS: dict[str, ClientSpec] = {
    spec.name: spec
    for spec in (
        ClientSpec(FLOOR, "floor", "Floor", "floor"),
        ClientSpec(AWAITED, "floor", "FloorAwaited", "floor"),
        ClientSpec(FLOORS["messages"], "floor_apis", "FloorMessages", "floor", "messages"),
        ClientSpec(FLOORS["responses"], "floor_apis", "FloorResponses", "floor", "responses"),
        ClientSpec("aiohttp alone", "aiohttp_alone", "AiohttpAlone", "aiohttp"),
        ClientSpec(TOKENLINE, "tokenline", "Tokenline", "tokenline"),
        ClientSpec("tokenline, no telemetry", "tokenline", "without_telemetry", "tokenline"),
        ClientSpec("tokenline, SDK's request", "tokenline", "with_sdk_request", "tokenline"),
        ClientSpec(
            "tokenline, uvloop", "tokenline", "Tokenline", "tokenline-uvloop", loop="uvloop"
        ),
        ClientSpec("tokenline, Messages", "tokenline", "messages", "tokenline", "messages"),
        ClientSpec("tokenline, Responses", "tokenline", "responses", "tokenline", "responses"),
        ClientSpec(OPENAI, "openai_sdk", "OpenAISdk", "openai"),
        ClientSpec("openai SDK, aiohttp", "openai_sdk", "OpenAIAiohttp", "openai-aiohttp"),
        ClientSpec("openai SDK, helper", "openai_sdk", "OpenAIHelper", "openai"),
        ClientSpec(ANTHROPIC, "anthropic_sdk", "AnthropicSdk", "anthropic", "messages"),
        ClientSpec(
            "anthropic SDK, helper", "anthropic_sdk", "AnthropicHelper", "anthropic", "messages"
        ),
        ClientSpec(LITELLM, "litellm_sdk", "LiteLLM", "litellm"),
        ClientSpec("langchain", "langchain_model", "LangChain", "langchain"),
        ClientSpec("pydantic-ai", "pydantic_ai_model", "PydanticAI", "pydantic-ai"),
    )
}
"""Every client by name; the floor first."""

SDK_BASED = (OPENAI, ANTHROPIC, LITELLM, "langchain", "pydantic-ai")
"""Peers without their variants."""

COMPARED = frozenset({FLOOR, AWAITED, TOKENLINE, OPENAI})
"""What targets compare where rounds vary most: measured in every round."""

_SDK_REQUEST = "tokenline, SDK's request"
_CPU_ONLY = frozenset({FLOORS["messages"], FLOORS["responses"], "tokenline, Responses"})
LEFT_OUT: dict[str, frozenset[str]] = {
    "streams": _CPU_ONLY | {_SDK_REQUEST, "openai SDK, helper", "anthropic SDK, helper"},
    "first_token": _CPU_ONLY | {_SDK_REQUEST},
    "memory": _CPU_ONLY | {_SDK_REQUEST, AWAITED},
    "linear": _CPU_ONLY | {_SDK_REQUEST, AWAITED, "openai SDK, aiohttp"},
    "cold": _CPU_ONLY | {AWAITED},
}
"""Who is not measured in a row: variants that would tell nothing new there."""


def floor_of(client: str) -> str:
    """The floor that speaks the client's API."""
    return FLOORS[CLIENTS[client].api]


def environment(name: str, folder: Path) -> Environment:
    """The environment of that name."""
    project = name.startswith("tokenline")
    return Environment(folder, name, _REQUIREMENTS[name], project=project)
