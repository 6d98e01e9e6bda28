"""Bodies are written by hand; wire types are stand-ins for a provider's."""

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenline.errors import (
    ContextOverflowError,
    LimitExceededError,
    MalformedStreamError,
    NotAStreamError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamCutError,
    StreamError,
    UnknownEventError,
)
from tokenline.options import Limits
from tokenline.stage import RawChunk, StepContext
from tokenline_stages.parser import (
    EventStreamParser,
    NdjsonParser,
    SseParser,
    event_stream_parser,
    ndjson_parser,
    sse_parser,
)
from tokenline_stages.wire.aws_eventstream import Frame, encode_frame
from tokenline_stages.wire.items import Comment, Done, Unknown

AnyParser = SseParser[Any] | NdjsonParser[Any] | EventStreamParser[Any]


class Delta(msgspec.Struct, frozen=True):
    """What the stand-in provider sends."""

    text: str
    name: str = ""


decode_text = msgspec.json.Decoder(Delta).decode


def decode(name: str, data: bytes) -> Delta:
    return Delta(decode_text(data).text, name)


def decode_frame(frame: Frame) -> Delta:
    return Delta(decode_text(frame.payload).text, str(frame.headers.get(":event-type", "")))


def context(**limits: int) -> StepContext:
    return StepContext("m-1", limits=Limits(**limits))


def sse(**limits: int) -> SseParser[Delta]:
    return SseParser(decode, context(**limits), "acme")


def ndjson(**limits: int) -> NdjsonParser[Delta]:
    return NdjsonParser(decode, context(**limits), "acme")


def event_stream(**limits: int) -> EventStreamParser[Delta]:
    return EventStreamParser(decode_frame, context(**limits), "acme")


def parse(parser: AnyParser, reads: Iterable[bytes]) -> tuple[list[Any], StreamError | None]:
    """What came out, and the error at the end."""
    out: list[Any] = []
    try:
        for read in reads:
            parser.feed([RawChunk(read)], 0, out)
        parser.finish(0, out)
    except StreamError as error:
        return out, error
    return out, None


def fail(parser: AnyParser, *reads: bytes) -> StreamError:
    _, error = parse(parser, reads)
    assert error is not None
    assert error.provider == "acme"
    return error


def cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    bounds = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(bounds)]


def frame(text: bytes, event_type: str = "chunk") -> bytes:
    return encode_frame({":event-type": event_type}, text)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("make", [sse, ndjson, event_stream])
def test_compression_that_nobody_told_of(make: Callable[[], AnyParser], size: int) -> None:
    body = b"\x1f\x8b\x08\n:\n\ndata: x\n\n" + bytes(range(256)) * 20
    error = fail(make(), *(body[at : at + size] for at in range(0, len(body), size)))
    assert type(error) is NotAStreamError
    assert "compressed with gzip" in str(error)


