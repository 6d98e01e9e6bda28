"""JSON as it arrives: text in fragments of any size in, tokens out. Sans-IO, linear time.

Every token carries the text it was read from, so the raw texts of all tokens, joined, are the
input. Strings are decoded piece by piece; an escape cut in two, or half of a surrogate pair,
waits for its other half.

Grammar: RFC 8259. What models get wrong inside strings (control characters, escapes that there
are not, half pairs) is taken as it is and noted in `problem`. After anything else the rest comes
as `WRONG` tokens: nothing is lost, nothing is repaired.
"""

import json
import re
from collections.abc import Callable
from enum import Enum
from typing import Any

from tokenline.json_args import MAX_DEPTH


class Mark(Enum):
    """What a token is."""

    SPACE = "white space"
    OBJECT_START = "{"
    OBJECT_END = "}"
    LIST_START = "["
    LIST_END = "]"
    COMMA = ","
    COLON = ":"
    KEY_START = "opening quote of a key"
    STRING_START = "opening quote of a value"
    TEXT = "piece of a key or string; its value is the decoded piece"
    STRING_END = "closing quote"
    SCALAR = "number, true, false or null; its value is the Python value"
    WRONG = "text after something that is no JSON"


Token = tuple[Mark, str, Any]
"""Mark, raw text, value (`None` where the mark says nothing of one)."""

_VALUE = '"{[-0123456789tfn'
_VALUE_OR_END = _VALUE + "]"
_KEY_OR_END = '"}'
_KEY = '"'
_COLON = ":"
_NEXT_MEMBER = ",}"
_NEXT_ITEM = ",]"
_NOTHING = ""

