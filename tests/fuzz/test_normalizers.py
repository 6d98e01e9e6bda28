"""A short run of the fuzz on the streams of tests/data; always the same inputs."""

from itertools import islice

import pytest

from tokenline_stages.conformance.playing import play
from tokenline_stages.conformance.wiring import wire

from .normalizers import TRACED_EVERY, check, check_memory, make_inputs
from .streams import Form, Stream, hand_written

STREAMS = hand_written()


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: f"{stream.api}-{stream.name}")
def test_streams_are_read_and_written_back(stream: Stream) -> None:
    """What is damaged is a whole stream, and not one that nobody could read anyway."""
    assert stream.records
    body = stream.encode()
    reading = play(wire(stream.api).api, [body], next(make_inputs(STREAMS, 0)).context)
    assert reading.events
    if stream.form is Form.SSE:
        assert body.count(b"data:") >= len(stream.records) - 1


@pytest.mark.parametrize("start", range(0, 1200, 100))
def test_damaged_streams(start: int) -> None:
    for one in islice(make_inputs(STREAMS, 1, start), 100):
        problems, _ = check(one)
        if one.number % TRACED_EVERY == 0:
            problems += check_memory(one)
        assert problems == [], f"input {one.number} of seed 1: {one.stream.name}"
