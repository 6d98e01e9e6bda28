"""Which provider and wire API read a recording.

A recording names its API; `FAMILIES` tells what the names mean. A name may end in `:` and the
name of a server or vendor: `openai.compat:groq`. A server that is not known is read as any
compatible server is. An API of a provider of your own is found by the recording's `provider`
and `api`, once that provider is registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tokenline.errors import ConfigError
from tokenline_stages.providers.registry import Api, provider
from tokenline_stages.simulator import RecordingError

ANY_SERVER = "openai-compatible"
"""The provider that stands for a compatible server without a name of its own."""

_CHAT = "openai.chat"
_RESPONSES = "openai.responses"
_MESSAGES = "anthropic.messages"

FAMILIES: Mapping[str, tuple[str | None, str]] = MappingProxyType(
    {
        "openai.chat": ("openai", _CHAT),
        "openai.compat": (None, _CHAT),
        "openai.responses": ("openai", _RESPONSES),
        "openai.responses.compat": (None, _RESPONSES),
        "anthropic.messages": ("anthropic", _MESSAGES),
        "anthropic.compat": ("anthropic", _MESSAGES),
        "anthropic.foundry": ("anthropic", _MESSAGES),
        "anthropic.vertex": ("anthropic-vertex", _MESSAGES),
        "anthropic.bedrock": ("anthropic-bedrock", _MESSAGES),
        "bedrock.converse": ("bedrock", "bedrock.converse"),
        "bedrock.invoke": ("bedrock", "bedrock.invoke"),
        "bedrock.invoke:anthropic": ("anthropic-bedrock", _MESSAGES),
        "gemini": ("gemini", "gemini.generate_content"),
        "ollama.chat": ("ollama-native", "ollama.chat"),
        "ollama.generate": ("ollama-native", "ollama.generate"),
    }
)
"""API name in recordings to provider and its API; None: the server that the name ends in."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What reads a recording.

    Attributes:
        provider: name for `connect`.
        api: the wire API.
    """

    provider: str
    api: Api


def wire(api: str, provider_name: str | None = None) -> Wiring:
    """What reads recordings of `api`.

    Args:
        api: name of the API, as recordings have it.
        provider_name: name of the provider, as recordings have it.

    Raises:
        RecordingError: no such API; the message lists the known ones.
    """
    own = _find(provider_name, api) if provider_name else None
    if own is not None:
        return own
    family, _, server = api.partition(":")
    name, wire_api = FAMILIES.get(api) or _family(family) or (None, None)
    if wire_api is None:
        raise RecordingError(f"unknown API {api!r}; known: {', '.join(FAMILIES)}")
    found = _find(name or server, wire_api) or _find(ANY_SERVER, wire_api)
    if found is None:
        raise RecordingError(f"no provider reads {api!r}")
    return found


def _family(name: str) -> tuple[str | None, str] | None:
    """The family called `name`, or that it is a part of: `gemini.vertex` is of `gemini`."""
    while name and name not in FAMILIES:
        name = name.rpartition(".")[0]
    return FAMILIES.get(name)


def _find(name: str, api: str) -> Wiring | None:
    try:
        return Wiring(name, provider(name).api_named(api))
    except ConfigError:
        return None
