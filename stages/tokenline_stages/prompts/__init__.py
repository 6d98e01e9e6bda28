"""Request payloads in the shape of the GenAI conventions, for telemetry that captures content.

One module for each way of writing a request; each is lenient: what it does not know goes on as a
part of its own type, what makes no sense is left out, nothing is raised.
"""

from collections.abc import Callable, Mapping
from typing import Any

from tokenline.telemetry.content import Prompt

from . import anthropic, bedrock, gemini, openai_chat, openai_responses, plain

_READERS: Mapping[str, Callable[[Mapping[str, Any]], Prompt]] = {
    "anthropic.messages": anthropic.read,
    "bedrock.completion": plain.read,
    "bedrock.converse": bedrock.read,
    "bedrock.invoke": plain.read,
    "gemini.generate_content": gemini.read,
    "ollama.chat": openai_chat.read,
    "ollama.generate": plain.read,
    "openai.chat": openai_chat.read,
    "openai.responses": openai_responses.read,
}


def read_prompt(api: str, payload: Mapping[str, Any]) -> Prompt | None:
    """The request of a wire API; None for one that is not known here.

    Args:
        api: `openai.chat`, `anthropic.messages` ...
        payload: the request body.
    """
    reader = _READERS.get(api)
    return reader(payload) if reader is not None else None
