"""Broken promises are seen."""

import pytest

from tokenline.events import (
    Citation,
    Event,
    MessageEnd,
    MessageStart,
    PartEnd,
    PartKind,
    PartStart,
    Ping,
    TextDelta,
    ToolCallEnd,
    ToolCallStart,
)
from tokenline_stages.conformance.shape import broken_promise

M = "m"
START = MessageStart(0, 0, M)
OPEN = PartStart(1, 0, M, 0, PartKind.TEXT)


def test_a_good_stream() -> None:
    events: list[Event] = [
        Ping(0, 0, M),
        MessageStart(1, 0, M),
        PartStart(2, 0, M, 0, PartKind.TEXT),
        ToolCallStart(3, 0, M, 1, "c", "f"),
        TextDelta(4, 0, M, 0, "a"),
        PartEnd(5, 0, M, 0),
        Citation(6, 0, M, 0, b"{}"),
        ToolCallEnd(7, 0, M, 1, "c", "f", True),
        MessageEnd(8, 0, M),
    ]
    for count in range(len(events) + 1):
        assert broken_promise(events[:count]) is None


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([START, Ping(2, 0, M)], "seq 2"),
        ([PartStart(0, 0, M, 0, PartKind.TEXT)], "where MessageStart should be"),
        ([START, MessageStart(1, 0, M)], "where none should be"),
        ([START, MessageEnd(1, 0, M), Ping(2, 0, M)], "not the last"),
        ([START, PartStart(1, 0, M, 1, PartKind.TEXT)], "where part 0 should begin"),
        ([START, OPEN, PartStart(2, 0, M, 0, PartKind.TEXT)], "where part 1 should begin"),
        ([START, TextDelta(1, 0, M, 0, "a")], "which is not open"),
        ([START, OPEN, PartEnd(2, 0, M, 0), PartEnd(3, 0, M, 0)], "which is not open"),
        ([START, OPEN, PartEnd(2, 0, M, 0), TextDelta(3, 0, M, 0, "a")], "which is not open"),
        ([START, Citation(1, 0, M, 0, b"{}")], "which has not begun"),
        ([START, OPEN, MessageEnd(2, 0, M)], r"parts [0] are open"),
    ],
)
def test_broken_streams(events: list[Event], said: str) -> None:
    assert said in str(broken_promise(events))
