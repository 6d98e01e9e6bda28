import pytest

from tokenline_stages.wire.sse_batch import skip_events, split_events


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([[b"data: a"]], [("", b"a")], id="one"),
        pytest.param([[b"data: a"], [b"data:  b"]], [("", b"a"), ("", b" b")], id="unnamed"),
        pytest.param([[b"event: x", b"data: a"]], [("x", b"a")], id="one-named"),
        pytest.param(
            [[b"event: x", b"data: a"], [b"event: y", b"data: "]],
            [("x", b"a"), ("y", b"")],
            id="named",
        ),
    ],
)
def test_takes_common_forms(
    events: list[list[bytes]], expected: list[tuple[str, bytes]], end: bytes
) -> None:
    texts = [b"".join(line + end for line in [*event, b""]) for event in events]
    read = b"".join(texts)
    assert split_events(read, {}) == expected
    assert [skip_events(read, count) for count in range(len(texts))] == [
        sum(map(len, texts[:count])) for count in range(len(texts))
    ]


@pytest.mark.parametrize(
    "read",
    [
        b"",
        b"\n\n",
        b"data: a\n",
        b"data: a\n\nd",
        b"data: a\r\r",
        b"data: a\r\n\n",
        b"data: a\rb\n\n",
        b"data: a\ndata: b\n\n",
        b"data: a\n\ndata:b\n\n",
        b"data: a\n\n\n\n",
        b"data: a\n\n: c\n\n",
        b"data: a\n\nevent: x\ndata: b\n\n",
        b"data: a\r\n\r\ndata: b\n\n",
        b"event: x\n\n",
        b"event: x\nid: 1\ndata: a\n\n",
        b"event: x\ndata: a\ndata: b\n\n",
        b"event: x\ndata: a\n\ndata: b\n\n",
        b"event: x\ndata: a\r\n\r\n",
    ],
)
def test_leaves_everything_else(read: bytes) -> None:
    assert split_events(read, {}) is None


def test_remembers_few_and_short_names() -> None:
    names: dict[bytes, str] = {}
    split_events(b"event: " + b"x" * 1000 + b"\ndata: a\n\n", names)
    assert not names
    for number in range(1000):
        split_events(b"event: %d\ndata: a\n\n" % number, names)
    assert len(names) == 64
