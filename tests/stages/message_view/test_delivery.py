"""What browsers need: signs of life while a model thinks, and the rest after a reconnect."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.pipeline.lines import builder

from tokenline.errors import MessagesGoneError, RunCancelledError
from tokenline.testing import ScriptedSource, Wait, run_virtual
from tokenline_stages.message_view import (
    DONE,
    KeepAlive,
    MessageLog,
    MessageStream,
    SseMessageDecoder,
    sse_body,
)
from tokenline_stages.message_view.keep_alive import PING

WORDS = [b"a\n", b"b\n", b"c\n", b"d\n", b".\n"]
PACED: list[Any] = [step for word in WORDS for step in (Wait(1), word)]


async def rest_of(body: AsyncIterator[bytes]) -> list[bytes]:
    return [part async for part in body]


def ids(parts: list[bytes]) -> list[int]:
    decoder = SseMessageDecoder()
    return [message.seq_id for message in decoder.feed(b"".join(parts))]


# --- signs of life -------------------------------------------------------------------------


def test_pings_before_the_first_token_and_in_pauses() -> None:
    async def main() -> None:
        source = ScriptedSource([Wait(31), b"a\n", Wait(16), b".\n"], headers_after_s=30)
        async with builder(source).build().run({}) as run:
            parts = await rest_of(KeepAlive(sse_body(MessageStream(run)), every_s=15))
        assert parts[:4] == [PING] * 4
        assert parts.count(PING) == 5
        assert parts[-1] == DONE
        without = b"".join(part for part in parts if part != PING)
        assert SseMessageDecoder().feed(b"".join(parts)) == SseMessageDecoder().feed(without)

    run_virtual(main())


def test_no_pings_while_there_is_something_to_send() -> None:
    async def main() -> None:
        async with builder(ScriptedSource(PACED)).build().run({}) as run:
            parts = await rest_of(KeepAlive(sse_body(MessageStream(run)), every_s=15))
        assert PING not in parts

    run_virtual(main())


@pytest.mark.parametrize("way", ["close", "cancel"])
def test_a_viewer_that_leaves_leaves_no_task(way: str) -> None:
    async def main() -> None:
        before = asyncio.all_tasks()
        async with builder(ScriptedSource([Wait(1000), *WORDS])).build().run({}) as run:
            body = KeepAlive(MessageLog().read(), every_s=15)
            assert await anext(body) == PING
            if way == "close":
                await body.aclose()
                await body.aclose()
            else:
                viewing = asyncio.create_task(rest_of(body))
                await asyncio.sleep(1)
                viewing.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await viewing
            run.cancel()
        assert asyncio.all_tasks() == before

    run_virtual(main())


def test_what_the_body_raises_is_raised() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"a"
        raise ValueError("broken")

    async def main() -> None:
        body = KeepAlive(broken())
        assert await anext(body) == b"a"
        with pytest.raises(ValueError, match="broken"):
            await anext(body)

    run_virtual(main())


# --- coming back ---------------------------------------------------------------------------


def test_a_viewer_that_comes_back_gets_the_rest() -> None:
    async def main() -> None:
        log = MessageLog()
        async with builder(ScriptedSource(PACED)).build().run({}) as run:
            filling = asyncio.create_task(log.fill(MessageStream(run)))
            first = log.read()
            seen = [await anext(first), await anext(first)]
            await asyncio.sleep(1.5)  # away; the run goes on
            again = await rest_of(log.read(after=ids(seen)[-1]))
            await filling
            assert (await run.result()).text == "a b c d "
        assert again[-1] == DONE
        assert ids(seen + again) == list(range(1, len(seen + again)))
        late = await rest_of(log.read())
        assert late == seen + again
        assert await rest_of(log.read(after=10**6)) == [DONE]

    run_virtual(main())


def test_stopping_is_not_leaving() -> None:
    async def main() -> None:
        log = MessageLog()
        async with builder(ScriptedSource([b"a\n", Wait(1000), b".\n"])).build().run({}) as run:
            filling = asyncio.create_task(log.fill(MessageStream(run)))
            await anext(log.read())  # a viewer that looks once and leaves
            assert run.outcome is None
            viewing = asyncio.create_task(rest_of(log.read()))
            await asyncio.sleep(1)
            run.cancel()
            assert (await viewing)[-1] == DONE
            await filling
        assert isinstance(run.error, RunCancelledError | None)
        assert log.over

    run_virtual(main())


def test_the_log_is_bounded_and_says_what_is_gone() -> None:
    async def main() -> None:
        words = [b"w\n"] * 500
        log = MessageLog(max_messages=10)
        small = MessageLog(max_bytes=2000)
        async with builder(ScriptedSource([*words, b".\n"])).build().run({}) as run:
            behind = log.read()
            stream = MessageStream(run)
            first = await anext(stream)
            log.put(first)
            small.put(first)
            await anext(behind)
            async for message in stream:
                log.put(message)
                small.put(message)
                assert small.kept_bytes <= 2000
            log.close()
        with pytest.raises(MessagesGoneError, match="anew"):
            await anext(behind)
        with pytest.raises(MessagesGoneError):
            await anext(log.read())
        last_id = message.seq_id
        assert ids(await rest_of(log.read(after=last_id - 9))) == list(
            range(last_id - 8, last_id + 1)
        )

    run_virtual(main())
