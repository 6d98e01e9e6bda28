"""Chat Completions requests, and Ollama's, which differ in images and thinking.

https://platform.openai.com/docs/api-reference/chat/create,
https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokenline.telemetry.content import Prompt

from . import parts
from .parts import Json, mapping, mappings


def read(payload: Mapping[str, Any]) -> Prompt:
    """The request; system messages stay where they are in the history."""
    return Prompt(
        messages=[_message(message) for message in mappings(payload.get("messages"))],
        tools=[_tool(tool) for tool in mappings(payload.get("tools"))],
    )


def _message(message: Mapping[str, Any]) -> Json:
    role = str(message.get("role", "user"))
    found: Json = {"role": role, "parts": _parts(message, role)}
    if isinstance(message.get("name"), str):
        found["name"] = message["name"]
    return found


def _parts(message: Mapping[str, Any], role: str) -> list[Json]:
    content = message.get("content")
    if role == "tool":
        call_id = message.get("tool_call_id", message.get("tool_name"))
        return [parts.tool_response(call_id, content)]
    found: list[Json] = []
    thinking = message.get("thinking") or message.get("reasoning_content")
    if thinking:
        found.append(parts.reasoning(thinking))
    if isinstance(content, str):
        if content:
            found.append(parts.text(content))
    else:
        found += [_content_part(part) for part in mappings(content)]
    images = message.get("images")
    if isinstance(images, list):
        found += [parts.blob(image, None, "image") for image in images]
    found += [_tool_call(call) for call in mappings(message.get("tool_calls"))]
    return found


def _content_part(part: Mapping[str, Any]) -> Json:
    kind = part.get("type")
    match kind:
        case "text":
            return parts.text(part.get("text", ""))
        case "image_url":
            image = part.get("image_url")
            return parts.uri(
                image if isinstance(image, str) else mapping(image).get("url"), "image"
            )
        case "input_audio":
            audio = mapping(part.get("input_audio"))
            return parts.blob(audio.get("data"), f"audio/{audio.get('format', '')}", "audio")
        case "file":
            return _file(mapping(part.get("file")))
        case _:
            return {**part, "type": str(kind)}


def _file(file: Mapping[str, Any]) -> Json:
    if file.get("file_data") is not None:
        return parts.uri(file["file_data"], "document")
    return parts.file(file.get("file_id"), "document")


def _tool_call(call: Mapping[str, Any]) -> Json:
    kind = "custom" if "custom" in call else "function"
    called = mapping(call.get(kind))
    arguments = called.get("input" if kind == "custom" else "arguments")
    return parts.tool_call(call.get("id"), called.get("name", ""), arguments)


def _tool(tool: Mapping[str, Any]) -> Json:
    if isinstance(tool.get("function"), Mapping):
        return parts.function_tool(tool["function"], "parameters")
    if isinstance(tool.get("custom"), Mapping):
        return parts.other_tool({**tool["custom"], "type": "custom"})
    return parts.other_tool(tool)
