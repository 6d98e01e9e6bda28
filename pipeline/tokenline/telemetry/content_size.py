"""Cuts content to the size of an attribute: the oldest goes first, secrets go altogether."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from tokenline.json_args import pair_surrogates
from tokenline.redaction import MARK, hide_shapes, is_secret_name

_CUT = "[...]"
_DEEPEST = 32
_LONGEST_SECRET = 4096
_SHORTEST_TEXT = 64


@dataclass(frozen=True, slots=True)
class Fitted:
    """A list of messages, parts or tools that fits.

    Attributes:
        items: plain JSON values, valid Unicode.
        text: the same as JSON.
        truncated: something was cut.
    """

    items: list[Any]
    text: str
    truncated: bool


def fit(items: Sequence[Any], max_bytes: int) -> Fitted:
    """The newest items whose JSON has at most `max_bytes` (UTF-8).

    Where the newest alone is too large its texts lose their beginnings.
    """
    kept: list[Any] = []
    texts: list[str] = []
    room = max_bytes - 2
    truncated = False
    for item in reversed(items):
        clean = _Cleaner(max(room, _SHORTEST_TEXT))
        plain = clean(item)
        text = _dump(plain)
        if len(text.encode()) + 2 > room:
            truncated = True
            if kept:
                break
            plain, text = _shorten(plain, room)
            if not text:
                break
        truncated = truncated or clean.cut
        kept.append(plain)
        texts.append(text)
        room -= len(text.encode()) + 2
    truncated = truncated or len(kept) < len(items)
    return Fitted(kept[::-1], f"[{', '.join(texts[::-1])}]", truncated)


def _shorten(item: Any, max_bytes: int) -> tuple[Any, str]:
    """Shorter and shorter texts until it fits; nothing if the frame alone is too large."""
    limit = max_bytes
    while limit > _SHORTEST_TEXT:
        limit //= 2
        plain = _Cleaner(limit)(item)
        text = _dump(plain)
        if len(text.encode()) + 2 <= max_bytes:
            return plain, text
    return None, ""


def _dump(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False)


class _Cleaner:
    """Makes any value plain JSON without secrets, and texts no longer than `max_chars`."""

    def __init__(self, max_chars: int) -> None:
        self.cut = False
        self._max_chars = max_chars

    def __call__(self, value: Any, depth: int = _DEEPEST) -> Any:
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, float):
            return value if isfinite(value) else str(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (bytes, bytearray)):
            return self._text(b64encode(value[-self._max_chars :]).decode())
        if depth and isinstance(value, Mapping):
            return {str(key): self._member(str(key), value[key], depth) for key in value}
        if depth and isinstance(value, Sequence):
            return [self(item, depth - 1) for item in value]
        return self._text(str(value))

    def _member(self, name: str, value: Any, depth: int) -> Any:
        if isinstance(value, str) and is_secret_name(name):
            return MARK
        return self(value, depth - 1)

    def _text(self, text: str) -> str:
        # A secret that lies across the cut must be found before its end is all that is left.
        seen = hide_shapes(text[-self._max_chars - _LONGEST_SECRET :])
        if len(text) > self._max_chars + _LONGEST_SECRET or len(seen) > self._max_chars:
            self.cut = True
            seen = _CUT + seen[-self._max_chars :]
        return pair_surrogates(seen)
