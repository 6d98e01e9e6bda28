"""What is said of options that cannot be."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tokenline.errors import ConfigError, InvalidOptionError
from tokenline.limiter import Bounds
from tokenline.options import Capacity, Limits, RunOptions
from tokenline.policy import HedgePolicy, Leaving, RetryPolicy, Timeouts


@pytest.mark.parametrize(
    ("make", "message", "options"),
    [
        pytest.param(
            lambda: Capacity(max_wait_s=-1),
            "Capacity: max_wait_s is -1 and should be greater than 0",
            ("max_wait_s",),
            id="value",
        ),
        pytest.param(
            lambda: Capacity(overflow="drop"),  # type: ignore[arg-type]
            "Capacity: overflow is 'drop' and should be 'block', 'drop_oldest', 'drop_newest',"
            " 'conflate' or 'fail'",
            ("overflow",),
            id="choice",
        ),
        pytest.param(
            lambda: Timeouts(idle=3),  # type: ignore[call-arg]
            "Timeouts: there is no option 'idle', did you mean 'idle_s'?",
            ("idle",),
            id="name",
        ),
        pytest.param(
            lambda: Leaving(zebra=1),  # type: ignore[call-arg]
            "Leaving: there is no option 'zebra'; there are action, max_s, max_bytes",
            ("zebra",),
            id="no name like it",
        ),
        pytest.param(
            lambda: RetryPolicy(attempts=0, jitter_s=-1),
            "RetryPolicy: attempts is 0 and should be greater than or equal to 1; jitter_s is -1"
            " and should be greater than or equal to 0",
            ("attempts", "jitter_s"),
            id="two",
        ),
        pytest.param(
            lambda: RunOptions(timeouts={"idle_s": 0}),  # type: ignore[arg-type]
            "RunOptions: timeouts: Timeouts: idle_s is 0 and should be greater than 0",
            ("timeouts.idle_s",),
            id="inside",
        ),
        pytest.param(
            lambda: HedgePolicy(),  # type: ignore[call-arg]
            "HedgePolicy: after_s is missing",
            ("after_s",),
            id="missing",
        ),
    ],
)
def test_what_is_wrong_in_one_line(
    make: Callable[[], Any], message: str, options: tuple[str, ...]
) -> None:
    with pytest.raises(InvalidOptionError) as caught:
        make()
    assert str(caught.value) == message
    assert caught.value.options == options
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__suppress_context__, "pydantic's own report is not shown above it"
    for again in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert (str(again), again.options) == (message, options)


def test_long_values_are_cut() -> None:
    with pytest.raises(InvalidOptionError) as caught:
        Limits(max_parts="x" * 10_000)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)


def test_options_are_as_they_were_given() -> None:
    bounds = Bounds()
    assert pickle.loads(pickle.dumps(bounds)) == copy.deepcopy(bounds) == bounds
    given = RunOptions(timeouts={"idle_s": 3})  # type: ignore[arg-type]
    assert given.timeouts == Timeouts(idle_s=3.0)