class TestSse:
    def test_items(self) -> None:
        body = (
            b': hi\n\nevent: delta\ndata: {"text":"a"}\n\ndata: {"text":"b"}\n\n'
            b'data: {"text":\ndata: "c"}\n\ndata: [DONE]\n\n'
        )
        assert parse(sse(), [body]) == (
            [Comment(b"hi"), Delta("a", "delta"), Delta("b"), Delta("c"), Done()],
            None,
        )

    def test_several_reads_in_one_batch(self) -> None:
        out: list[Any] = []
        sse().feed([RawChunk(b'data: {"te'), RawChunk(b'xt":"a"}\n'), RawChunk(b"\n")], 0, out)
        assert out == [Delta("a")]

    def test_done_with_spaces_and_without_an_end(self) -> None:
        assert parse(sse(), [b"data:  [DONE] \n\ndata: [DONE]"]) == ([Done(), Done()], None)

    def test_blank_data_is_a_comment(self) -> None:
        assert parse(sse(), [b"data:\n\ndata:   \n\n"]) == ([Comment(b""), Comment(b"  ")], None)

    def test_an_event_without_its_blank_line_counts(self) -> None:
        assert parse(sse(), [b'data: {"text":"a"}']) == ([Delta("a")], None)

    def test_an_event_that_ends_in_its_middle_is_a_cut(self) -> None:
        out, error = parse(sse(), [b'data: {"text":"a"}\n\ndata: {"text":"b'])
        assert out == [Delta("a")]
        assert type(error) is StreamCutError
        assert 'inside the event at byte 20: {"text":"b' in str(error)

    def test_malformed_event(self) -> None:
        body = b'data: {"text":"a"}\n\n: c\n\ndata: {"text":' + b"9" * 99 + b"}\n\ndata: 1\n\n"
        for reads in ([body], [body[:30], body[30:]], [body[at : at + 1] for at in range(150)]):
            out, error = parse(sse(), reads)
            assert out == [Delta("a"), Comment(b"c")]
            assert type(error) is MalformedStreamError
            assert error.offset == 25
            assert "byte 25" in str(error)
            assert '{"text":' + "9" * 72 in str(error)
            assert "9" * 73 not in str(error)
            assert "\n" not in str(error)

    def test_own_error_of_a_provider_gets_its_place(self) -> None:
        def refuse(name: str, data: bytes) -> Delta:
            raise MalformedStreamError("not as documented")

        error = fail(SseParser(refuse, context(), "acme"), b": c\n\ndata: 1\n\n")
        assert isinstance(error, MalformedStreamError)
        assert error.offset == 5
        assert "(not as documented): 1" in str(error)

    @pytest.mark.parametrize(
        "raised",
        [UnknownEventError("new"), ServerError("down"), LimitExceededError("x", limit="y")],
    )
    def test_other_errors_of_a_provider_pass(self, raised: StreamError) -> None:
        def refuse(name: str, data: bytes) -> Delta:
            raise raised

        assert fail(SseParser(refuse, context(), "acme"), b"data: 1\n\n") is raised

    def test_text_that_is_no_utf_8_is_mended(self) -> None:
        parser = sse()
        body = b'data: {"text":"a\xf0\x9f"}\n\ndata: {"text":"b\\ud83d"}\n\ndata: {"text":"c"}\n\n'
        assert parse(parser, [body]) == ([Delta("a\ufffd"), Delta("b\ufffd"), Delta("c")], None)
        assert parser.repaired == 2

    def test_text_that_cannot_be_mended_is_malformed(self) -> None:
        parser = sse()
        assert type(fail(parser, b'data: {"text":"\xff"\n\n')) is MalformedStreamError
        assert parser.repaired == 0

    @pytest.mark.parametrize("depth", [10, 900, 200_000])
    def test_deep_json(self, depth: int) -> None:
        good = b'data: {"text":"a","more":' + b"[" * 8 + b"]" * 8 + b"}\n\n"
        body = b'data: {"text":"a","more":' + b"[" * depth + b"]" * depth + b"}\n\n"
        out, error = parse(sse(max_json_depth=9), [good + body])
        assert out == [Delta("a")]
        assert isinstance(error, LimitExceededError)
        assert error.limit == "max_json_depth"

    def test_json_deeper_than_the_interpreter_allows(self) -> None:
        body = b'data: {"text":"a","more":' + b"[" * 9000 + b"\n\n"
        error = fail(sse(max_json_depth=10_000), body)
        assert isinstance(error, LimitExceededError)
        assert error.limit == "max_json_depth"

    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_message_limit(self, size: int) -> None:
        event = b'data: {"text":"a"}\n\n'
        body = 3 * event
        reads = [body[at : at + size] for at in range(0, len(body), size)]
        assert parse(sse(max_message_bytes=len(body)), reads) == ([Delta("a")] * 3, None)
        out, error = parse(sse(max_message_bytes=len(body) - 1), reads)
        assert out == [Delta("a")] * 2
        assert isinstance(error, LimitExceededError)
        assert error.limit == "max_message_bytes"

    @pytest.mark.parametrize(("limit", "value"), [("max_line_bytes", 25), ("max_event_bytes", 19)])
    def test_what_came_before_a_limit_comes_out(self, limit: str, value: int) -> None:
        body = b'data: {"text":"a"}\n\ndata: {"text":"' + b"b" * 20
        out, error = parse(sse(**{limit: value}), [body])
        assert out == [Delta("a")]
        assert isinstance(error, LimitExceededError)
        assert error.limit == limit

    @pytest.mark.parametrize("size", [1, 10_000])
    @pytest.mark.parametrize(
        ("body", "message"),
        [
            pytest.param(
                b"<html>\n<h1>502 Bad\r\nGateway", "<html> <h1>502 Bad Gateway", id="html"
            ),
            pytest.param(b'\n {"id":"x",\n\n"choices":[]}', '{"id":"x", "choices":[]}', id="json"),
            pytest.param(b"\xef\xbb\xbf[1]", "[1]", id="list-after-a-bom"),
            pytest.param(b"no healthy upstream", "no healthy upstream", id="text"),
            pytest.param(b"<p>" + b"x" * 9999, "<p>" + "x" * 497, id="long"),
        ],
    )
    def test_no_stream(self, body: bytes, message: str, size: int) -> None:
        out, error = parse(sse(), [body[at : at + size] for at in range(0, len(body), size)])
        assert out == []
        assert type(error) is NotAStreamError
        assert "no stream of server-sent events" in str(error)
        assert str(error).endswith(f"It begins: {message}")

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"\n\n",
            b"\xef\xbb\xbf",
            b"da",
            b"event: x\n",
            b"id: 1\n\nretry: 5\n\n",
            b"\xef\xbb",
        ],
    )
    def test_a_stream_that_holds_nothing_is_none_of_the_parsers_business(self, body: bytes) -> None:
        assert parse(sse(), [body]) == ([], None)

    @pytest.mark.parametrize("size", [1, 10_000])
    @pytest.mark.parametrize(
        ("body", "type_", "message"),
        [
            pytest.param(
                b'\xef\xbb\xbf{"error":{"message":"Slow down","type":"rate_limit_error"}}',
                RateLimitError,
                "acme: Slow down (rate_limit_error)",
                id="object",
            ),
            pytest.param(
                b'{\n "error": "model is loading"\n}',
                ProviderError,
                "acme: model is loading",
                id="indented-text",
            ),
            pytest.param(
                b'[{"error":{"code":503,"message":"Try later","status":"UNAVAILABLE"}}]',
                OverloadedError,
                "acme: Try later (503 UNAVAILABLE)",
                id="list",
            ),
            pytest.param(
                b'{"error":{"reason":"?"}}',
                ProviderError,
                'acme: {"error":{"reason":"?"}}',
                id="odd",
            ),
            pytest.param(
                b'error: {"code":400,"message":"the request exceeds the available context size",'
                b'"type":"invalid_request_error"}\n\ndata: [DONE]\n\n',
                ContextOverflowError,
                "acme: the request exceeds the available context size (400 invalid_request_error)",
                id="error-field",
            ),
        ],
    )
    def test_body_that_reports_an_error(
        self, body: bytes, type_: type[StreamError], message: str, size: int
    ) -> None:
        out, error = parse(sse(), [body[at : at + size] for at in range(0, len(body), size)])
        assert out == []
        assert type(error) is type_
        assert str(error).startswith(message)

    def test_a_late_first_event_counts(self) -> None:
        body = b"id: 1\n\n" * 999 + b'data: {"text":"a"}\n\n'
        for size in (100, 10_000):
            reads = [body[at : at + size] for at in range(0, len(body), size)]
            assert parse(sse(), reads) == ([Delta("a")], None)

    def test_error_report_between_events(self) -> None:
        body = b'data: {"text":"a"}\n\n{"error":{"message":"Overloaded"}}\n\ndata: {"text":"b"}\n\n'
        out, error = parse(sse(), [body])
        assert out == [Delta("a")]
        assert type(error) is OverloadedError

    def test_other_lines_between_events_are_unknown(self) -> None:
        body = b'data: {"text":"a"}\n\n{"x":1}\n\nerror: what\n\ndata: {"text":"b"}\n\n'
        items = [Delta("a"), Unknown("", b'{"x":1}'), Unknown("", b"what"), Delta("b")]
        assert parse(sse(), [body]) == (items, None)

    def test_recordings_parse_however_read(self, corpus_dir: Any) -> None:
        paths = sorted(corpus_dir.glob("*.sse"))
        assert paths
        for path in paths:
            body = path.read_bytes()
            whole = parse(raw_sse(), [body])
            assert whole[1] is None, path.name
            assert (
                parse(raw_sse(), [body[at : at + 137] for at in range(0, len(body), 137)]) == whole
            )


