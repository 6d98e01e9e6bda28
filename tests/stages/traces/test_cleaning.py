"""Data is fit to be kept: no secrets, no endless texts, nothing that JSON cannot hold."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenline.redaction import MARK
from tokenline_stages.traces.cleaning import MAX_DEPTH, Cleaning, Rules

KEY = "sk-test-0123456789abcdefghij"
PLAIN = "swordfish-9"


def cleaned(data: Any, rules: Rules | None = None, limit: int = 1000, *sources: Any) -> Any:
    return Cleaning(rules or Rules(), limit, *sources).clean(data)


def test_values_under_secret_names_go_whatever_they_are() -> None:
    data = {"api_key": "x", "Authorization": ["a", "b"], "password": {"deep": 1}, "secret": 5}
    assert cleaned(data) == dict.fromkeys(data, MARK)


def test_switches_and_nothing_under_secret_names_stay() -> None:
    data = {"password": None, "secret": True}
    assert cleaned(data) == data


def test_no_header_value_is_kept() -> None:
    data = {"tools": [{"type": "mcp", "headers": {"X-Tenant": "acme", "Accept": "*/*"}}]}
    assert cleaned(data)["tools"][0]["headers"] == {"X-Tenant": MARK, "Accept": MARK}


def test_a_schema_may_name_a_password() -> None:
    schema = {"type": "object", "properties": {"password": {"type": "string"}}}
    assert cleaned({"parameters": schema}) == {"parameters": schema}


def test_a_value_among_properties_is_no_schema() -> None:
    assert cleaned({"properties": {"password": "x"}}) == {"properties": {"password": MARK}}


def test_keys_in_texts_go_wherever_they_stand() -> None:
    assert cleaned([{"content": f"use {KEY} please"}]) == [{"content": f"use {MARK} please"}]
    assert cleaned({KEY: 1}) == {MARK: 1}


def test_what_is_secret_in_one_place_is_secret_everywhere() -> None:
    payload = {"metadata": {"api_key": PLAIN}}
    answer = {"text": f"you sent {PLAIN}"}
    assert cleaned(answer, None, 1000, payload) == {"text": f"you sent {MARK}"}


def test_names_and_patterns_of_the_users() -> None:
    rules = Rules(["Tenant-Id"], [re.compile(r"\b\d{3}-\d{2}-\d{4}\b")])
    data = {"tenant_id": "t-1", "note": "SSN 123-45-6789", "n": "1"}
    assert cleaned(data, rules) == {"tenant_id": MARK, "note": f"SSN {MARK}", "n": "1"}


@pytest.mark.parametrize("text", ["a" * 2000, "é" * 2000, "😀" * 2000])
def test_long_texts_are_cut_and_say_so(text: str) -> None:
    cleaning = Cleaning(Rules(), 100)
    short = cleaning.clean({"content": text})["content"]
    kept, _, mark = short.partition("[")
    assert text.startswith(kept)
    assert 96 <= len(kept.encode()) <= 100
    assert mark == "cut, 2000 characters]"
    assert cleaning.cut == 1


@pytest.mark.parametrize("at", range(80, 110))
def test_a_cut_leaves_no_half_of_a_secret(at: int) -> None:
    assert "sk-test" not in cleaned("x" * at + " " + KEY + " " + "y" * 2000, None, 100)


@pytest.mark.parametrize("text", ["short", "é" * 50, "a" * 100])
def test_texts_within_the_limit_stay(text: str) -> None:
    cleaning = Cleaning(Rules(), 100)
    assert cleaning.clean(text) == text
    assert cleaning.cut == 0


def test_what_json_cannot_hold_is_made_to_fit() -> None:
    data = {
        "half": "\ud83d",
        "pair": "\ud83d\ude00",
        "huge": 1 << 70,
        "bytes": b"abc",
        "number": {5: float("nan")},
    }
    found = msgspec.json.decode(msgspec.json.encode(cleaned(data)))
    assert found["half"] == "\ufffd"
    assert found["pair"] == "😀"
    assert found["huge"] == str(1 << 70)
    assert found["bytes"] == "[left out, bytes of 3]"
    assert found["number"] == {"5": None}


def test_nesting_has_an_end() -> None:
    data: Any = "deep"
    for _ in range(MAX_DEPTH * 3):
        data = [data]
    assert "[left out, list of 1]" in repr(cleaned(data))


def test_counts_tell_how_much_is_missing() -> None:
    cleaning = Cleaning(Rules(), 100)
    cleaning.clean({"api_key": "x", "headers": {"a": "1", "b": "2"}, "t": [KEY, "z" * 200]})
    assert (cleaning.redacted, cleaning.cut) == (4, 1)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(_JSON)
def test_every_json_value_comes_out_as_json(data: Any) -> None:
    msgspec.json.encode(cleaned(data, Rules(["a"], [re.compile("b")]), 64))
