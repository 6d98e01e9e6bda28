"""Prompts from files, in four forms.

- `jsonl`: one object a line: `prompt` (or `text`, `text_input`), or `messages` (role and content),
  or `payload` (the whole request body); beside it `output_tokens` (or `max_tokens`).
- `sharegpt`: one JSON array of objects with `conversations` (`from`: human or gpt, `value`); the
  first question of each is asked.
- `conversations`: JSON Lines of objects with `messages`, or the ShareGPT array, all turns of which
  are asked in order.
- `mooncake`: JSON Lines with `timestamp` (ms), `input_length`, `output_length` and `hash_ids`
  (one for each 512 tokens: equal ids stand for equal text), or `text_input`; `session_id` and
  `delay` (ms) join turns. Source: github.com/kvcache-ai/Mooncake, docs.nvidia.com/aiperf.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from tokenline.errors import ConfigError

from . import forms, mooncake
from .conversation import Conversation
from .spec import FileForm, PromptFile


class FilePrompts:
    """What a file asks, again from the start when it is used up.

    Raises:
        ConfigError: the file cannot be read, is empty, or a line has the wrong form (named).
    """

    def __init__(self, spec: PromptFile, seed: int) -> None:
        rows = read_rows(Path(spec.path))
        form = guess_form(rows[0]) if spec.form == "auto" else spec.form
        self._conversations = list(_read(rows, form, spec, seed))
        if spec.shuffle:
            Random(f"shuffle:{seed}").shuffle(self._conversations)
        self._timed = form == "mooncake"

    @property
    def size(self) -> int | None:
        """How many different conversations there are."""
        return len(self._conversations)

    def conversation(self, number: int) -> Conversation:
        """The conversation with that number; starts again after the last."""
        return self._conversations[number % len(self._conversations)]

    def times_s(self) -> Sequence[float] | None:
        """When each begins, for a timed trace."""
        if not self._timed:
            return None
        return [conversation.at_s or 0.0 for conversation in self._conversations]


def _read(
    rows: Sequence[Any], form: FileForm, spec: PromptFile, seed: int
) -> Iterable[Conversation]:
    if form == "mooncake":
        return mooncake.read(rows, spec, seed)
    read = {
        "jsonl": forms.read_prompt,
        "sharegpt": forms.read_first_turn,
        "conversations": forms.read_turns,
    }[form]
    return [_read_row(read, row, number, spec) for number, row in enumerate(rows, start=1)]


def _read_row(read: forms.ReadRow, row: Any, number: int, spec: PromptFile) -> Conversation:
    try:
        return read(row, spec)
    except forms.FormError as error:
        raise ConfigError(f"{spec.path}, entry {number}: {error}") from error


def read_rows(path: Path) -> list[Any]:
    """The entries of a JSON array or of JSON Lines.

    Raises:
        ConfigError: not there, not JSON, or nothing in it.
    """
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
    except OSError as error:
        raise ConfigError(f"cannot read prompts from {path}: {error.strerror}") from error
    if not data.strip():
        raise ConfigError(f"{path} is empty; expected prompts, one JSON object a line")
    if data.lstrip().startswith(b"["):
        rows = _decode(path, 1, data)
    else:
        lines = enumerate(data.splitlines(), start=1)
        rows = [_decode(path, number, line) for number, line in lines if line.strip()]
    if not rows:
        raise ConfigError(f"{path} has no prompts in it")
    return list(rows)


def _decode(path: Path, line: int, data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} line {line} is no JSON: {error}") from error


def guess_form(row: Any) -> FileForm:
    """The form that an entry has."""
    keys = row.keys() if isinstance(row, dict) else ()
    if "timestamp" in keys or "input_length" in keys:
        return "mooncake"
    if "conversations" in keys:
        return "sharegpt"
    messages = row.get("messages") if isinstance(row, dict) else None
    if isinstance(messages, list) and any(
        isinstance(m, dict) and m.get("role") == "assistant" for m in messages
    ):
        return "conversations"
    return "jsonl"
