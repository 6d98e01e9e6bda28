"""Parts of messages as the conventions write them, and lenient looks into payloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Json = dict[str, Any]

_MODALITIES = ("image", "video", "audio")


def text(content: object) -> Json:
    """Text."""
    return {"type": "text", "content": content if isinstance(content, str) else str(content)}


def reasoning(content: object) -> Json:
    """Reasoning that is sent back to the model."""
    return {"type": "reasoning", "content": content if isinstance(content, str) else ""}


def tool_call(call_id: object, name: object, arguments: object) -> Json:
    """A call that the model made."""
    part: Json = {"type": "tool_call", "name": str(name), "arguments": arguments}
    if call_id is not None:
        part["id"] = call_id
    return part


def tool_response(call_id: object, response: object) -> Json:
    """What a tool answered."""
    part: Json = {"type": "tool_call_response", "response": response}
    if call_id is not None:
        part["id"] = call_id
    return part


def blob(content: object, mime_type: object, modality: str | None = None) -> Json:
    """Data inside the request, base64."""
    return {
        "type": "blob",
        "modality": modality or modality_of(mime_type),
        "mime_type": mime_type,
        "content": content,
    }


def uri(address: object, modality: str, mime_type: object = None) -> Json:
    """Data that the model fetches; a `data:` URI is data inside the request."""
    if isinstance(address, str) and address.startswith("data:"):
        head, _, data = address.partition(",")
        return blob(data, head[len("data:") :].split(";")[0] or None, modality)
    part: Json = {"type": "uri", "modality": modality, "uri": address}
    if mime_type is not None:
        part["mime_type"] = mime_type
    return part


def file(file_id: object, modality: str, mime_type: object = None) -> Json:
    """Data that was uploaded before."""
    part: Json = {"type": "file", "modality": modality, "file_id": file_id}
    if mime_type is not None:
        part["mime_type"] = mime_type
    return part


def modality_of(mime_type: object) -> str:
    """image, video, audio or document."""
    kind = mime_type.partition("/")[0] if isinstance(mime_type, str) else ""
    return kind if kind in _MODALITIES else "document"


def function_tool(tool: Mapping[str, Any], parameters: str) -> Json:
    """A function that the model may call; `parameters` names the field of its schema."""
    found: Json = {"type": "function", "name": str(tool.get("name", ""))}
    if tool.get("description") is not None:
        found["description"] = tool["description"]
    if tool.get(parameters) is not None:
        found["parameters"] = tool[parameters]
    return found


def other_tool(tool: Mapping[str, Any]) -> Json:
    """A tool of the provider's, as it is written in the request."""
    kind = str(tool.get("type", "tool"))
    return {**tool, "type": kind, "name": str(tool.get("name", kind))}


def mappings(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects in a list; nothing if it is none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        yield from (item for item in value if isinstance(item, Mapping))


def mapping(value: object) -> Mapping[str, Any]:
    """An object; an empty one if it is none."""
    return value if isinstance(value, Mapping) else {}
