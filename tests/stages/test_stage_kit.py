"""Every built-in stage keeps the rules of the conformance kit."""

import datetime
import gc
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import pytest
from tests.fuzz.streams import Stream, hand_written, of_one_api

from tokenline.errors import StreamError
from tokenline.events import Event
from tokenline.stage import RawChunk, StepContext
from tokenline.testing import STAGE_RULES, Rule, Sample, StageCase
from tokenline_stages.accumulator import accumulator
from tokenline_stages.conformance.wiring import wire
from tokenline_stages.message_view import MessageViewOptions, message_view
from tokenline_stages.simulator import Plan
from tokenline_stages.simulator.answer import compose
from tokenline_stages.simulator.apis import find_route
from tokenline_stages.simulator.apis.api import Job

CONTEXT = StepContext("message-kit", model="m")
NOON = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
PATHS = {
    "anthropic.messages": "/v1/messages",
    "anthropic.bedrock": "/model/anthropic.claude/invoke-with-response-stream",
    "bedrock.converse": "/model/m/converse-stream",
    "bedrock.invoke": "/model/m/invoke-with-response-stream",
    "gemini": "/v1beta/models/m:streamGenerateContent",
    "ollama.chat": "/api/chat",
    "ollama.generate": "/api/generate",
    "openai.chat": "/v1/chat/completions",
    "openai.responses": "/v1/responses",
}
CHOSEN = {
    "anthropic.messages": ("full_turn", "overlapping", "overloaded", "cut_arguments"),
    "anthropic.bedrock": ("thinking_blocks", "overloaded"),
    "bedrock.converse": ("converse.", "converse_exception", "converse_cut_call"),
    "bedrock.invoke": ("invoke_nova", "invoke_chat"),
    "gemini": ("all_parts", "error_inside", "streamed_arguments"),
    "ollama.chat": ("chat_tools", "error_inside"),
    "ollama.generate": ("generate_thinking",),
    "openai.chat": ("interleaved_calls", "error_inside", "think_tags", "broken_off"),
    "openai.responses": ("two_parts", "error_nested", "cut_call"),
}


def chosen(api: str) -> list[Stream]:
    streams = of_one_api(hand_written())[api]
    return [s for s in streams if any(s.name.startswith(name) for name in CHOSEN[api])]


def run_step(stage: Any, items: Sequence[Any]) -> tuple[list[Any], type[Exception] | None]:
    """What a stage gives, and the kind of error it ends with."""
    step = stage.open(CONTEXT)
    out: list[Any] = []
    try:
        step.feed(items, 0, out)
        step.finish(0, out)
    except StreamError as error:
        return out, type(error)
    return out, None


def sample_of(stage: Any, items: Sequence[Any], name: str) -> Sample:
    return Sample(items, fails=run_step(stage, items)[1], context=CONTEXT, name=name)


@lru_cache
def long_body(api: str, count: int) -> tuple[RawChunk, ...]:
    """The beginning of a simulated response, one chunk for each event."""
    found = find_route(PATHS[api])
    assert found is not None
    simulated, model = found
    plan = Plan(tokens=count)
    job = Job(plan, model or "m", "id", path=f"{PATHS[api]}?alt=sse")
    frames = simulated.render(compose(plan), job)
    return tuple(RawChunk(frame.data) for frame in frames[:count])


def parser_case(api: str) -> StageCase:
    stage = wire(api).api.parser()
    samples = [sample_of(stage, [RawChunk(s.encode())], s.name) for s in chosen(api)]
    return StageCase(stage, samples, long=lambda count: long_body(api, count), name=f"{api} parser")


def parsed(api: str, items: Sequence[Any]) -> list[Any]:
    return run_step(wire(api).api.parser(), items)[0]


@lru_cache
def long_items(api: str, count: int) -> tuple[Any, ...]:
    """What the parser makes of a long body."""
    return tuple(parsed(api, long_body(api, count)))


def normalizer_case(api: str) -> StageCase:
    stage = wire(api).api.normalizer()
    samples = [sample_of(stage, parsed(api, [RawChunk(s.encode())]), s.name) for s in chosen(api)]
    return StageCase(
        stage,
        samples,
        long=lambda count: long_items(api, count),
        # A part's whole text comes again at its end, and is compared with what was streamed.
        keeps=api == "openai.responses",
        name=f"{api} normalizer",
    )


@lru_cache
def events_of(api: str, count: int) -> tuple[Event, ...]:
    """Normalized events; of a long body, or with count 0 of the first hand-written one."""
    first = [RawChunk(chosen(api)[0].encode())]
    items = long_items(api, count) if count else parsed(api, first)
    return tuple(run_step(wire(api).api.normalizer(), items)[0])


def of_events(stage: Any, name: str, **more: Any) -> StageCase:
    apis = ("anthropic.messages", "openai.responses", "bedrock.converse", "gemini")
    samples = [sample_of(stage, events_of(api, 0), api) for api in apis]
    return StageCase(
        stage, samples, long=lambda count: events_of("openai.chat", count), name=name, **more
    )


def event_cases() -> list[StageCase]:
    options = MessageViewOptions(
        requires_approval_tools=frozenset({"get_weather"}), inner_thoughts_key="thought"
    )
    return [
        of_events(accumulator(), "accumulator", state=lambda step: step.snapshot(), keeps=True),
        of_events(message_view(now=lambda: NOON), "message view"),
        of_events(message_view(options, now=lambda: NOON), "message view with approvals"),
    ]


CASES = [make(api) for api in PATHS for make in (parser_case, normalizer_case)] + event_cases()


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """What the suite holds already is left out of the kit's collections."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("case", CASES, ids=[str(case).replace(" ", "-") for case in CASES])
@pytest.mark.parametrize("rule", STAGE_RULES, ids=str)
def test_rule(rule: Rule, case: StageCase) -> None:
    rule.check(case)
