"""The request that every client sends, in both APIs' forms."""

from __future__ import annotations

from typing import Any

MODEL = "simulated"
PROMPT = "Tell me something."
MESSAGES: list[Any] = [{"role": "user", "content": PROMPT}]
_SCHEMA = {
    "type": "object",
    "properties": {"account": {"type": "string"}, "amount": {"type": "integer"}},
    "required": ["account", "amount"],
}
_TOOL = {"name": "transfer", "description": "Transfer money."}
CHAT_TOOLS: list[Any] = [{"type": "function", "function": {**_TOOL, "parameters": _SCHEMA}}]
MESSAGES_TOOLS: list[Any] = [{**_TOOL, "input_schema": _SCHEMA}]
