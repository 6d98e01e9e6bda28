"""Strict reading of JSON that a model or a provider wrote; nothing is ever repaired.

What is read here is kept in a `Result`, so it must survive being written as JSON and read
again. pydantic reads JSON down to 200 levels; `MAX_DEPTH` leaves room for the levels around it.
"""

from typing import Any

import msgspec
from pydantic import JsonValue

MAX_DEPTH = 128
"""Deepest nesting of arguments and provider data that a result keeps as parsed JSON."""

_INVALID = (msgspec.MsgspecError, ValueError, RecursionError)
_decode = msgspec.json.Decoder().decode


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return False
        level = inner
    return True


def _read(data: bytes) -> Any:
    value = _decode(data)
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH and _too_deep(value):
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    return value


def parse_arguments(raw: str) -> tuple[dict[str, JsonValue] | None, str | None]:
    """Read the raw arguments of a complete function call.

    Returns:
        The object and None, or None and what is wrong with the text. No text at all means a
        call without arguments: an empty object.
    """
    if not raw:
        return {}, None
    try:
        value = _read(raw.encode())
    except _INVALID as error:
        return None, f"arguments are not valid JSON: {error}"
    if not isinstance(value, dict):
        return None, f"arguments are JSON but no object: {type(value).__name__}"
    return value, None


def read_json(data: bytes) -> JsonValue:
    """The JSON value of `data`; the text itself where it is no JSON that a result can keep."""
    try:
        value: JsonValue = _read(data)
    except _INVALID:
        return data.decode("utf-8", "replace")
    return value


def keepable_members(value: dict[str, Any]) -> dict[str, Any]:
    """The members of an object that are not nested deeper than a result keeps."""
    if not _too_deep(value):
        return value
    return {name: inner for name, inner in value.items() if not _too_deep(inner)}


def pair_surrogates(text: str) -> str:
    """Text that can be written as UTF-8: halves of one character joined, stray halves replaced.

    Servers that cut text between the two escapes of one character give such halves.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
