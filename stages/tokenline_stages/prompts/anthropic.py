"""Messages requests: https://docs.claude.com/en/api/messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenline.telemetry.content import Prompt

from . import parts
from .parts import Json, mapping, mappings


def read(payload: Mapping[str, Any]) -> Prompt:
    """The request."""
    return Prompt(
        system_instructions=_blocks(payload.get("system")),
        messages=[
            {"role": str(message.get("role", "user")), "parts": _blocks(message.get("content"))}
            for message in mappings(payload.get("messages"))
        ],
        tools=[_tool(tool) for tool in mappings(payload.get("tools"))],
    )


def _blocks(content: object) -> list[Json]:
    if isinstance(content, str):
        return [parts.text(content)] if content else []
    return [_block(block) for block in mappings(content)]


def _block(block: Mapping[str, Any]) -> Json:
    kind = str(block.get("type"))
    match kind:
        case "text":
            return parts.text(block.get("text", ""))
        case "image" | "document":
            return _source(mapping(block.get("source")), kind)
        case "thinking":
            return parts.reasoning(block.get("thinking"))
        case "redacted_thinking":
            return parts.reasoning("")
        case "tool_use":
            return parts.tool_call(block.get("id"), block.get("name", ""), block.get("input"))
        case "tool_result":
            return parts.tool_response(block.get("tool_use_id"), _result(block.get("content")))
        case "server_tool_use":
            return _server_tool_use(block)
        case _ if kind.endswith("_tool_result"):
            details = {"type": kind.removesuffix("_tool_result"), "content": block.get("content")}
            return {
                "type": "server_tool_call_response",
                "id": block.get("tool_use_id"),
                "server_tool_call_response": details,
            }
        case _:
            return {**block, "type": kind}


def _source(source: Mapping[str, Any], kind: str) -> Json:
    modality = "image" if kind == "image" else "document"
    match source.get("type"):
        case "url":
            return parts.uri(source.get("url"), modality)
        case "file":
            return parts.file(source.get("file_id"), modality)
        case "base64":
            return parts.blob(source.get("data"), source.get("media_type"), modality)
        case _:
            return {**source, "type": kind}


def _server_tool_use(block: Mapping[str, Any]) -> Json:
    name = str(block.get("name", ""))
    details = {"type": name, "arguments": block.get("input")}
    return {
        "type": "server_tool_call",
        "id": block.get("id"),
        "name": name,
        "server_tool_call": details,
    }


def _result(content: object) -> object:
    return content if isinstance(content, str) or content is None else _blocks(content)


def _tool(tool: Mapping[str, Any]) -> Json:
    if tool.get("type", "custom") == "custom":
        return parts.function_tool(tool, "input_schema")
    return parts.other_tool(tool)
