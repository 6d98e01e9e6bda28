"""The built-in providers: one line each. A folder is loaded when its provider is asked for."""

from __future__ import annotations

from collections.abc import Callable

from .registry import Provider


def _openai_family(name: str) -> Provider:
    from .openai_chat.api import chat_api
    from .openai_chat.quirks import quirks_of

    return Provider(name, (chat_api(name),), key_env=quirks_of(name).key_variable)


def _anthropic(name: str) -> Provider:
    from .anthropic.api import messages_api

    return Provider(name, (messages_api(),), key_env="ANTHROPIC_API_KEY")


BUILT_IN: dict[str, Callable[[str], Provider]] = {
    "anthropic": _anthropic,
    "openai": _openai_family,
}
"""Provider name to what makes it."""