def raw_sse() -> SseParser[msgspec.Raw]:
    decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
    return SseParser(lambda name, data: bytes(decode_raw(data)), context(), "acme")  # type: ignore[arg-type, return-value]


class TestNdjson:
    def test_items(self) -> None:
        body = b'{"text":"a"}\r\n\n{"text":"b"}'
        assert parse(ndjson(), [body]) == ([Delta("a"), Delta("b")], None)

    def test_malformed_line(self) -> None:
        out, error = parse(ndjson(), [b'{"text":"a"}\n\n{"text":1}\n'])
        assert out == [Delta("a")]
        assert isinstance(error, MalformedStreamError)
        assert error.offset == 14
        assert str(error).endswith(': {"text":1}')

    def test_cut_line(self) -> None:
        assert type(fail(ndjson(), b'{"text":"a"}\n{"te')) is StreamCutError

    def test_mends_text(self) -> None:
        parser = ndjson()
        assert parse(parser, [b'{"text":"\xff"}\n']) == ([Delta("\ufffd")], None)
        assert parser.repaired == 1

    def test_limits(self) -> None:
        line = b'{"text":"a"}\n'
        for limits in ({"max_line_bytes": 12}, {"max_message_bytes": 14}, {"max_json_depth": 1}):
            out, error = parse(ndjson(**limits), [line + b'{"text":"bcd","more":[]}\n'])
            assert out == [Delta("a")]
            assert isinstance(error, LimitExceededError)
            assert {error.limit} == limits.keys()

    @pytest.mark.parametrize("size", [1, 1000])
    @pytest.mark.parametrize("body", [b"<html>", b"oops\n", b'{\r\n  "id": 1\n}\n', b"\n[1]\n"])
    def test_no_stream(self, body: bytes, size: int) -> None:
        error = fail(ndjson(), *(body[at : at + size] for at in range(0, len(body), size)))
        assert type(error) is NotAStreamError
        assert "no stream of JSON lines" in str(error)

    def test_indented_error_report(self) -> None:
        error = fail(ndjson(), b'{\n  "error": "model not found"\n}\n')
        assert type(error) is ProviderError
        assert str(error) == "acme: model not found"


