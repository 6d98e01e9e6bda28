"""generateContent requests, in the spelling of the REST API and of the SDK.

https://ai.google.dev/api/generate-content
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tokenline.telemetry.content import Prompt

from . import parts
from .parts import Json, mapping, mappings

_ROLES = {"model": "assistant", "function": "tool"}


def read(payload: Mapping[str, Any]) -> Prompt:
    """The request."""
    config = mapping(payload.get("config"))
    instruction = _either(payload, "systemInstruction") or _either(config, "systemInstruction")
    tools = payload.get("tools") or config.get("tools")
    return Prompt(
        system_instructions=_parts(instruction),
        messages=list(_messages(payload.get("contents"))),
        tools=[declared for tool in mappings(tools) for declared in _tools(tool)],
    )


def _either(fields: Mapping[str, Any], name: str) -> Any:
    """A field by its name in camel case or in snake case."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return fields.get(name, fields.get(snake))


def _messages(contents: object) -> Iterator[Json]:
    if isinstance(contents, str):
        yield {"role": "user", "parts": [parts.text(contents)]}
        return
    for content in [contents] if isinstance(contents, Mapping) else mappings(contents):
        role = str(content.get("role") or "user")
        yield {"role": _ROLES.get(role, role), "parts": _parts(content)}


def _parts(content: object) -> list[Json]:
    if isinstance(content, str):
        return [parts.text(content)]
    found = mapping(content).get("parts")
    if isinstance(found, Mapping):
        found = [found]
    return [_part(part) for part in mappings(found)]


def _part(part: Mapping[str, Any]) -> Json:
    if isinstance(part.get("text"), str):
        return parts.reasoning(part["text"]) if part.get("thought") else parts.text(part["text"])
    data = mapping(_either(part, "inlineData"))
    if data:
        return parts.blob(data.get("data"), _either(data, "mimeType"))
    file = mapping(_either(part, "fileData"))
    if file:
        mime_type = _either(file, "mimeType")
        return parts.uri(_either(file, "fileUri"), parts.modality_of(mime_type), mime_type)
    return _function_part(part)


def _function_part(part: Mapping[str, Any]) -> Json:
    call = mapping(_either(part, "functionCall"))
    if call:
        return parts.tool_call(call.get("id"), call.get("name", ""), call.get("args"))
    response = mapping(_either(part, "functionResponse"))
    if response:
        call_id = response.get("id") or response.get("name")
        return parts.tool_response(call_id, response.get("response"))
    return {"type": next(iter(part), "part"), **part}


def _tools(tool: Mapping[str, Any]) -> Iterator[Json]:
    declarations = list(mappings(_either(tool, "functionDeclarations")))
    for declared in declarations:
        schema = "parametersJsonSchema" if "parametersJsonSchema" in declared else "parameters"
        yield parts.function_tool(declared, schema)
    if not declarations:
        for name, settings in tool.items():
            yield {"type": str(name), "name": str(name), "settings": settings}
