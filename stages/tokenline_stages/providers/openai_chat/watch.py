"""Decodes chat chunks and looks for fields that nothing here knows; for runs that ask for it.

It reads every event twice, so only strict runs and those that pass unknown input on use it.
"""

from collections.abc import Callable, Iterator
from typing import Any

from tokenline.stage import StepContext
from tokenline_stages.wire.items import Unknown

from . import lenient
from .chunk import ChatChunk, WatchedChunk
from .fields import CHOICE_FIELDS, CHUNK_FIELDS, DELTA_FIELDS
from .wire import ChatWire, PlainFirst, decode

_EMPTY: tuple[Any, ...] = (None, "", [], {})


def decode_watched(name: str, data: bytes) -> ChatWire:
    """As `decode`; a chunk with unknown fields becomes a `WatchedChunk`.

    A field that is null or empty says nothing and is passed over.

    Raises:
        msgspec.DecodeError: the data is no JSON.
        RecursionError: the data is nested too deeply.
    """
    item = decode(name, data)
    if type(item) is not ChatChunk:
        return item
    value = lenient.read(data)
    if isinstance(value, list) and value:
        value = value[0]
    unknown = tuple(_unknown_fields(value)) if isinstance(value, dict) else ()
    if not unknown:
        return item
    known = {field: getattr(item, field) for field in ChatChunk.__struct_fields__}
    return WatchedChunk(**known, unknown=unknown)


def decoder_of(context: StepContext) -> Callable[[str, bytes], ChatWire]:
    """The decoder for a run: one that looks for unknown fields only if somebody hears of them."""
    return decode_watched if context.strict or context.pass_unknown else PlainFirst().decode


def _unknown_fields(chunk: dict[str, Any]) -> Iterator[Unknown]:
    yield from _others("", chunk, CHUNK_FIELDS)
    choices = chunk.get("choices")
    for choice in choices if isinstance(choices, list) else [choices]:
        if isinstance(choice, dict):
            yield from _others("choices.", choice, CHOICE_FIELDS)
            for key in ("delta", "message"):
                delta = choice.get(key)
                if isinstance(delta, dict):
                    yield from _others(f"choices.{key}.", delta, DELTA_FIELDS)


def _others(place: str, value: dict[str, Any], known: frozenset[str]) -> Iterator[Unknown]:
    for name, inner in value.items():
        if name not in known and inner not in _EMPTY:
            yield Unknown(place + name, lenient.write(inner))
