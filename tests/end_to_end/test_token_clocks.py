"""What stops which clock: a table of first frames, through the real stages, on a virtual clock.

Each frame arrives one second after the one before it, the headers half a second before the first.
"""

import pytest

from tests.end_to_end.first_frames import CASES, Frame
from tokenline import PipelineBuilder
from tokenline.errors import StreamError
from tokenline.record import Timings
from tokenline.testing import ScriptedSource, Wait, run_virtual, virtual_clock
from tokenline.testing.source import Script
from tokenline_stages import accumulator, consumer, provider

HEADERS_S = 0.5


async def play(provider_name: str, api_name: str, frames: list[Frame]) -> Timings:
    api = provider(provider_name).api_named(api_name)
    script: Script = [part for frame in frames for part in (Wait(1.0), frame.data)][1:]
    source = ScriptedSource([Wait(HEADERS_S), *script], headers_after_s=HEADERS_S)
    pipeline = (
        PipelineBuilder("clocks")
        .source(source)
        .parse(api.parser())
        .normalize(api.normalizer())
        .fan_out(consumer(), accumulator())
        .clock(virtual_clock())
        .build()
    )
    async with pipeline.run({"model": "m"}) as run:
        with pytest.raises(StreamError):  # the frames are a beginning only
            async for _ in run:
                pass
    assert run.record is not None
    return run.record.timings


def stopped_at_s(frames: list[Frame], clock: str) -> float | None:
    for index, frame in enumerate(frames):
        if clock in frame.stops:
            return 2 * HEADERS_S + index
    return None


@pytest.mark.parametrize("case", CASES)
def test_what_stops_which_clock(case: str) -> None:
    provider_name, api_name, frames = CASES[case]
    timings = run_virtual(play(provider_name, api_name, frames))
    since = timings.since_request_s
    assert since(timings.headers_ns) == HEADERS_S
    assert since(timings.first_byte_ns) == 2 * HEADERS_S
    found = {
        "c": since(timings.first_chunk_ns),
        "t": since(timings.first_token_ns),
        "a": since(timings.first_answer_ns),
    }
    assert found == {clock: stopped_at_s(frames, clock) for clock in "cta"}
    assert timings.first_delivery_ns == timings.first_token_ns
