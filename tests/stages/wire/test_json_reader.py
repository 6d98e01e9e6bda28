"""The incremental JSON reader against the standard library, under every cut."""

import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tokenline_stages.wire.json_reader import JsonReader, Mark, Token

examples = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
cuts = st.lists(st.integers(1, 7), min_size=1, max_size=12)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
json_texts = st.builds(
    lambda value, ascii_only, indent: json.dumps(value, ensure_ascii=ascii_only, indent=indent),
    json_values,
    st.booleans(),
    st.sampled_from([None, 1]),
)
json_like = st.text(st.sampled_from('{}[]",:\\ntrue1-.0eE uaf9\n\t'), max_size=30)


def pieces(text: str, sizes: list[int]) -> list[str]:
    """`text` cut into pieces of these sizes, again and again."""
    out: list[str] = []
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(text):
            return out
        out.append(text[at : at + size])
        at += size
    return out


def read(text: str, sizes: list[int]) -> tuple[list[Token], JsonReader]:
    reader = JsonReader()
    tokens = [token for piece in pieces(text, sizes) for token in reader.feed(piece)]
    return tokens + reader.finish(), reader


def joined(tokens: list[Token]) -> list[Token]:
    """Tokens with neighbouring pieces of text made one."""
    out: list[Token] = []
    for mark, raw, value in tokens:
        if out and mark is out[-1][0] and mark in (Mark.TEXT, Mark.WRONG, Mark.SPACE):
            _, before, old = out.pop()
            raw, value = before + raw, None if value is None else old + value
        out.append((mark, raw, value))
    return out


def is_json(text: str) -> bool:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


@examples
@given(json_texts | json_like, cuts)
def test_nothing_is_lost_and_cuts_do_not_matter(text: str, sizes: list[int]) -> None:
    tokens, reader = read(text, sizes)
    assert "".join(raw for _, raw, _ in tokens) == text
    whole, other = read(text, [len(text) or 1])
    assert joined(tokens) == joined(whole)
    assert (reader.problem, reader.complete) == (other.problem, other.complete)


@examples
@given(json_texts | json_like, cuts)
def test_finds_a_problem_where_there_is_one(text: str, sizes: list[int]) -> None:
    _, reader = read(text, sizes)
    assert (reader.problem is None) == is_json(text)
    assert reader.complete or reader.problem is not None


@examples
@given(st.text(), st.booleans(), cuts)
def test_decodes_strings(text: str, ascii_only: bool, sizes: list[int]) -> None:
    tokens, reader = read(json.dumps(text, ensure_ascii=ascii_only), sizes)
    assert "".join(value for mark, _, value in tokens if mark is Mark.TEXT) == text
    assert reader.problem is None


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize(
    ("raw", "text", "problem"),
    [
        (r"\ud83d\ude00", "\U0001f600", None),
        (r"\uD83D\uDE00\u00e9", "\U0001f600\u00e9", None),
        (r"a\ud83db", "a\ufffdb", r"'\\ud83d' in a string is no character (character 2)"),
        (r"\ud83d\n", "\ufffd\n", r"'\\ud83d' in a string is no character (character 1)"),
        (r"\ude00", "\ufffd", r"'\\ude00' in a string is no character (character 1)"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600", r"'\\ud83d' in a string is no character"),
        (r"\x41", r"\x41", r"'\\x' in a string is no character (character 1)"),
        (r"\u12g4", r"\u12g4", r"'\\u' in a string is no character (character 1)"),
        ("a\nb", "a\nb", "a control character in a string"),
    ],
)
def test_escapes(raw: str, text: str, problem: str | None, size: int) -> None:
    tokens, reader = read(f'"{raw}"', [size])
    assert "".join(value for mark, _, value in tokens if mark is Mark.TEXT) == text
    assert reader.complete
    assert (reader.problem or "").startswith(problem or "")
    assert (reader.problem is None) == (problem is None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a":1,}', "'}' is out of place (character 7)"),
        ("[1 2]", "'2' is out of place (character 3)"),
        ('{"a":tru}', "'tru' is no value (character 5)"),
        ("{'a':1}", '"\'" is out of place (character 1)'),
        ("[01]", "'01' is no value (character 1)"),
        ("{} {}", "'{' is out of place (character 3)"),
        ('{"a":"b', "the text ends too early (character 7)"),
        ("", "the text ends too early (character 0)"),
        ("[" * 200, "nested deeper than 128 levels (character 128)"),
    ],
)
@pytest.mark.parametrize("size", [1, 100])
def test_says_what_is_wrong_and_where(text: str, problem: str, size: int) -> None:
    tokens, reader = read(text, [size])
    assert reader.problem == problem
    assert "".join(raw for _, raw, _ in tokens) == text


def test_numbers_of_any_length() -> None:
    tokens, reader = read("[" + "9" * 5000 + ",1e999,-0.5e-3,12]", [100])
    values = [value for mark, _, value in tokens if mark is Mark.SCALAR]
    assert values == [float("inf"), float("inf"), -0.0005, 12]
    assert reader.complete


@pytest.mark.parametrize(
    "unit",
    ["plain words ", r"\n\"\u00e9\ud83d\ude00", "9", '","'],
    ids=["text", "escapes", "digits", "items"],
)
def test_time_is_linear(unit: str) -> None:
    def took_s(size: int) -> float:
        quote = "" if unit == "9" else '"'
        text = f"[{quote}" + unit * (size // len(unit)) + f"{quote}]"
        reader = JsonReader()
        from_s = time.process_time()
        for at in range(0, len(text), 5):
            reader.feed(text[at : at + 5])
        return time.process_time() - from_s

    small = min(took_s(25_000) for _ in range(3))
    assert took_s(200_000) < 8 * small * 4
