"""The built-in providers: one line each. A folder is loaded when its provider is asked for."""

from __future__ import annotations

from collections.abc import Callable

from .registry import Provider

_CHAT_SERVERS = (
    "azure",
    "deepseek",
    "fireworks",
    "groq",
    "huggingface",
    "llamacpp",
    "lmstudio",
    "mistral",
    "ollama",
    "openai",
    "openai-compatible",
    "openrouter",
    "perplexity",
    "snowflake",
    "together",
    "vercel",
    "vllm",
    "xai",
    "zai",
)


def _openai_family(name: str) -> Provider:
    from .openai_chat.api import chat_api, chat_server
    from .openai_chat.quirks import QUIRKS
    from .openai_responses.api import responses_api

    server = chat_server(name)
    proxy = name in QUIRKS and QUIRKS[name].proxy
    apis = (chat_api(name),) if proxy else (chat_api(name), responses_api(server))
    return Provider(name, apis, key_env=server.key_variable)


def _anthropic(name: str) -> Provider:
    from .anthropic.api import messages_api
    from .anthropic.platforms import PLATFORMS

    key_env = "ANTHROPIC_API_KEY" if name == "anthropic" else None
    return Provider(name, (messages_api(PLATFORMS[name]),), key_env=key_env)


def _bedrock(name: str) -> Provider:
    from .anthropic.api import messages_api
    from .anthropic.platforms import BEDROCK
    from .bedrock.api import completion_api, converse_api, invoke_api, is_anthropic_payload

    messages = messages_api(BEDROCK, is_anthropic_payload)
    apis = (converse_api(), messages, invoke_api(), completion_api())
    return Provider(name, apis, key_env="AWS_BEARER_TOKEN_BEDROCK")


def _gemini(name: str) -> Provider:
    from .gemini.api import gemini_api

    return Provider(name, (gemini_api(),), key_env="GEMINI_API_KEY")


def _ollama(name: str) -> Provider:
    from .ollama.api import chat_api, generate_api

    return Provider(name, (chat_api(), generate_api()), key_env="OLLAMA_API_KEY")


BUILT_IN: dict[str, Callable[[str], Provider]] = {
    **dict.fromkeys(_CHAT_SERVERS, _openai_family),
    "anthropic": _anthropic,
    "anthropic-bedrock": _anthropic,
    "anthropic-vertex": _anthropic,
    "bedrock": _bedrock,
    "gemini": _gemini,
    "ollama-native": _ollama,
}
"""Provider name to what makes it."""

ALIASES: dict[str, str] = {
    "aws-bedrock": "bedrock",
    "azure-openai": "azure",
    "bedrock-anthropic": "anthropic-bedrock",
    "claude": "anthropic",
    "google": "gemini",
    "grok": "xai",
    "hf": "huggingface",
    "llama.cpp": "llamacpp",
    "lm-studio": "lmstudio",
    "mistralai": "mistral",
    "together-ai": "together",
    "vertex-anthropic": "anthropic-vertex",
    "x-ai": "xai",
}
"""Other names that users may expect; `known_providers` leaves them out."""
