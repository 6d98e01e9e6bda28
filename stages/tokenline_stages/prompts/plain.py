"""Requests with one prompt: Ollama's generate and the bodies of Bedrock's InvokeModel.

An invoke body is what the model's maker wants: with messages it is read like Anthropic's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenline.telemetry.content import Prompt

from . import anthropic, bedrock, parts

_PROMPTS = ("prompt", "inputText", "input", "message")


def read(payload: Mapping[str, Any]) -> Prompt:
    """The request."""
    if "messages" in payload:
        converse = "toolConfig" in payload or "inferenceConfig" in payload
        return bedrock.read(payload) if converse else anthropic.read(payload)
    prompt = Prompt()
    if isinstance(payload.get("system"), str):
        prompt.system_instructions.append(parts.text(payload["system"]))
    for name in _PROMPTS:
        if isinstance(payload.get(name), str):
            prompt.messages.append({"role": "user", "parts": [parts.text(payload[name])]})
            break
    return prompt
