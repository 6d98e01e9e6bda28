"""Cuts content to the size of an attribute: the oldest goes first, secrets go altogether."""

from __future__ import annotations

import json
import re
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
_INT_BITS = 63
_TOKEN = re.compile(r"[\w.~+/=-]*", re.ASCII)
_KEY_END = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")
_SCHEMA = frozenset({"type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const"})
"""One of these is in every JSON schema of a parameter; a parameter's name is no secret's."""


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

    def __call__(self, value: Any, depth: int = _DEEPEST, *, schemas: bool = False) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):  # What an attribute cannot hold may be too long for `str`.
            return value if value.bit_length() <= _INT_BITS else self._text(hex(value))
        if isinstance(value, float):
            return value if isfinite(value) else str(value)
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, (bytes, bytearray)):
            return self._text(b64encode(value[-self._max_chars :]).decode())
        if depth and isinstance(value, Mapping):
            names = {key: pair_surrogates(str(key)) for key in value}
            return {
                name: self._member(name, value[key], depth, schemas=schemas)
                for key, name in names.items()
            }
        if depth and isinstance(value, Sequence):
            return [self(item, depth - 1) for item in value]
        return self._text(str(value))

    def _member(self, name: str, value: Any, depth: int, *, schemas: bool) -> Any:
        if is_secret_name(name) and value is not None and not isinstance(value, bool):
            is_schema = schemas and isinstance(value, Mapping) and not _SCHEMA.isdisjoint(value)
            if not is_schema:
                return MARK
        return self(value, depth - 1, schemas=name == "properties")

    def _text(self, text: str) -> str:
        window_chars = self._max_chars + _LONGEST_SECRET
        if len(text) > window_chars:
            self.cut = True
            return pair_surrogates(_CUT + _end_of(text[-window_chars:]))
        seen = hide_shapes(text)
        if len(seen) > self._max_chars:
            self.cut = True
            seen = _CUT + seen[-self._max_chars :]
        return pair_surrogates(seen)


def _end_of(window: str) -> str:
    """The end of a text, of which `window` is left, without any part of a secret.

    What is nearest to the window's edge only serves to find the secrets that lie across the cut.
    One that began before the edge cannot be told by its shape: what may be one goes as well.
    """
    start = _LONGEST_SECRET
    token = _TOKEN.match(window)
    if token is not None:
        start = max(start, token.end())
    key = _KEY_END.search(window)
    if key is not None and "-----BEGIN " not in window[: key.start()]:
        start = max(start, key.end())
    return hide_shapes(window, start)
