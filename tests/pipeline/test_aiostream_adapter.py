"""A run's events as an aiostream `Stream`."""

import subprocess
import sys

import pytest

from tests.pipeline.lines import TEXT, builder, reads
from tokenline.events import TextDelta
from tokenline.testing import ScriptedSource

pytestmark = pytest.mark.anyio


async def test_events_compose_with_operators() -> None:
    pipe = pytest.importorskip("aiostream").pipe
    async with builder(ScriptedSource(reads())).build().run({}) as run:
        texts = (
            run.stream()
            | pipe.filter(lambda event: isinstance(event, TextDelta))
            | pipe.map(lambda event: event.text)
            | pipe.list()
        )
        assert "".join(await texts) == TEXT
        assert (await run.result()).text == TEXT


async def test_taking_a_few_and_leaving() -> None:
    aiostream = pytest.importorskip("aiostream")
    source = ScriptedSource(reads())
    async with (
        builder(source).build().run({}) as run,
        (run.stream() | aiostream.pipe.take(3)).stream() as streamer,
    ):
        assert len([event async for event in streamer]) == 3
    assert source.streams[0].closed == 1


def test_without_aiostream_the_error_names_the_extra() -> None:
    code = (
        "import sys; sys.modules['aiostream'] = None\n"
        "from tokenline.aiostream_adapter import as_stream\n"
        "from tokenline import UsageError\n"
        "try: as_stream(None)\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert "tokenline[aiostream]" in done.stdout
