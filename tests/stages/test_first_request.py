"""A run's first request over a warm client is sent before anything else of the run is made."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tokenline.errors import ConfigError, StageFailedError
from tokenline.events import Event
from tokenline.limiter import Bounds, Limiter
from tokenline.pipeline import Pipeline
from tokenline.record import RunInfo
from tokenline.source import ByteStream, Request
from tokenline.stage import StageSpec, StepContext
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages import connect, direct
from tokenline_stages.direct import DirectSource
from tokenline_stages.http.client import HttpClient

from .http.servers import Server, read_request
from .http.wires import CHUNKED, in_chunks, read_all, with_length

pytestmark = pytest.mark.anyio

CHAT = {"model": "m", "messages": []}
ANSWER = CHUNKED + in_chunks(
    b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"hi"},'
    b'"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
    end=b"0\r\n\r\n",
)


@dataclass
class Served:
    """What a server saw.

    Attributes:
        requests: how many came.
        left: set once a client closed its connection.
        answers: it answers while this is set; until then requests wait.
    """

    requests: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        try:
            while True:
                await read_request(reader)
                self.requests += 1
                gone = asyncio.ensure_future(reader.read(1))
                answers = asyncio.ensure_future(self.answers.wait())
                await asyncio.wait([gone, answers], return_when=asyncio.FIRST_COMPLETED)
                if gone.done():
                    return
                gone.cancel()
                await asyncio.wait([gone])
                writer.write(ANSWER)
        finally:
            self.left.set()


@asynccontextmanager
async def warm(**options: Any) -> AsyncIterator[tuple[Served, Pipeline]]:
    """A server, and a pipeline to it whose client has a connection."""
    served = Served()
    served.answers.set()
    async with Server(served.answer) as server:
        connection = connect("openai", api_key="k", base_url=server.url + "v1", **options)
        async with connection.pipeline(CHAT) as pipeline:
            assert await text(pipeline) == "hi"
            served.requests = 0
            yield served, pipeline
        assert server.connections >= 1


async def text(pipeline: Pipeline) -> str:
    async with pipeline.run(CHAT) as run:
        return (await run.result()).text


async def until(served: Served, requests: int) -> None:
    async with asyncio.timeout(5):
        while served.requests < requests:
            await asyncio.sleep(0)


class Refusing(NoTelemetry):
    """Telemetry that may be interrupted when a run starts."""

    refusal: BaseException | None = None

    def start(self, info: RunInfo) -> Any:
        if self.refusal is not None:
            raise self.refusal
        return super().start(info)


async def test_a_warm_request_is_sent_when_the_run_starts() -> None:
    """Before its task has run at all."""
    async with warm() as (_, pipeline):
        run = pipeline.run(CHAT)
        run.start()
        assert run.timings.request_ns is not None
        assert (await run.result()).text == "hi"
        assert run.timings.started_ns <= run.timings.request_ns
        await run.aclose()


async def test_a_cold_request_is_sent_by_the_run_s_task() -> None:
    served = Served()
    served.answers.set()
    async with Server(served.answer) as server:
        connection = connect("openai", api_key="k", base_url=server.url + "v1")
        async with connection, connection.run(CHAT) as run:
            assert run.timings.request_ns is None
            assert (await run.result()).text == "hi"


async def test_nothing_is_sent_where_a_stage_cannot_be_opened() -> None:
    def refuse(context: StepContext) -> Any:
        raise RuntimeError("no")

    async with warm() as (served, pipeline):
        broken = pipeline.edit().branch(StageSpec("broken", Event, Event, refuse)).build()
        with pytest.raises(StageFailedError, match="broken"):
            broken.run(CHAT).start()
        assert await text(pipeline) == "hi"
        assert served.requests == 1


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_run_cancelled_before_its_task_began_closes_its_socket(at_once: bool) -> None:
    async with warm() as (served, pipeline):
        served.answers.clear()
        run = pipeline.run(CHAT)
        run.start()
        if at_once:
            run.cancel()
        await run.aclose()
        await asyncio.wait_for(served.left.wait(), 5)
        served.answers.set()
        assert await text(pipeline) == "hi", "the pool is as before"


async def test_an_interrupt_while_a_run_is_made_ready_closes_its_socket() -> None:
    refusing = Refusing()
    async with warm(telemetry=refusing) as (served, pipeline):
        served.answers.clear()
        refusing.refusal = KeyboardInterrupt()
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(CHAT).start()
        await asyncio.wait_for(served.left.wait(), 5)


async def test_with_a_limiter_the_request_waits_its_turn() -> None:
    limiter = Limiter(Bounds(max_streams=1))
    async with warm(limiter=limiter) as (served, pipeline):
        served.answers.clear()
        first, second = pipeline.run(CHAT), pipeline.run(CHAT)
        first.start()
        second.start()
        await until(served, 1)
        assert second.timings.request_ns is None
        served.answers.set()
        assert [(await run.result()).text for run in (first, second)] == ["hi", "hi"]
        await first.aclose()
        await second.aclose()


async def test_a_source_that_opens_in_a_way_of_its_own_is_asked_to_open() -> None:
    class Careful(DirectSource):
        opened = 0

        async def open(self, request: Request) -> ByteStream:
            self.opened += 1
            return await super().open(request)

    async with warm() as (_, pipeline):
        source: Any = pipeline.source
        source.__class__ = Careful
        assert await text(pipeline) == "hi"
        assert source.opened == 1


async def test_a_kept_connection_that_the_server_closes_is_made_anew() -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        await read_request(reader)
        writer.write(with_length(b"fine"))
        await read_request(reader)

    client = HttpClient()
    async with Server(answer) as server:
        assert client.post_nowait(server.url, {}, b"") is None
        await read_all(await client.post(server.url, {}, b""))
        sent = client.post_nowait(server.url, {}, b"")
        assert sent is not None
        assert client.post_nowait(server.url, {}, b"") is None, "no second one is kept"
        assert await read_all(await sent.response()) == b"fine"
        assert server.connections == 2
    await client.aclose()


async def test_what_cannot_be_written_is_the_run_s_error() -> None:
    async with warm() as (served, pipeline):
        async with pipeline.run({**CHAT, "odd": object()}) as run:
            with pytest.raises(ConfigError):
                await run.result()
        assert served.requests == 0
        assert await text(pipeline) == "hi"


async def test_each_request_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the one for which no connection is left."""
    written = 0
    encode = direct._encode

    def counting(provider: str, payload: Any) -> bytes:
        nonlocal written
        written += 1
        return encode(provider, payload)

    async with warm() as (_, pipeline):
        monkeypatch.setattr(direct, "_encode", counting)
        assert list(await asyncio.gather(text(pipeline), text(pipeline))) == ["hi", "hi"]
        assert written == 2
