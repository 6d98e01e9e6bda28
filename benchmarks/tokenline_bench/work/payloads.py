"""Request bodies, one form for each wire API that tokenline speaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from tokenline.errors import ConfigError

from .conversation import Message

Payload: TypeAlias = dict[str, Any]
Form: TypeAlias = Callable[[str, Sequence[Message], int | None], Payload]
"""From model, messages and limit to a request body."""

_ANTHROPIC_LIMIT = 1024  # the API insists on one


def payload_form(api: str, provider: str) -> Form:
    """How a request body of a wire API looks.

    Args:
        api: its name, `openai.chat` ...
        provider: OpenAI's own servers call the limit by another name than compatible ones.

    Raises:
        ConfigError: no form for this API; requests must bring their own body.
    """
    if api == "openai.chat" and provider in ("openai", "azure"):
        return _openai_chat
    form = _FORMS.get(api)
    if form is None:
        raise ConfigError(
            f"no way to put a prompt into a request of {api}; give a file whose entries have a"
            " `payload`"
        )
    return form


def _plain(messages: Sequence[Message]) -> list[Payload]:
    return [{"role": message.role, "content": message.text} for message in messages]


def _openai_chat(model: str, messages: Sequence[Message], limit: int | None) -> Payload:
    payload: Payload = {"model": model, "messages": _plain(messages)}
    return payload if limit is None else payload | {"max_completion_tokens": limit}


def _compatible_chat(model: str, messages: Sequence[Message], limit: int | None) -> Payload:
    payload: Payload = {"model": model, "messages": _plain(messages)}
    return payload if limit is None else payload | {"max_tokens": limit}


def _responses(model: str, messages: Sequence[Message], limit: int | None) -> Payload:
    payload: Payload = {"model": model, "input": _plain(messages)}
    return payload if limit is None else payload | {"max_output_tokens": limit}


def _anthropic(model: str, messages: Sequence[Message], limit: int | None) -> Payload:
    system, others = _split_system(messages)
    payload: Payload = {
        "model": model,
        "messages": _plain(others),
        "max_tokens": limit or _ANTHROPIC_LIMIT,
    }
    return payload | {"system": system} if system else payload


def _gemini(model: str, messages: Sequence[Message], limit: int | None) -> Payload:
    system, others = _split_system(messages)
    roles = {"user": "user", "assistant": "model"}
    contents = [{"role": roles[m.role], "parts": [{"text": m.text}]} for m in others]
    payload: Payload = {"model": model, "contents": contents}
    if system:
        payload["systemInstruction"] = {"parts": [{"text": system}]}
    if limit is not None:
        payload["generationConfig"] = {"maxOutputTokens": limit}
    return payload


def _converse(model: str, messages: Sequence[Message], limit: int | None) -> Payload:
    system, others = _split_system(messages)
    turns = [{"role": m.role, "content": [{"text": m.text}]} for m in others]
    payload: Payload = {"modelId": model, "messages": turns}
    if system:
        payload["system"] = [{"text": system}]
    if limit is not None:
        payload["inferenceConfig"] = {"maxTokens": limit}
    return payload


def _ollama_chat(model: str, messages: Sequence[Message], limit: int | None) -> Payload:
    payload: Payload = {"model": model, "messages": _plain(messages)}
    return payload if limit is None else payload | {"options": {"num_predict": limit}}


def _ollama_generate(model: str, messages: Sequence[Message], limit: int | None) -> Payload:
    system, others = _split_system(messages)
    payload: Payload = {"model": model, "prompt": "\n\n".join(m.text for m in others)}
    if system:
        payload["system"] = system
    return payload if limit is None else payload | {"options": {"num_predict": limit}}


def _split_system(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    system = "\n\n".join(m.text for m in messages if m.role == "system")
    return system, [m for m in messages if m.role != "system"]


_FORMS: dict[str, Form] = {
    "openai.chat": _compatible_chat,
    "openai.responses": _responses,
    "anthropic.messages": _anthropic,
    "gemini.generate_content": _gemini,
    "bedrock.converse": _converse,
    "ollama.chat": _ollama_chat,
    "ollama.generate": _ollama_generate,
}
