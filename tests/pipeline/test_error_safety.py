"""Whoever reads a run sees the error itself, whole, and may send it to another process."""

import asyncio
import pickle
from collections.abc import Sequence
from typing import Any

import pytest

from tests.pipeline.lines import builder
from tokenline import errors
from tokenline.errors import StageFailedError, StreamCutError, StreamError
from tokenline.events import Event
from tokenline.options import Execution
from tokenline.stage import StageSpec
from tokenline.testing import ScriptedSource
from tokenline_stages.fanout import sink

pytestmark = pytest.mark.anyio

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, StreamError)
]
MORE: dict[str, dict[str, Any]] = {"LimitExceededError": {"limit": "max_parts"}}


def made(kind: type[StreamError]) -> StreamError:
    error = kind(
        "no", provider="acme", status=418, code="c", request_id="r", **MORE.get(kind.__name__, {})
    )
    error.__cause__ = ValueError("the first cause")
    return error


class Failing:
    """A stage that awaits, and fails at its first event."""

    async def feed(self, items: Sequence[Any], recv_ns: int, out: list[Any]) -> None:
        raise ValueError("mine")

    async def finish(self, recv_ns: int, out: list[Any]) -> None:
        return


async def error_of(run: Any) -> BaseException:
    try:
        async with run:
            async for _ in run:
                pass
    except BaseException as error:
        return error
    raise AssertionError("it ended well")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
async def test_an_error_arrives_as_it_is_and_survives_pickling(kind: type[StreamError]) -> None:
    source = ScriptedSource([b"a\n", b"b\n", made(kind)])
    error = await error_of(builder(source).build().run({}))
    assert type(error) is kind
    assert isinstance(error.__cause__, ValueError)
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is kind
    assert (twin.args, twin.provider, twin.status, twin.attempts) == (error.args, "acme", 418, 1)
    assert twin.partial is not None
    assert twin.partial.text == "a b "
    assert twin.partial == error.partial


@pytest.mark.parametrize("execution", list(Execution), ids=str)
async def test_failures_at_once_are_no_group(execution: Execution) -> None:
    failing = [StageSpec(name, Event, Event, lambda context: Failing()) for name in ("x", "y")]
    line = builder(ScriptedSource([b"a\n", StreamCutError("cut")]), execution)
    for stage in failing:
        line = line.branch(sink(stage, required=True))
    error = await error_of(line.build().run({}))
    assert type(error) in (StageFailedError, StreamCutError)
    assert not isinstance(error, BaseExceptionGroup)


async def test_a_task_group_of_the_user_has_the_error_itself() -> None:
    async def read() -> None:
        source = ScriptedSource([b"a\n", StreamCutError("cut")])
        async with builder(source).build().run({}) as run:
            await run.result()

    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(read())
    (error,) = caught.value.exceptions
    assert type(error) is StreamCutError
