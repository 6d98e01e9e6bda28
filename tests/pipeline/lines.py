"""A tiny wire format for tests of the core: one word a line, `.` ends the message."""

from collections.abc import Sequence

from tokenline.builder import PipelineBuilder
from tokenline.errors import MalformedStreamError, StreamCutError
from tokenline.events import Event, MessageEnd, MessageStart, TextDelta
from tokenline.options import Execution, RunOptions
from tokenline.stage import RawChunk, StageSpec, StepContext
from tokenline_stages.accumulator import accumulator
from tokenline_stages.consumer import consumer


class LineParser:
    def __init__(self) -> None:
        self._rest = b""

    def feed(self, items: Sequence[RawChunk], recv_ns: int, out: list[str]) -> None:
        for item in items:
            *lines, self._rest = (self._rest + item.data).split(b"\n")
            for line in lines:
                if line == b"!":
                    raise MalformedStreamError("the test's bad line")
                out.append(line.decode())

    def finish(self, recv_ns: int, out: list[str]) -> None:
        if self._rest:
            out.append(self._rest.decode())


class LineNormalizer:
    def __init__(self, context: StepContext) -> None:
        self._id = context.message_id
        self._seq = context.first_seq
        self._part = context.first_part
        self._started = context.continued
        self._ended = False

    def _stamp(self, recv_ns: int) -> tuple[int, int, str]:
        self._seq += 1
        return self._seq - 1, recv_ns, self._id

    def feed(self, items: Sequence[str], recv_ns: int, out: list[Event]) -> None:
        for word in items:
            if not self._started:
                self._started = True
                out.append(MessageStart(*self._stamp(recv_ns), "provider-id", "model-x"))
            if word == ".":
                self._ended = True
                out.append(MessageEnd(*self._stamp(recv_ns)))
            else:
                out.append(TextDelta(*self._stamp(recv_ns), self._part, word + " "))

    def finish(self, recv_ns: int, out: list[Event]) -> None:
        if not self._ended:
            raise StreamCutError("no final dot")


parser = StageSpec("parser", RawChunk, str, lambda context: LineParser())
normalizer = StageSpec("normalizer", str, Event, LineNormalizer)


def builder(source: object, execution: Execution = Execution.FUSED) -> PipelineBuilder:
    return (
        PipelineBuilder("lines")
        .source(source)  # type: ignore[arg-type]
        .parse(parser)
        .normalize(normalizer)
        .fan_out(consumer(), accumulator())
        .options(RunOptions(execution=execution))
    )


WORDS = [f"word{i}" for i in range(40)]
BODY = ("\n".join(WORDS) + "\n.\n").encode()
TEXT = "".join(word + " " for word in WORDS)


def reads(body: bytes = BODY, size: int = 7) -> list[bytes]:
    return [body[i : i + size] for i in range(0, len(body), size)]
