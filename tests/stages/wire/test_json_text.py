import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline_stages.wire.json_text import is_deeper, mend_text


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('[]{}"\\a😀')),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 6), st.booleans())
@settings(max_examples=200, deadline=None)
def test_depth(value: object, depth: int, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert is_deeper(data, depth) == (depth_of(value) > depth)


@pytest.mark.parametrize(
    ("data", "deeper"),
    [
        pytest.param(b"[" * 3, False, id="not-closed"),
        pytest.param(b"[" * 4, True, id="not-closed-and-deeper"),
        pytest.param(b"[]" * 9, False, id="wide"),
        pytest.param(b'["[[[[', False, id="inside-a-string-that-is-not-closed"),
        pytest.param(b'["\\"[[[["]', False, id="after-an-escaped-quote"),
        pytest.param(b'["\\\\",[[[', True, id="after-an-escaped-backslash"),
        pytest.param(b"[[[\\", False, id="lone-backslash"),
        pytest.param(b"", False, id="empty"),
    ],
)
def test_depth_of_odd_text(data: bytes, deeper: bool) -> None:
    assert is_deeper(data, 3) == deeper


@given(st.binary(max_size=50), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_depth_of_any_bytes(data: bytes, depth: int) -> None:
    is_deeper(data, depth)


@pytest.mark.parametrize("unit", [b"[", b"[]", b'"', b"\\", b'"\\"[', b'{"a":"b"},'])
def test_hostile_text_takes_linear_time(
    unit: bytes, growth: Callable[[Callable[[int], object], int], float]
) -> None:
    assert growth(lambda size: is_deeper(unit * (size // len(unit)), 256), 50_000) < 8


@pytest.mark.parametrize(
    ("data", "mended"),
    [
        pytest.param(b'"a"', b'"a"', id="plain"),
        pytest.param('"é😀"'.encode(), '"é😀"'.encode(), id="utf-8"),
        pytest.param(b'"\xf0\x9f\x98"', '"\ufffd"'.encode(), id="cut-character"),
        pytest.param(b'"\\ud83d\\ude00"', b'"\\ud83d\\ude00"', id="pair"),
        pytest.param(b'"\\uD83D"', b'"\\ufffd"', id="first-half"),
        pytest.param(b'"\\ude00\\ud83d"', b'"\\ufffd\\ufffd"', id="halves-in-the-wrong-order"),
        pytest.param(b'"\\ud83d\\ud83d\\ude00"', b'"\\ufffd\\ud83d\\ude00"', id="half-and-pair"),
        pytest.param(b'"\\\\ud83d"', b'"\\\\ud83d"', id="escaped-backslash"),
        pytest.param(b'"\\u00e9\\n"', b'"\\u00e9\\n"', id="other-escapes"),
    ],
)
def test_mends_text(data: bytes, mended: bytes) -> None:
    assert mend_text(data) == mended
