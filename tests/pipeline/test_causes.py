"""`__cause__` goes along when an error is pickled or copied, or leaves a stand-in that says it."""

import copy
import inspect
import pickle
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from tokenline import errors
from tokenline.errors import (
    ConnectError,
    RemoteCause,
    ServerError,
    StageFailedError,
    StreamCutError,
    TokenlineError,
)

KINDS = [
    kind
    for kind in vars(errors).values()
    if inspect.isclass(kind) and issubclass(kind, TokenlineError)
]
MORE: dict[str, dict[str, Any]] = {
    "LimitExceededError": {"limit": "max_parts"},
    "UnknownProviderError": {"known": ("acme",)},
}
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


class TwoWordsError(Exception):
    """Pickles, and cannot be made again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


class NoTextError(Exception):
    def __init__(self) -> None:
        super().__init__(threading.Lock())

    def __str__(self) -> str:
        raise ValueError


def made(kind: type[TokenlineError], cause: BaseException | None = None) -> TokenlineError:
    error = kind("no", **MORE.get(kind.__name__, {}))
    error.add_note("seen on a Sunday")
    error.__cause__ = cause
    return error


def there_and_back(error: Any) -> Any:
    return pickle.loads(pickle.dumps(error))


def causes(error: BaseException) -> Iterator[BaseException]:
    while error.__cause__ is not None:
        error = error.__cause__
        yield error


def chain(error: BaseException | None) -> list[str]:
    """What a traceback would say of it and its causes."""
    if error is None:
        return []
    return ["".join(traceback.format_exception_only(e)).strip() for e in (error, *causes(error))]


def after(error: BaseException, cause: BaseException | None) -> Any:
    error.__cause__ = cause
    return error


@every_kind
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_error_has_its_causes(kind: type[TokenlineError], protocol: int) -> None:
    inner = after(StreamCutError("cut", provider="acme"), OSError(104, "reset"))
    error = made(kind, after(ValueError("bad"), after(KeyError("k"), inner)))
    twin = pickle.loads(pickle.dumps(error, protocol))
    assert type(twin) is kind
    assert chain(twin) == chain(error)
    assert len(chain(twin)) == 5
    assert twin.__dict__ == error.__dict__
    assert [vars(each)["provider"] for each in causes(twin) if vars(each)] == ["acme"]
    assert chain(there_and_back(twin)) == chain(error)


@every_kind
def test_so_it_has_in_a_group(kind: type[TokenlineError]) -> None:
    error = made(kind, ValueError("bad"))
    group = there_and_back(ExceptionGroup("two", [error, ExceptionGroup("one", [error])]))
    for twin in (group.exceptions[0], group.exceptions[1].exceptions[0]):
        assert type(twin) is kind
        assert chain(twin) == chain(error)


@every_kind
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copy_has_the_very_same_cause(kind: type[TokenlineError], way: Any) -> None:
    error = made(kind, NoTextError())
    for twin in (way(error), way(ExceptionGroup("one", [error])).exceptions[0]):
        assert type(twin) is kind
        assert twin.args == error.args
        assert twin.__dict__ == error.__dict__
        assert twin.__cause__ is error.__cause__
        assert twin.__suppress_context__


def test_a_deep_copy_shares_no_state() -> None:
    error = StreamCutError("cut")
    error.add_note("one")
    shallow, deep = copy.copy(error), copy.deepcopy(error)
    assert shallow.__dict__ is not error.__dict__
    error.add_note("two")
    assert deep.__notes__ == ["one"]
    both = copy.deepcopy([error, error])
    assert both[0] is both[1]
    assert copy.deepcopy(StreamCutError("cut")).__suppress_context__ is False


@every_kind
@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ValueError(threading.Lock()), "ValueError: <unlocked _thread.lock"),
        (TwoWordsError("some", "words"), f"{__name__}.TwoWordsError: some words"),
        (NoTextError(), f"{__name__}.NoTextError"),
    ],
    ids=["does not pickle", "does not unpickle", "no text"],
)
def test_a_cause_that_cannot_come_along_has_a_stand_in(
    kind: type[TokenlineError], cause: Exception, words: str
) -> None:
    cause.__notes__ = ["a note"]
    error = made(kind, after(cause, after(ServerError("busy"), KeyError("k"))))
    twin = there_and_back(there_and_back(error))
    assert type(twin) is kind
    stand_in = twin.__cause__
    assert type(stand_in) is RemoteCause
    assert str(stand_in).startswith(words)
    assert stand_in.type_name == words.partition(":")[0]
    assert stand_in.__notes__ == ["a note"]
    assert chain(stand_in.__cause__) == chain(cause.__cause__)


def test_a_cause_whose_class_is_unknown_where_it_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    Gone = type("Gone", (Exception,), {"__module__": __name__})
    monkeypatch.setitem(globals(), "Gone", Gone)
    sent = pickle.dumps(made(StageFailedError, Gone("by then")))
    assert type(pickle.loads(sent).__cause__) is Gone
    monkeypatch.delitem(globals(), "Gone")
    assert str(pickle.loads(sent).__cause__) == f"{__name__}.Gone: by then"


def test_a_group_as_the_cause_loses_no_member() -> None:
    first = after(ValueError("bad"), KeyError("k"))
    second = after(TwoWordsError("some", "words"), ConnectError("refused"))
    group = after(ExceptionGroup("both", [first, second]), OSError("before"))
    group.add_note("a note")
    twin = there_and_back(made(StageFailedError, group)).__cause__
    assert type(twin) is ExceptionGroup
    assert (twin.message, twin.__notes__) == ("both", ["a note"])
    assert chain(twin.__cause__) == chain(group.__cause__)
    assert chain(twin.exceptions[0]) == chain(first)
    assert type(twin.exceptions[1]) is RemoteCause
    assert chain(twin.exceptions[1].__cause__) == chain(second.__cause__)


def test_an_error_among_its_own_causes() -> None:
    error = made(StreamCutError)
    error.__cause__ = error
    assert len(chain(there_and_back(error))) == 2
    circle = made(StreamCutError, ValueError("bad"))
    assert circle.__cause__ is not None
    circle.__cause__.__cause__ = circle
    holder = ValueError("bad")
    holder.owner = circle  # type: ignore[attr-defined]
    circle.__cause__.__cause__ = holder
    assert chain(there_and_back(circle))[:2] == chain(made(StreamCutError, ValueError("bad")))


@pytest.mark.parametrize("pickles", [True, False])
def test_a_long_chain_stays_small(pickles: bool) -> None:
    error = StreamCutError("0")
    for number in range(1, 30):
        error = after(StreamCutError(str(number)), error)
        if not pickles:
            error.lock = threading.Lock()
    sent = pickle.dumps(after(StreamCutError("30"), error))
    assert len(sent) < 31 * 1000
    assert len(chain(pickle.loads(sent))) == 31
