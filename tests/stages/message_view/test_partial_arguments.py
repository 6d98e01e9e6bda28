"""The growing view of arguments: never regresses, never final before the call is."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.stages.message_view.script import Script, cut, examples

from tokenline.events import Event, Reset
from tokenline_stages.message_view import ArgumentsView, GrowingArguments

cuts = st.lists(st.integers(1, 9), min_size=1, max_size=10)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(st.text(max_size=5), values, max_size=5)


def extends(new: Any, old: Any) -> bool:
    """Whether `new` is `old` grown further."""
    if isinstance(old, str):
        return isinstance(new, str) and new.startswith(old)
    if isinstance(old, list):
        return isinstance(new, list) and len(new) >= len(old) and all(map(extends, new, old))
    if isinstance(old, dict):
        return isinstance(new, dict) and all(k in new and extends(new[k], old[k]) for k in old)
    return type(new) is type(old) and new == old


@examples
@given(objects, st.booleans(), cuts)
def test_grows_to_the_object_and_never_regresses(
    value: dict[str, Any], ascii_only: bool, sizes: list[int]
) -> None:
    growing = GrowingArguments()
    last: dict[str, Any] = {}
    for piece in cut(json.dumps(value, ensure_ascii=ascii_only), sizes):
        growing.feed(piece)
        snapshot = growing.snapshot()
        assert extends(snapshot.value, last)
        assert extends(value, snapshot.value)
        assert not snapshot.complete
        assert snapshot.problem is None
        last = json.loads(json.dumps(snapshot.value))
    assert growing.snapshot().value == value
    growing.end(complete=True)
    assert growing.snapshot().complete


def test_shows_open_strings_and_only_whole_numbers() -> None:
    growing = GrowingArguments()
    seen = []
    for piece in ('{"text": "He', 'llo", "n": 1', "2, ", '"l": [tr', 'ue, {"k', '": "v'):
        growing.feed(piece)
        seen.append(growing.snapshot().value)
    assert seen == [
        {"text": "He"},
        {"text": "Hello"},
        {"text": "Hello", "n": 12},
        {"text": "Hello", "n": 12, "l": []},
        {"text": "Hello", "n": 12, "l": [True, {}]},
        {"text": "Hello", "n": 12, "l": [True, {"k": "v"}]},
    ]


def test_earlier_snapshots_stay_as_they_were() -> None:
    growing = GrowingArguments()
    growing.feed('{"a": {"b": ["x')
    before = growing.snapshot()
    growing.feed('y", 1], "c": 2}, "d": 3}')
    assert before.value == {"a": {"b": ["x"]}}
    assert growing.snapshot().value == {"a": {"b": ["xy", 1], "c": 2}, "d": 3}


def test_a_cut_call_is_never_complete() -> None:
    for text, complete in (('{"a": "b', True), ('{"a": "b', False), ('{"a": "b"}', False)):
        growing = GrowingArguments()
        growing.feed(text)
        growing.end(complete)
        assert growing.snapshot().value == {"a": "b"}
        assert not growing.snapshot().complete


def test_a_mistake_stops_the_view_and_is_reported() -> None:
    growing = GrowingArguments()
    growing.feed('{"a": 1, "b": tru, "c": 2}')
    growing.end(complete=True)
    snapshot = growing.snapshot()
    assert snapshot.value == {"a": 1}
    assert snapshot.problem == "'tru' is no value (character 14)"
    assert not snapshot.complete


def test_arguments_that_are_no_object() -> None:
    for text, kind in (("[1]", "list"), ('"s"', "str"), ("null ", "NoneType")):
        growing = GrowingArguments()
        growing.feed(text)
        growing.end(complete=True)
        snapshot = growing.snapshot()
        assert snapshot.value == {}
        assert snapshot.problem == f"arguments are JSON but no object: {kind}"
        assert not snapshot.complete


def test_no_arguments_are_an_empty_object() -> None:
    growing = GrowingArguments()
    growing.end(complete=True)
    assert growing.snapshot().value == {}
    assert growing.snapshot().complete


def test_deep_nesting_is_refused() -> None:
    growing = GrowingArguments()
    growing.feed('{"a":' * 100_000)
    assert growing.snapshot().problem == "nested deeper than 128 levels (character 640)"


def test_one_view_of_all_calls() -> None:
    script = Script().call("search", '{"q": "c', 'ats"}').call("grep", '{"p": 1', complete=None)
    view = ArgumentsView()
    view.feed(script.events)
    assert view.snapshot("call_0").value == {"q": "cats"}
    assert view.snapshot("call_0").complete
    assert {k: v.complete for k, v in view.snapshots().items()} == {"call_0": True, "call_1": False}
    assert view.snapshot("nobody").value == {}
    void: list[Event] = [Reset(9, 0, "m", 2)]
    view.feed(void)
    assert view.snapshots() == {}
