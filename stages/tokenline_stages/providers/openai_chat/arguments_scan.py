"""How far the JSON of a tool call's arguments has come, without parsing it before its end."""

import re

import msgspec

from tokenline.json_args import pair_surrogates

from .lenient import read

_STRUCTURE = re.compile(r'["{}\[\]]')
_QUOTE = re.compile(r'["\\]')
_INK = re.compile(r"\S")


def _blank(text: str, at: int) -> bool:
    return _INK.search(text, at) is None


class ArgumentsScan:
    """Follows JSON text as far as its brackets and strings go, in linear time."""

    __slots__ = ("_depth", "_escaped", "_pieces", "_quoted", "_seen", "_whole", "_wrong")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._seen = 0
        self._depth = 0
        self._quoted = False
        self._escaped = False
        self._whole = False
        self._wrong = False

    def add(self, text: str) -> None:
        """Take the next piece."""
        self._pieces.append(text)

    @property
    def whole(self) -> bool:
        """Whether a JSON object or array has been opened and closed."""
        self._catch_up()
        return self._whole

    @property
    def balanced(self) -> bool:
        """Whether nothing is open and nothing follows a closed object; true of no text."""
        self._catch_up()
        return not (self._depth or self._quoted or self._wrong)

    @property
    def readable(self) -> bool:
        """Whether all of it is a JSON object, array or string, or no text; parses it.

        NaN and bare control characters are let through: models write them.
        """
        text = "".join(self._pieces)
        if not self.balanced or not text.strip():
            return self.balanced
        try:
            value = read(pair_surrogates(text).encode())
        except (msgspec.DecodeError, RecursionError):
            return False
        return isinstance(value, dict | list | str)

    def _catch_up(self) -> None:
        if self._seen < len(self._pieces):
            text = "".join(self._pieces[self._seen :])
            self._seen = len(self._pieces)
            self._scan(text)

    def _scan(self, text: str) -> None:
        at = 0
        if self._escaped:
            at = 1
            self._escaped = False
        while True:
            if self._quoted:
                found = _QUOTE.search(text, at)
                if found is None:
                    return
                at = self._leave_string(text, found.end())
            else:
                if self._whole:
                    self._wrong = self._wrong or not _blank(text, at)
                    return
                found = _STRUCTURE.search(text, at)
                if found is None:
                    return
                at = found.end()
                self._step(text[at - 1])

    def _leave_string(self, text: str, at: int) -> int:
        if text[at - 1] == '"':
            self._quoted = False
        elif at == len(text):
            self._escaped = True
        else:
            at += 1
        return at

    def _step(self, mark: str) -> None:
        if mark == '"':
            self._quoted = True
        elif mark in "{[":
            self._depth += 1
        else:
            self._depth -= 1
            self._whole = self._depth == 0
            self._wrong = self._wrong or self._depth < 0
