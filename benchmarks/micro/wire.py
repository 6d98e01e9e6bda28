"""Answers as the simulator puts them on the wire, cut into reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tokenline.stage import RawChunk, StepContext
from tokenline_stages.providers.registry import Api, provider
from tokenline_stages.simulator.answer import compose
from tokenline_stages.simulator.apis import find_route
from tokenline_stages.simulator.apis.api import Job
from tokenline_stages.simulator.plan import Plan

TOKENS = 640
EVENTS_PER_READ = 32


@dataclass(frozen=True, slots=True)
class Wire:
    """A wire API: our provider and API, and the path where the simulator speaks it."""

    provider: str
    api: str
    path: str
    query: str = ""

    def find(self) -> Api:
        """Our side of it."""
        return next(api for api in provider(self.provider).apis if api.name == self.api)


CHAT = Wire("openai", "openai.chat", "/v1/chat/completions")
WIRES = (
    CHAT,
    Wire("openai", "openai.responses", "/v1/responses"),
    Wire("anthropic", "anthropic.messages", "/v1/messages"),
    Wire(
        "gemini", "gemini.generate_content", "/v1beta/models/sim:streamGenerateContent", "?alt=sse"
    ),
    Wire("ollama-native", "ollama.chat", "/api/chat"),
    Wire("bedrock", "bedrock.converse", "/model/sim/converse-stream"),
)
CONTEXT = StepContext(message_id="micro", model="sim")


@lru_cache
def reads(wire: Wire, events_per_read: int = EVENTS_PER_READ, tokens: int = TOKENS) -> list[bytes]:
    """The body of an answer, cut where events end."""
    route = find_route(wire.path)
    assert route is not None
    job = Job(Plan(tokens=tokens), "sim", "tokenline-simulated-reply", path=wire.path + wire.query)
    frames = [frame.data for frame in route[0].render(compose(job.plan, None), job)]
    parts = range(0, len(frames), events_per_read)
    return [b"".join(frames[at : at + events_per_read]) for at in parts]


@lru_cache
def chunks(wire: Wire) -> list[RawChunk]:
    """The same as items of a pipeline."""
    return [RawChunk(data) for data in reads(wire)]


@lru_cache
def wire_items(wire: Wire) -> list[list[Any]]:
    """What the parser makes of each read."""
    step = wire.find().parser().open(CONTEXT)
    return _through(step, [[chunk] for chunk in chunks(wire)])


@lru_cache
def events(wire: Wire) -> list[list[Any]]:
    """What the normalizer makes of each of them."""
    return _through(wire.find().normalizer().open(CONTEXT), wire_items(wire))


def _through(step: Any, batches: list[list[Any]]) -> list[list[Any]]:
    found = []
    for batch in batches:
        out: list[Any] = []
        step.feed(batch, 0, out)
        found.append(out)
    return found
