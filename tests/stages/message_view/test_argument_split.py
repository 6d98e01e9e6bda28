"""Members taken out of streamed JSON: exact text, and JSON that stays JSON, under every cut."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.stages.message_view.script import cut, examples

from tokenline_stages.message_view import ArgumentSplitter

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "data" / "message_view" / "arguments.json").read_text()
)["cases"]
KEYS = ("thinking", "message")

cuts = st.lists(st.integers(1, 9), min_size=1, max_size=10)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["thinking", "a", ""]), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.sampled_from([*KEYS, "think", "thinking!", "t", "", "b", "m\u00e9"])
objects = st.dictionaries(names, values, max_size=6)


def split(text: str, sizes: list[int]) -> tuple[dict[str, str], str, ArgumentSplitter]:
    """What was taken out by key, and what is left."""
    splitter = ArgumentSplitter(KEYS)
    pieces = [piece for part in cut(text, sizes) for piece in splitter.feed(part)]
    pieces += splitter.finish()
    taken: dict[str, str] = dict.fromkeys(splitter.found, "")
    for key, piece in pieces:
        if key is not None:
            taken[key] += piece
    return taken, "".join(piece for key, piece in pieces if key is None), splitter


@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_golden_arguments_under_every_cut(case: dict[str, Any]) -> None:
    text = case["arguments"]
    for first in range(1, len(text) + 1):
        taken, left, splitter = split(text, [first, len(text)])
        assert (taken, left) == (case["taken"], case["left"])
        assert splitter.problem == case.get("problem")
    assert split(text, [1])[:2] == (case["taken"], case["left"])


@examples
@given(objects, st.booleans(), st.sampled_from([None, 2]), cuts)
def test_any_object(
    value: dict[str, Any], ascii_only: bool, indent: int | None, sizes: list[int]
) -> None:
    taken, left, splitter = split(json.dumps(value, ensure_ascii=ascii_only, indent=indent), sizes)
    strings = {k: v for k, v in value.items() if k in KEYS and isinstance(v, str)}
    assert taken == strings
    assert json.loads(left) == {k: v for k, v in value.items() if k not in strings}
    assert splitter.problem is None


@examples
@given(objects, st.sampled_from([None, 2]), cuts)
def test_without_such_members_the_text_stays_as_it_is(
    value: dict[str, Any], indent: int | None, sizes: list[int]
) -> None:
    text = json.dumps({f"{k}!": v for k, v in value.items()}, indent=indent)
    assert split(text, sizes)[1] == text


@examples
@given(st.text(st.sampled_from('{}[]",:\\thinkg1. '), max_size=40), cuts)
def test_nonsense_is_cut_anywhere_and_never_raises(text: str, sizes: list[int]) -> None:
    taken, left, _ = split(text, sizes)
    assert split(text, [max(1, len(text))])[:2] == (taken, left)
    if not taken:
        assert left.replace(",", "").replace(" ", "") == text.replace(",", "").replace(" ", "")


def test_comes_as_early_as_it_can() -> None:
    splitter = ArgumentSplitter(KEYS)
    seen = [splitter.feed(piece) for piece in ('{"th', 'inking": "a', "b", '", "q', 'u": "x', "y")]
    assert seen == [
        [],
        [("thinking", "a")],
        [("thinking", "b")],
        [(None, '{"q')],
        [(None, 'u": "x')],
        [(None, "y")],
    ]


@pytest.mark.parametrize(
    "form",
    ['{"q": "%s"}', '{"thinking": "%s"}', '{"q": 1,%s', '{"thinking"%s', '{"%s": 1}', "[%s]"],
    ids=["left", "taken", "before a key", "after a key", "key", "list"],
)
@pytest.mark.parametrize("unit", ["text ", " ", r"\u00e9\n", "1,"], ids=repr)
def test_time_is_linear(form: str, unit: str) -> None:
    def took_s(size: int) -> float:
        text = form % (unit * (size // len(unit)))
        splitter = ArgumentSplitter(KEYS)
        from_s = time.process_time()
        for at in range(0, len(text), 6):
            splitter.feed(text[at : at + 6])
        return time.process_time() - from_s

    small = min(took_s(6_000) for _ in range(3))
    assert took_s(48_000) < 8 * small * 4


def test_a_megabyte_in_small_fragments() -> None:
    thought, body = "a\n\u00e9" * 40_000, 'x"' * 240_000
    text = json.dumps({"q": body, "thinking": thought})
    taken, left, _ = split(text, [16])
    assert len(text) > 1_000_000
    assert taken == {"thinking": thought}
    assert json.loads(left) == {"q": body}