class TestEventStream:
    def test_items(self) -> None:
        body = frame(b'{"text":"a"}') + frame(b'{"text":"b"}', "end")
        expected = ([Delta("a", "chunk"), Delta("b", "end")], None)
        assert parse(event_stream(), [body]) == expected
        assert parse(event_stream(), [body[:50], body[50:]]) == expected

    def test_malformed_payload_and_frame(self) -> None:
        good = frame(b'{"text":"a"}')
        broken = bytearray(good)
        broken[-1] ^= 1
        for bad in (frame(b"{}"), bytes(broken)):
            out, error = parse(event_stream(), [good + bad])
            assert out == [Delta("a", "chunk")]
            assert isinstance(error, MalformedStreamError)
            assert error.offset == len(good)

    def test_cut_frame(self) -> None:
        assert type(fail(event_stream(), frame(b'{"text":"a"}')[:-1])) is StreamCutError

    def test_mends_text(self) -> None:
        parser = event_stream()
        assert parse(parser, [frame(b'{"text":"\xff"}')]) == ([Delta("\ufffd", "chunk")], None)
        assert parser.repaired == 1

    def test_limits(self) -> None:
        good = frame(b'{"text":"a"}')
        bad = frame(b'{"text":"b","more":[[]]}')
        for limits in (
            {"max_event_bytes": len(bad) - 1},
            {"max_message_bytes": len(good) + 20},
            {"max_json_depth": 2},
        ):
            out, error = parse(event_stream(**limits), [good + bad])
            assert out == [Delta("a", "chunk")]
            assert isinstance(error, LimitExceededError)
            assert {error.limit} == limits.keys()

    @pytest.mark.parametrize("size", [1, 1000])
    def test_no_stream(self, size: int) -> None:
        body = b'{"message":"The security token is invalid."}'
        error = fail(event_stream(), *(body[at : at + size] for at in range(0, len(body), size)))
        assert type(error) is NotAStreamError
        assert "no AWS event stream" in str(error)
        assert str(error).endswith(body.decode())

    def test_binary_that_is_no_frame_is_malformed(self) -> None:
        assert type(fail(event_stream(), bytes(12))) is MalformedStreamError


