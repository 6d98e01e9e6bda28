"""Timed traces in the form that Mooncake published: times and lengths, no text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tokenline.errors import ConfigError

from .conversation import Conversation, Message, Turn
from .spec import PromptFile
from .words import make_text

BLOCK_TOKENS = 512
"""Tokens that one hash id stands for."""


class _Row(msgspec.Struct):
    timestamp: float | None = None
    input_length: int | None = None
    output_length: int | None = None
    hash_ids: list[int] = []
    text_input: str | None = None
    session_id: str | int | None = None
    delay: float = 0.0


def read(rows: Sequence[Any], spec: PromptFile, seed: int) -> Iterable[Conversation]:
    """The conversations of a trace, in the order in which they begin.

    Raises:
        ConfigError: an entry has the wrong form.
    """
    sessions: dict[object, list[tuple[_Row, int]]] = {}
    for number, raw in enumerate(rows):
        row = _convert(raw, number, spec)
        key = number if row.session_id is None else f"session:{row.session_id}"
        sessions.setdefault(key, []).append((row, number))
    found = [_conversation(entries, spec, seed) for entries in sessions.values()]
    return sorted(found, key=lambda conversation: conversation.at_s or 0.0)


def _convert(raw: Any, number: int, spec: PromptFile) -> _Row:
    try:
        row = msgspec.convert(raw, _Row)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{spec.path}, entry {number + 1}: {error}") from error
    if row.text_input is None and (row.input_length or 0) < 1:
        raise ConfigError(f"{spec.path}, entry {number + 1}: input_length must be 1 or more")
    if row.output_length is not None and row.output_length < 1:
        raise ConfigError(f"{spec.path}, entry {number + 1}: output_length must be 1 or more")
    return row


def _conversation(entries: Sequence[tuple[_Row, int]], spec: PromptFile, seed: int) -> Conversation:
    turns = [
        Turn(
            messages=(Message("user", _text(row, number, spec, seed)),),
            output_tokens=row.output_length or spec.output_tokens,
            input_tokens=row.input_length,
            delay_s=row.delay / 1000,
        )
        for row, number in entries
    ]
    return Conversation(turns=tuple(turns), at_s=(entries[0][0].timestamp or 0.0) / 1000)


def _text(row: _Row, number: int, spec: PromptFile, seed: int) -> str:
    """Text of the set length; blocks with equal ids are equal."""
    if row.text_input is not None:
        return row.text_input
    left = row.input_length or 1
    pieces = []
    for place in range(-(-left // BLOCK_TOKENS)):
        tokens = min(BLOCK_TOKENS, left - place * BLOCK_TOKENS)
        known = place < len(row.hash_ids)
        key = f"block:{row.hash_ids[place]}" if known else f"entry:{number}:{place}"
        pieces.append(make_text(round(tokens * spec.words_per_token), f"{seed}:{key}"))
    return " ".join(pieces)
