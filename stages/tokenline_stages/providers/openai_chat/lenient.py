"""The slow way to a chunk, for JSON whose values have other types than the API's.

Only what the typed decoder refuses comes here: arguments as an object, numbers as text or text
as numbers, an object where a list belongs, NaN in log probabilities, half a surrogate pair.
"""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from tokenline.json_args import pair_surrogates

from .chunk import (
    ChatChunk,
    Choice,
    CustomCall,
    Delta,
    Function,
    ReasoningDetail,
    ToolCallFragment,
)

_T = TypeVar("_T")
_UNREADABLE = (msgspec.MsgspecError, ValueError)


def read(data: bytes) -> Any:
    """The JSON value of `data`.

    Beyond JSON it takes NaN and infinities, control characters in strings, and lone surrogates,
    whose other half may be in the next event.

    Raises:
        msgspec.DecodeError: it is no JSON all the same.
        RecursionError: it is nested too deeply.
    """
    try:
        return msgspec.json.decode(data)
    except _UNREADABLE:
        pass
    try:
        return json.loads(data.decode(), strict=False)
    except ValueError as error:
        raise msgspec.DecodeError(f"no readable JSON: {error}") from error


def write(value: Any) -> bytes:
    """`value` as compact JSON; infinities and NaN become null."""
    try:
        return msgspec.json.encode(value)
    except _UNREADABLE:
        return json.dumps(value, separators=(",", ":")).encode()


def text_of(value: Any, depth: int = 4) -> str | None:
    """The text in `value`: itself, a number's digits, the texts of a list or of its parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return None if isinstance(value, bool) else str(value)
    if not value or not depth:
        return None
    if isinstance(value, dict):
        inner = value.get("text") or value.get("content") or value.get("type")
        return text_of(inner, depth - 1)
    return "".join(text_of(item, depth - 1) or "" for item in value)


def label_of(value: Any) -> str | None:
    """As `text_of`, for a name or an id, which no later event continues: half a pair is mended."""
    text = text_of(value)
    return None if text is None else pair_surrogates(text)


def number_of(value: Any) -> int | None:
    """The whole number in `value`, also from text or a float."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_signature(extra: Mapping[str, Any] | None) -> str | None:
    """Gemini's thought signature in `extra_content`, if there is one."""
    google = extra.get("google") if extra else None
    sealed = google.get("thought_signature") if isinstance(google, Mapping) else None
    return sealed if isinstance(sealed, str) and sealed else None


def build(value: dict[str, Any]) -> ChatChunk:
    """The chunk that `value` was meant to be; what makes no sense is left out."""
    return ChatChunk(
        id=label_of(value.get("id")),
        model=label_of(value.get("model")),
        choices=_list(value.get("choices"), _choice),
        usage=_object(value.get("usage")),
        error=value.get("error"),
        x_groq=_object(value.get("x_groq")),
        citations=_raws(value.get("citations")),
        search_results=_raws(value.get("search_results")),
        moderation=_raw_object(value.get("moderation")),
    )


def _object(value: Any) -> dict[str, Any] | None:
    return _writable(value) if isinstance(value, dict) else None


def _writable(value: Any) -> Any:
    """`value` as JSON can hold it: infinities and NaN are null, text is Unicode."""
    if isinstance(value, str):
        return pair_surrogates(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_writable(inner) for inner in value]
    if isinstance(value, dict):
        return {pair_surrogates(name): _writable(inner) for name, inner in value.items()}
    return value


def _list(value: Any, build_item: Callable[[dict[str, Any]], _T]) -> list[_T] | None:
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return None
    return [build_item(item) for item in value if isinstance(item, dict)]


def _raws(value: Any) -> list[Raw] | None:
    if isinstance(value, dict):
        value = [value]
    return [Raw(write(item)) for item in value] if isinstance(value, list) else None


def _raw_object(value: Any) -> dict[str, Raw] | None:
    if not isinstance(value, dict):
        return None
    return {key: Raw(write(item)) for key, item in value.items()}


def _choice(value: dict[str, Any]) -> Choice:
    return Choice(
        index=number_of(value.get("index")) or 0,
        delta=_delta(value.get("delta")),
        finish_reason=label_of(value.get("finish_reason")),
        logprobs=_raw_object(value.get("logprobs")),
        message=_delta(value.get("message")),
        usage=_object(value.get("usage")),
        error=value.get("error"),
        stop_reason=label_of(value.get("stop_reason")),
        text=text_of(value.get("text")),
    )


def _delta(value: Any) -> Delta | None:
    if isinstance(value, str):
        return Delta(content=value)
    if not isinstance(value, dict):
        return None
    return Delta(
        content=_content(value.get("content")),
        tool_calls=_list(value.get("tool_calls"), _tool_call),
        reasoning_content=text_of(value.get("reasoning_content")),
        reasoning=text_of(value.get("reasoning")),
        reasoning_text=text_of(value.get("reasoning_text")),
        refusal=text_of(value.get("refusal")),
        reasoning_details=_list(value.get("reasoning_details"), _detail),
        annotations=_raws(value.get("annotations")),
        function_call=_function(value.get("function_call")),
        audio=_raw_object(value.get("audio")),
        images=_raws(value.get("images")),
        executed_tools=_raws(value.get("executed_tools")),
        extra_content=_object(value.get("extra_content")),
    )


def _content(value: Any) -> str | list[Raw] | None:
    return _raws(value) if isinstance(value, dict | list) else text_of(value)


def _arguments(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else write(value).decode()


def _function(value: Any) -> Function | None:
    if not isinstance(value, dict):
        return None
    return Function(label_of(value.get("name")), _arguments(value.get("arguments")))


def _custom(value: Any) -> CustomCall | None:
    if not isinstance(value, dict):
        return None
    return CustomCall(label_of(value.get("name")), _arguments(value.get("input")))


def _tool_call(value: dict[str, Any]) -> ToolCallFragment:
    return ToolCallFragment(
        index=number_of(value.get("index")),
        id=label_of(value.get("id")),
        type=label_of(value.get("type")),
        function=_function(value.get("function")),
        custom=_custom(value.get("custom")),
        extra_content=_object(value.get("extra_content")),
        name=label_of(value.get("name")),
        arguments=_arguments(value.get("arguments")),
    )


def _detail(value: dict[str, Any]) -> ReasoningDetail:
    return ReasoningDetail(
        type=label_of(value.get("type")),
        text=text_of(value.get("text")),
        summary=text_of(value.get("summary")),
        data=text_of(value.get("data")),
        signature=text_of(value.get("signature")),
        id=label_of(value.get("id")),
        index=number_of(value.get("index")),
    )
