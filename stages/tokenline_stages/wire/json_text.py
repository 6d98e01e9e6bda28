"""JSON as bytes, looked at without building it: how deep it is, and text that is no Unicode."""

import re
from itertools import accumulate

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_BRACKETS = b"{}[]"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STEPS = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}

# An escape, taken as a pair where it is one, so that six bytes with a `u` are half a pair.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}(?:\\u[dD][c-fC-F][0-9a-fA-F]{2})?"
    rb"|u[dD][c-fC-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
_HALF_PAIR_BYTES = 6


def is_deeper(data: bytes, depth: int) -> bool:
    """Whether the JSON in `data` is nested deeper than `depth`. Linear, and mostly a byte search.

    Nesting is counted in `data` as far as it goes: it need not be well-formed.
    """
    most = depth + 1
    opened = 2 * len(data)
    opened -= len(data.replace(b"{", b"", most)) + len(data.replace(b"[", b"", most))
    if opened <= depth:
        return False
    brackets = _STRING.sub(b"", data).translate(None, _NO_BRACKETS)
    return any(level > depth for level in accumulate(map(_STEPS.__getitem__, brackets)))


def mend_text(data: bytes) -> bytes:
    r"""`data` with U+FFFD for bytes that are no UTF-8 and for half surrogate pairs (`"\ud83d"`)."""
    mended = data.decode("utf-8", "replace").encode()
    return _ESCAPE.sub(_mend_escape, mended) if b"\\u" in mended else mended


def _mend_escape(match: re.Match[bytes]) -> bytes:
    escape = match.group()
    return b"\\ufffd" if len(escape) == _HALF_PAIR_BYTES else escape
