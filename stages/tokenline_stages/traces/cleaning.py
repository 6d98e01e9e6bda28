"""Makes data fit to be kept: secrets out, long texts cut, nothing that JSON cannot hold.

Rules, in this order of a walk through the data:

- what stands under a secret name (`tokenline.redaction.is_secret_name`, and names of the user's)
  is taken out; a tool schema's property of such a name is a name, not a value, and stays;
- of headers (`headers`, `extra_headers` ...) no value is kept;
- texts lose the values found so, what looks like a key, and what the user's patterns match;
- texts longer than the limit are cut and say so, nesting deeper than `MAX_DEPTH` is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tokenline.json_args import pair_surrogates
from tokenline.redaction import (
    MARK,
    hide_shapes,
    hide_values,
    is_header_map,
    is_secret_name,
    secret_values,
)

MAX_DEPTH = 100

_PROPERTIES = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_SHORTEST_CHARS = 10
"""No shape of a secret fits into a shorter text."""

_SHORTEST_TOKEN_CHARS = 16
"""No token by itself does."""

_OVERLAP_CHARS = 512
"""How far beyond a cut is looked, so that no secret survives by being cut in two."""


class Rules:
    """What to take out, compiled once.

    Args:
        names: further names of secrets.
        patterns: further patterns.
    """

    def __init__(self, names: Iterable[str] = (), patterns: Sequence[re.Pattern[str]] = ()) -> None:
        self.names = frozenset(map(_plain, names))
        self.patterns = tuple(patterns)

    def is_secret(self, name: str) -> bool:
        """Whether the value of this name is to be taken out."""
        return is_secret_name(name) or (bool(self.names) and _plain(name) in self.names)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


class Cleaning:
    """The cleaning of one record.

    Args:
        rules: what to take out.
        max_field_bytes: longest text, UTF-8.
        sources: data whose secrets must not show up anywhere in the record.

    Attributes:
        redacted: values taken out so far.
        cut: values shortened or left out so far.
    """

    def __init__(self, rules: Rules, max_field_bytes: int, *sources: Any) -> None:
        self.redacted = 0
        self.cut = 0
        self._rules = rules
        self._max_bytes = max_field_bytes
        found: set[str] = set()
        for source in sources:
            found |= secret_values(source, rules.is_secret)
        self._secrets = sorted(found, key=len, reverse=True)

    def clean(self, data: Any, depth: int = MAX_DEPTH) -> Any:
        """A copy of JSON-like data that may be kept."""
        if isinstance(data, str):
            return self.text(data)
        if data is None or isinstance(data, (bool, float)):
            return data
        if isinstance(data, (dict, Mapping)):
            return self._mapping(data, depth - 1) if depth else self._left_out(data)
        if isinstance(data, (list, tuple)):
            if not depth:
                return self._left_out(data)
            return [self.clean(value, depth - 1) for value in data]
        if isinstance(data, (bytes, bytearray)):
            return self._left_out(data)
        return data if isinstance(data, int) and abs(data) < 1 << 63 else self.text(str(data))

    def text(self, text: str) -> str:
        """A text without secrets, not longer than allowed, fit for UTF-8."""
        length = len(text)
        window = self._max_bytes + _OVERLAP_CHARS
        if length > window:
            text = text[:window]
        text = pair_surrogates(text)
        clean = text
        if length >= _SHORTEST_CHARS or self._secrets:
            clean = hide_shapes(hide_values(text, self._secrets))
        for pattern in self._rules.patterns:
            clean = pattern.sub(MARK, clean)
        self.redacted += clean != text
        return self._shorten(clean, length)

    def optional(self, text: str | None) -> str | None:
        """Like `text`; None stays None."""
        return None if text is None else self.text(text)

    def _shorten(self, text: str, length: int) -> str:
        limit = self._max_bytes
        if length <= limit // 4 or (length <= limit and text.isascii()):
            return text
        data = text.encode()
        if length <= limit and len(data) <= limit:
            return text
        self.cut += 1
        kept = data[:limit].decode("utf-8", "ignore")
        return f"{kept}[cut, {length} characters]"

    def _mapping(self, data: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        return {
            self._name(str(name)): self._member(str(name), value, depth)
            for name, value in data.items()
        }

    def _name(self, name: str) -> str:
        return name if len(name) < _SHORTEST_TOKEN_CHARS and name.isascii() else self.text(name)

    def _member(self, name: str, value: Any, depth: int) -> Any:
        if name in _PROPERTIES and isinstance(value, Mapping):
            return {
                self._name(str(key)): self._property(str(key), inner, depth)
                for key, inner in value.items()
            }
        if is_header_map(name) and isinstance(value, (Mapping, list, tuple)):
            self.redacted += len(value)
            return dict.fromkeys(map(str, value), MARK) if isinstance(value, Mapping) else MARK
        if value is None or isinstance(value, bool) or not self._rules.is_secret(name):
            return self.clean(value, depth)
        self.redacted += 1
        return MARK

    def _property(self, name: str, value: Any, depth: int) -> Any:
        is_schema = isinstance(value, Mapping)
        return self.clean(value, depth) if is_schema else self._member(name, value, depth)

    def _left_out(self, data: Any) -> str:
        self.cut += 1
        return f"[left out, {type(data).__name__} of {len(data)}]"
