"""Fused and queued runs of every API over a real socket: the same events, results and errors."""

from typing import Any

import msgspec
import pytest

from tests.end_to_end.test_policies_everywhere import APIS, Api
from tokenline import RunOptions
from tokenline.errors import LimitExceededError, TokenlineError
from tokenline.options import Execution, Limits
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.simulator.faults import Cut, ErrorEvent, MalformedEvent, OversizedEvent
from tokenline_stages.simulator.plan import ToolCall

pytestmark = pytest.mark.anyio

RICH = Plan(
    ttft_s=0,
    inter_token_s=0,
    tokens=60,
    reasoning_tokens=12,
    tool_calls=(ToolCall(id="call-1", fragments=9), ToolCall(id="call-2", fragments=3)),
    message_id="fixed",
)
SHAPES: dict[str, dict[str, Any]] = {
    "an event a write": {},
    "many events a write": {"events_per_write": 16},
    "cut anywhere": {"split_bytes": (1, 40)},
}
ENDS: dict[str, tuple[dict[str, Any], Limits]] = {
    "malformed": ({"faults": (MalformedEvent(after_tokens=20),)}, Limits()),
    "cut": ({"faults": (Cut(after_tokens=20),)}, Limits()),
    "error event": ({"faults": (ErrorEvent(after_tokens=20),)}, Limits()),
    "oversized": (
        {"faults": (OversizedEvent(after_tokens=20, size_bytes=40_000),)},
        Limits(max_line_bytes=10_000, max_event_bytes=10_000),
    ),
    "message limit": ({}, Limits(max_message_bytes=4_000)),
    "arguments limit": ({}, Limits(max_arguments_bytes=20)),
    "parts limit": ({}, Limits(max_parts=1)),
}
READERS = ("reads events", "asks for the result only")
Seen = tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]

apis = pytest.mark.parametrize("api", APIS.values(), ids=list(APIS))


async def seen(api: Api, plan: Plan, options: RunOptions, reader: str) -> Seen:
    """Events, what was raised and the result of one run, without what no two runs share."""
    events: list[dict[str, Any]] = []
    raised: dict[str, Any] = {}
    async with (
        Simulator(plan) as simulator,
        api.connect(simulator.url, options=options) as connection,
        connection.run(api.payload, message_id="m-1") as run,
    ):
        try:
            if reader == READERS[0]:
                async for event in run:
                    fields = {"type": type(event).__name__, **msgspec.structs.asdict(event)}
                    events.append({**fields, "recv_ns": 0})
            await run.result()
        except TokenlineError as error:
            raised = {
                "type": type(error),
                "text": str(error),
                "stage": getattr(error, "stage", None),
            }
        result = run.snapshot().model_dump(exclude={"timings"})
    return events, raised, result


async def both(api: Api, plan: Plan, limits: Limits, reader: str) -> list[Seen]:
    return [
        await seen(api, plan, RunOptions(limits=limits, execution=execution), reader)
        for execution in Execution
    ]


@apis
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("reader", READERS)
async def test_answers_are_the_same(api: Api, shape: str, reader: str) -> None:
    plan = msgspec.structs.replace(RICH, **SHAPES[shape])
    fused, queued = await both(api, plan, Limits(), reader)
    assert fused == queued
    events, raised, result = fused
    assert not raised
    assert result["outcome"] == "ok"
    assert bool(events) is (reader == READERS[0])


@apis
@pytest.mark.parametrize("end", ENDS)
async def test_errors_and_limits_are_the_same(api: Api, end: str) -> None:
    changes, limits = ENDS[end]
    plan = msgspec.structs.replace(RICH, **changes)
    fused, queued = await both(api, plan, limits, READERS[0])
    assert fused == queued
    kind = LimitExceededError if limits != Limits() else TokenlineError
    assert issubclass(fused[1]["type"], kind)