_SPACE = re.compile(r"[ \t\n\r]*+")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*+')
_WHOLE = re.compile(
    r'(?:[^"\\]++|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+"
)
_CONTROL = re.compile(r"[\x00-\x1f]")
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_CUT_ESCAPE = re.compile(
    r"\\(?:u(?:[0-9a-fA-F]{0,3}|[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F]"
    r"[0-9a-fA-F]?)?)?)?)?))?"
)
_SCALAR = re.compile(r"[-+.0-9A-Za-z]*+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_LITERALS = {"true": True, "false": False, "null": None}
_LONGEST_INT = 4000  # Python refuses to read longer ones; as a float they are infinite.
_decode = json.JSONDecoder(strict=False).decode


class JsonReader:
    """Reads one JSON value.

    Args:
        max_depth: deepest nesting; what is deeper is refused like a mistake.

    Attributes:
        problem: the first thing that is wrong with the text, and where; None if nothing is.
        broken: whether the rest of the text comes as `WRONG` tokens.
    """

    __slots__ = (
        "_expected",
        "_held",
        "_is_key",
        "_max_depth",
        "_nesting",
        "_offset",
        "_out",
        "_scalar",
        "_scalar_place",
        "_step",
        "broken",
        "problem",
    )

    def __init__(self, max_depth: int = MAX_DEPTH) -> None:
        self._max_depth = max_depth
        self._step: Callable[[JsonReader, str, int], int] = JsonReader._read_mark
        self._expected = _VALUE
        self._nesting: list[str] = []
        self._held = ""
        self._scalar: list[str] = []
        self._scalar_place = 0
        self._is_key = False
        self._offset = 0
        self._out: list[Token] = []
        self.problem: str | None = None
        self.broken = False

    @property
    def complete(self) -> bool:
        """Whether the whole value was read and nothing but white space followed."""
        return self._expected == _NOTHING and not self.broken

    def feed(self, text: str) -> list[Token]:
        """The tokens that `text` brings."""
        out = self._out = []
        if self._held:
            text = self._held + text
            self._offset -= len(self._held)
            self._held = ""
        at, end = 0, len(text)
        while at < end:
            at = self._step(self, text, at)
        self._offset += end
        return out

    def finish(self) -> list[Token]:
        """The text is over: what was held back of it."""
        out = self._out = []
        if self._scalar:
            self._end_scalar()
        if self._held:
            out.append((Mark.TEXT, self._held, ""))
            self._held = ""
        if not self.complete:
            self._note("the text ends too early", self._offset)
        return out

    # --- steps: each takes some text from `at` on and gives the place after it ------------------

    def _read_mark(self, text: str, at: int) -> int:
        mark = text[at]
        if mark not in self._expected:
            return self._read_space(text, at)
        if mark == '"':
            return self._open_string(at)
        if mark in "{[":
            return self._open_container(mark, text, at)
        if mark in "}]":
            return self._close_container(mark, at)
        if mark == ",":
            self._out.append((Mark.COMMA, mark, None))
            self._expected = _KEY if self._nesting[-1] == "{" else _VALUE
            return at + 1
        if mark == ":":
            self._out.append((Mark.COLON, mark, None))
            self._expected = _VALUE
            return at + 1
        self._step = JsonReader._read_scalar
        self._scalar_place = self._offset + at
        return self._read_scalar(text, at)

    def _read_space(self, text: str, at: int) -> int:
        end = _end_of(_SPACE, text, at)
        if end == at:
            return self._refuse(text, at, f"{text[at]!r} is out of place")
        self._out.append((Mark.SPACE, text[at:end], None))
        return end

    def _open_string(self, at: int) -> int:
        self._is_key = self._expected in (_KEY, _KEY_OR_END)
        self._out.append((Mark.KEY_START if self._is_key else Mark.STRING_START, '"', None))
        self._step = JsonReader._read_string
        return at + 1

    def _read_string(self, text: str, at: int) -> int:
        end = _end_of(_PLAIN, text, at)
        if end < len(text) and text[end] != '"':
            return self._read_escapes(text, at)
        if end > at:
            piece = text[at:end]
            self._out.append((Mark.TEXT, piece, piece))
        return end if end == len(text) else self._close_string(end)

    def _read_escapes(self, text: str, at: int) -> int:
        end = _end_of(_WHOLE, text, at)
        if end > at:
            raw = text[at:end]
            if control := _CONTROL.search(raw):
                place = self._offset + at + control.start()
                self._note("a control character in a string", place)
            self._out.append((Mark.TEXT, raw, _decode(f'"{raw}"')))
        if end == len(text):
            return end
        if text[end] == '"':
            return self._close_string(end)
        if _CUT_ESCAPE.fullmatch(text, end):
            self._held = text[end:]
            return len(text)
        return self._read_odd_escape(text, end)

    def _read_odd_escape(self, text: str, at: int) -> int:
        if _HALF_PAIR.match(text, at):
            raw, value = text[at : at + 6], "\N{REPLACEMENT CHARACTER}"
        else:
            raw = value = text[at : at + 2]
        self._note(f"{raw!r} in a string is no character", self._offset + at)
        self._out.append((Mark.TEXT, raw, value))
        return at + len(raw)

    def _close_string(self, at: int) -> int:
        self._out.append((Mark.STRING_END, '"', None))
        self._step = JsonReader._read_mark
        if self._is_key:
            self._expected = _COLON
        else:
            self._end_value()
        return at + 1

    def _read_scalar(self, text: str, at: int) -> int:
        end = _end_of(_SCALAR, text, at)
        if end > at:
            self._scalar.append(text[at:end])
        if end < len(text):
            self._end_scalar()
        return end

    def _end_scalar(self) -> None:
        raw = "".join(self._scalar)
        self._scalar.clear()
        self._step = JsonReader._read_mark
        if raw in _LITERALS:
            value: Any = _LITERALS[raw]
        elif number := _NUMBER.fullmatch(raw):
            is_int = number.group(1) is number.group(2) is None and len(raw) < _LONGEST_INT
            value = int(raw) if is_int else float(raw)
        else:
            self._note(f"{raw[:20]!r} is no value", self._scalar_place)
            self._break(raw)
            return
        self._out.append((Mark.SCALAR, raw, value))
        self._end_value()

    def _open_container(self, mark: str, text: str, at: int) -> int:
        if len(self._nesting) >= self._max_depth:
            return self._refuse(text, at, f"nested deeper than {self._max_depth} levels")
        is_object = mark == "{"
        self._nesting.append(mark)
        self._out.append((Mark.OBJECT_START if is_object else Mark.LIST_START, mark, None))
        self._expected = _KEY_OR_END if is_object else _VALUE_OR_END
        return at + 1

    def _close_container(self, mark: str, at: int) -> int:
        self._nesting.pop()
        self._out.append((Mark.OBJECT_END if mark == "}" else Mark.LIST_END, mark, None))
        self._end_value()
        return at + 1

    def _end_value(self) -> None:
        if not self._nesting:
            self._expected = _NOTHING
        else:
            self._expected = _NEXT_MEMBER if self._nesting[-1] == "{" else _NEXT_ITEM

    # --- mistakes ----------------------------------------------------------------------------

    def _refuse(self, text: str, at: int, problem: str) -> int:
        self._note(problem, self._offset + at)
        self._break(text[at:])
        return len(text)

    def _break(self, rest: str) -> None:
        self._out.append((Mark.WRONG, rest, None))
        self._step = JsonReader._pass_on
        self.broken = True

    def _pass_on(self, text: str, at: int) -> int:
        self._out.append((Mark.WRONG, text[at:], None))
        return len(text)

    def _note(self, problem: str, place: int) -> None:
        if self.problem is None:
            self.problem = f"{problem} (character {place})"


def _end_of(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where a pattern that matches anywhere ends."""
    found = pattern.match(text, at)
    return at if found is None else found.end()
