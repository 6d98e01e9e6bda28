"""What the normalizer did not know is counted in the run's record and on its span."""

from collections.abc import Sequence

import pytest

from tests.pipeline.lines import LineNormalizer, parser
from tests.pipeline.telemetry.conftest import MemoryFactory
from tokenline.builder import PipelineBuilder
from tokenline.events import Event
from tokenline.stage import StageSpec, StepContext
from tokenline.testing import ScriptedSource
from tokenline_stages.accumulator import accumulator
from tokenline_stages.consumer import consumer

pytestmark = pytest.mark.anyio


class Counting(LineNormalizer):
    """Does not know the word `?`."""

    def __init__(self, context: StepContext) -> None:
        super().__init__(context)
        self.unknown = 0

    def feed(self, items: Sequence[str], recv_ns: int, out: list[Event]) -> None:
        self.unknown += sum(item == "?" for item in items)
        super().feed([item for item in items if item != "?"], recv_ns, out)


async def test_unknown_events_are_on_the_request_span(memory: MemoryFactory) -> None:
    made = memory()
    pipeline = (
        PipelineBuilder("lines")
        .source(ScriptedSource([b"a\n?\n", b"?\n.\n"]))
        .parse(parser)
        .normalize(StageSpec("normalizer", str, Event, Counting))
        .fan_out(consumer(), accumulator())
        .trace(made.telemetry)
        .build()
    )
    async with pipeline.run({"model": "m"}) as run:
        result = await run.result()
    assert result.unknown_events == 2
    assert (made.span("chat m").attributes or {})["tokenline.unknown_events"] == 2
