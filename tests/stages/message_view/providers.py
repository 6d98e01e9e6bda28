"""Events of the golden streams of the providers, read through their own stages."""

import itertools
from collections.abc import Sequence
from pathlib import Path

from tests.stages.message_view.script import MESSAGE_ID

from tokenline.events import Event
from tokenline.stage import RawChunk, StepContext
from tokenline_stages.providers.registry import provider

DATA = Path(__file__).parents[2] / "data"

APIS = {
    "anthropic": ("anthropic", "anthropic.messages"),
    "openai_chat": ("openai", "openai.chat"),
    "openai_responses": ("openai", "openai.responses"),
    "gemini": ("gemini", None),
}


def golden_body(folder: str, name: str) -> bytes:
    return (DATA / folder / f"{name}.sse").read_bytes()


def golden_events(
    folder: str, name: str, cuts: Sequence[int] = (), *, until: int | None = None
) -> list[Event]:
    """The events of a recorded body that comes in pieces; `until` breaks it off there."""
    provider_name, api_name = APIS[folder]
    apis = provider(provider_name).apis
    api = next(api for api in apis if api_name in (None, api.name, api.name.split(".")[-1]))
    context = StepContext(MESSAGE_ID)
    parser, normalizer = api.parser().open(context), api.normalizer().open(context)
    body = golden_body(folder, name)[:until]
    events: list[Event] = []
    for start, end in itertools.pairwise([0, *cuts, len(body)]):
        items: list[object] = []
        parser.feed([RawChunk(body[start:end])], 0, items)
        normalizer.feed(items, 0, events)
    if until is None:
        items = []
        parser.finish(0, items)
        normalizer.feed(items, 0, events)
        normalizer.finish(0, events)
    return events
