"""Responses requests: https://platform.openai.com/docs/api-reference/responses/create."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenline.telemetry.content import Prompt

from . import parts
from .parts import Json, mapping, mappings

_TEXTS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")


def read(payload: Mapping[str, Any]) -> Prompt:
    """The request; items that are no messages get the role of who made them."""
    instructions, items = payload.get("instructions"), payload.get("input")
    prompt = Prompt(tools=[_tool(tool) for tool in mappings(payload.get("tools"))])
    if isinstance(instructions, str) and instructions:
        prompt.system_instructions.append(parts.text(instructions))
    if isinstance(items, str):
        prompt.messages.append({"role": "user", "parts": [parts.text(items)]})
    else:
        prompt.messages += [_message(item) for item in mappings(items)]
    return prompt


def _message(item: Mapping[str, Any]) -> Json:
    kind = str(item.get("type", "message"))
    if kind == "message":
        return {"role": str(item.get("role", "user")), "parts": _content(item.get("content"))}
    if kind.endswith("_call_output"):
        response = parts.tool_response(item.get("call_id"), item.get("output"))
        return {"role": "tool", "parts": [response]}
    return {"role": "assistant", "parts": [_made_by_model(kind, item)]}


def _made_by_model(kind: str, item: Mapping[str, Any]) -> Json:
    match kind:
        case "function_call":
            return parts.tool_call(item.get("call_id"), item.get("name", ""), item.get("arguments"))
        case "custom_tool_call":
            return parts.tool_call(item.get("call_id"), item.get("name", ""), item.get("input"))
        case "reasoning":
            pieces = [*mappings(item.get("content")), *mappings(item.get("summary"))]
            return parts.reasoning("\n".join(str(piece.get("text", "")) for piece in pieces))
        case _ if kind.endswith("_call"):
            name = kind.removesuffix("_call")
            call = {**item, "type": name}
            part: Json = {"type": "server_tool_call", "name": name, "server_tool_call": call}
            return part if item.get("id") is None else {**part, "id": item["id"]}
        case _:
            return {**item, "type": kind}


def _content(content: object) -> list[Json]:
    if isinstance(content, str):
        return [parts.text(content)]
    return [_content_part(part) for part in mappings(content)]


def _content_part(part: Mapping[str, Any]) -> Json:
    kind = part.get("type")
    if kind in _TEXTS:
        return parts.text(part.get("text", ""))
    if kind == "input_image":
        if part.get("image_url") is not None:
            return parts.uri(part["image_url"], "image")
        return parts.file(part.get("file_id"), "image")
    if kind == "input_file":
        address = part.get("file_data") or part.get("file_url")
        if address is not None:
            return parts.uri(address, "document")
        return parts.file(part.get("file_id"), "document")
    if kind == "refusal":
        return {"type": "refusal", "content": part.get("refusal")}
    return {**part, "type": str(kind)}


def _tool(tool: Mapping[str, Any]) -> Json:
    if tool.get("type") == "function":
        return parts.function_tool(mapping(tool.get("function")) or tool, "parameters")
    return parts.other_tool(tool)
