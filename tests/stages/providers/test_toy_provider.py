"""The provider that docs/providers.md adds: its very code is run against a server of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tokenline.errors import AuthenticationError, ConfigError, StreamCutError
from tokenline.events import Event, FinishReason, MessageEnd, MessageStart, TextDelta
from tokenline.telemetry.hook import NoTelemetry
from tokenline_stages.connection import connect
from tokenline_stages.providers import registry

pytestmark = pytest.mark.anyio

DOCS = Path(__file__).parents[3] / "docs" / "providers.md"
WHOLE = b'{"word": "Hello"}\n{"word": ", world"}\n{"end": "stop", "words": 2}\n'
CUT = b'{"word": "Hello"}\n'


def code_blocks() -> list[str]:
    """The Python blocks under the heading of the docs."""
    section = DOCS.read_text().partition("## Add your own provider")[2]
    return [block.partition("```")[0] for block in section.split("```python\n")[1:]]


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the blocks define; the registration is undone afterwards."""
    monkeypatch.setattr(registry, "_registered", {})
    names: dict[str, Any] = {"__name__": "acme", "connect": connect}
    for block in code_blocks():
        exec(compile(block, str(DOCS), "exec"), names)
    return names


@asynccontextmanager
async def serve(body: bytes, key: str = "...") -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        if request.headers["authorization"] != f"Bearer {key}":
            return web.json_response({"error": "who are you?"}, status=401)
        assert await request.json() == {"prompt": "Greet me"}
        return web.Response(body=body, content_type="application/x-ndjson")

    app = web.Application()
    app.router.add_post("/words", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def read(base_url: str, key: str = "...") -> list[Event]:
    async with (
        connect("acme", base_url=base_url, api_key=key, telemetry=NoTelemetry()) as connection,
        connection.run({"prompt": "Greet me"}) as run,
    ):
        return [event async for event in run]


async def test_docs_provider_greets(
    acme: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    async with serve(WHOLE) as base_url:
        assert await acme["greet"](base_url) == "Hello, world"
    assert capsys.readouterr().out.count("TextDelta") == 2


async def test_docs_provider_gives_events(acme: dict[str, Any]) -> None:
    async with serve(WHOLE) as base_url:
        events = await read(base_url)
    assert [event.seq for event in events] == list(range(len(events)))
    assert isinstance(events[0], MessageStart)
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "Hello, world"
    assert isinstance(events[-1], MessageEnd)
    assert events[-1].reason is FinishReason.STOP


async def test_docs_provider_has_the_errors_of_all_others(acme: dict[str, Any]) -> None:
    async with serve(CUT) as base_url:
        with pytest.raises(StreamCutError, match="acme: the answer ended") as failure:
            await read(base_url)
        assert failure.value.partial is not None
        assert failure.value.partial.text == "Hello"
        with pytest.raises(AuthenticationError, match=r"who are you\?"):
            await read(base_url, "wrong")


async def test_docs_provider_is_known(acme: dict[str, Any]) -> None:
    assert "acme" in registry.known_providers()
    with pytest.raises(ConfigError, match=r"acme\.words takes `prompt`"):
        connect("acme").run({"messages": []})