PARSERS = [sse, ndjson, event_stream]
TEXT = json.dumps({"text": "a"}).encode()
PIECES = [
    *(b"data: ", b"event: x\n", b": c\n", b"\n", b"\n\n", b"\r\n", b"[DONE]", b"error: ", b" "),
    *(TEXT, b"data: " + TEXT + b"\n\n", TEXT + b"\n", b'{"error":"x"}', b"<", b"{", b"\xff", b"\\"),
    *(b"[" * 20, b'{"text":"\xff"}', frame(TEXT), frame(b"1"), frame(TEXT)[:9], b"\x00\x00"),
]
LIMITS = [
    {},
    {"max_line_bytes": 20},
    {"max_event_bytes": 30},
    {"max_json_depth": 9},
    {"max_message_bytes": 60},
]


@given(
    st.sampled_from(PARSERS),
    st.lists(st.sampled_from(PIECES), max_size=10).map(b"".join),
    st.lists(st.integers(0, 300), max_size=4),
    st.sampled_from(LIMITS),
)
@settings(max_examples=250, deadline=None)
def test_cuts_do_not_matter(
    make: Callable[..., AnyParser], body: bytes, cuts: list[int], limits: dict[str, int]
) -> None:
    out, error = parse(make(**limits), [body])
    assert error is None or (error.provider == "acme" and str(error).startswith("acme: "))
    for reads in (cut(body, cuts), [body[at : at + 1] for at in range(len(body))]):
        other_out, other_error = parse(make(**limits), reads)
        assert other_out == out
        assert type(other_error) is type(error)
        assert str(other_error) == str(error)


@given(st.sampled_from(PARSERS), st.lists(st.binary(max_size=60), max_size=5))
@settings(max_examples=200, deadline=None)
def test_any_bytes_raise_documented_errors_only(
    make: Callable[..., AnyParser], reads: list[bytes]
) -> None:
    parser = make()
    documented = (MalformedStreamError, LimitExceededError, NotAStreamError, ProviderError)
    out: list[Any] = []
    with suppress(*documented):
        parser.feed([RawChunk(read) for read in reads], 0, out)
        with suppress(StreamCutError, NotAStreamError, ProviderError):
            parser.finish(0, out)


@pytest.mark.parametrize(
    ("stage", "parser_type"),
    [
        (sse_parser(Delta | Done, decode, "acme"), SseParser),
        (ndjson_parser(Delta | Done, decode, "acme"), NdjsonParser),
        (event_stream_parser(Delta | Done, decode_frame, "acme"), EventStreamParser),
    ],
)
def test_stages(stage: Any, parser_type: type[AnyParser]) -> None:
    assert (stage.name, stage.inlet, stage.outlet) == ("parser", RawChunk, Delta | Done)
    first, second = stage.open(context()), stage.open(context())
    assert type(first) is parser_type
    assert first is not second
