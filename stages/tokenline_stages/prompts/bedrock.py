"""Converse requests: docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenline.telemetry.content import Prompt

from . import parts
from .parts import Json, mapping, mappings

_MEDIA = ("image", "document", "video", "audio")


def read(payload: Mapping[str, Any]) -> Prompt:
    """The request."""
    tools = mapping(payload.get("toolConfig")).get("tools")
    return Prompt(
        system_instructions=[_block(block) for block in mappings(payload.get("system"))],
        messages=[
            {
                "role": str(message.get("role", "user")),
                "parts": [_block(block) for block in mappings(message.get("content"))],
            }
            for message in mappings(payload.get("messages"))
        ],
        tools=[_tool(tool) for tool in mappings(tools)],
    )


def _block(block: Mapping[str, Any]) -> Json:
    if isinstance(block.get("text"), str):
        return parts.text(block["text"])
    use = mapping(block.get("toolUse"))
    if use:
        return parts.tool_call(use.get("toolUseId"), use.get("name", ""), use.get("input"))
    result = mapping(block.get("toolResult"))
    if result:
        return parts.tool_response(result.get("toolUseId"), result.get("content"))
    thought = mapping(mapping(block.get("reasoningContent")).get("reasoningText"))
    if thought:
        return parts.reasoning(thought.get("text"))
    return _media(block)


def _media(block: Mapping[str, Any]) -> Json:
    for kind in _MEDIA:
        media = mapping(block.get(kind))
        source = mapping(media.get("source"))
        if "bytes" in source:
            return parts.blob(source["bytes"], f"{kind}/{media.get('format', '')}", kind)
        location = mapping(source.get("s3Location"))
        if location:
            return parts.uri(location.get("uri"), kind)
    return {"type": next(iter(block), "block"), **block}


def _tool(tool: Mapping[str, Any]) -> Json:
    spec = mapping(tool.get("toolSpec"))
    if not spec:
        return parts.other_tool({"type": next(iter(tool), "tool"), **tool})
    schema = mapping(spec.get("inputSchema")).get("json")
    return parts.function_tool({**spec, "parameters": schema}, "parameters")
