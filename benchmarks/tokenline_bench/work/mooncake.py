"""Timed traces in the form that Mooncake published: times and lengths, no text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tokenline.errors import ConfigError
from tokenline_bench.limits import MOST_S, MOST_TOKENS, check_number

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
    found = [_conversation(_by_time(each), spec, seed) for each in sessions.values()]
    return sorted(found, key=lambda conversation: conversation.at_s or 0.0)


def _convert(raw: Any, number: int, spec: PromptFile) -> _Row:
    try:
        row = msgspec.convert(raw, _Row)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{spec.path}, entry {number + 1}: {error}") from error
    place = f"{spec.path}, entry {number + 1}: "
    length = row.input_length
    if length is None and row.text_input is None:
        length = 0
    check_number(f"{place}input_length", length, MOST_TOKENS, least=1)
    check_number(f"{place}output_length", row.output_length, MOST_TOKENS, least=1)
    check_number(f"{place}timestamp", row.timestamp, MOST_S * 1000)
    check_number(f"{place}delay", row.delay, MOST_S * 1000)
    return row


def _by_time(entries: Sequence[tuple[_Row, int]]) -> list[tuple[_Row, int]]:
    """A session's entries in time; those without one stay behind the entry before them."""
    latest, placed = 0.0, []
    for entry in entries:
        latest = latest if entry[0].timestamp is None else entry[0].timestamp
        placed.append((latest, entry))
    return [entry for _, entry in sorted(placed, key=lambda each: each[0])]


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
