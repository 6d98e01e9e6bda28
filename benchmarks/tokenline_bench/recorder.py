"""Records a real stream with its times as a cassette, see `tokenline_stages.simulator.cassette`.

The pipeline runs as always; its source is wrapped, so that every read is noted before it is parsed.
Keys are left out of all but the response's body, which is kept byte for byte.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from tokenline.errors import ConfigError
from tokenline.run import Run
from tokenline.source import ByteStream, Request, Source
from tokenline_bench.work.conversation import Message
from tokenline_bench.work.payloads import payload_form
from tokenline_stages.connection import build_pipeline
from tokenline_stages.providers.registry import Access, Api, provider
from tokenline_stages.simulator import CassetteHead, CassetteWriter, RecordedRequest

Open = Callable[[CassetteHead], CassetteWriter]


class RecordedStream:
    """An open response whose reads go to a cassette too."""

    def __init__(self, stream: ByteStream, writer: CassetteWriter, sent_ns: int) -> None:
        self._stream = stream
        self._writer = writer
        self._sent_ns = sent_ns
        self._ended = False

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._stream.status

    @property
    def headers(self) -> Mapping[str, str]:
        """Response headers."""
        return self._stream.headers

    def read(self) -> Awaitable[bytes]:
        """The next read, noted."""
        return self._read()

    async def _read(self) -> bytes:
        try:
            data = await self._stream.read()
        except Exception as error:
            self._end(str(error) or type(error).__name__)
            raise
        if data:
            self._writer.read(time.perf_counter_ns() - self._sent_ns, data)
        else:
            self._end()
        return data

    async def aclose(self) -> None:
        """Let go of the response; a cassette that was not read to its end has no last line."""
        self._writer.close()
        await self._stream.aclose()

    def _end(self, error: str | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._writer.end(time.perf_counter_ns() - self._sent_ns, error)


class RecordingSource:
    """A source that records what the source inside it reads.

    Args:
        source: the real one.
        path: of the cassette.
    """

    def __init__(self, source: Source, path: Path) -> None:
        self._source = source
        self._path = path

    def __getattr__(self, name: str) -> Any:
        """Name, provider, address ... of the source inside."""
        return getattr(self._source, name)

    async def prepare(self) -> None:
        """Make the source inside ready."""
        await self._source.prepare()

    async def open(self, request: Request) -> ByteStream:
        """Open the stream; the cassette begins when its headers are there."""
        sent_ns, sent_unix_ns = time.perf_counter_ns(), time.time_ns()
        stream = await self._source.open(request)
        head = CassetteHead(
            recorded_unix_ns=sent_unix_ns,
            request=RecordedRequest(
                url=_address(self._source),
                headers=dict(request.headers),
                json=dict(request.payload),
            ),
            status=stream.status,
            headers=tuple(stream.headers.items()),
            t_ns=time.perf_counter_ns() - sent_ns,
        )
        secrets = tuple(getattr(self._source, "secrets", ()))
        return RecordedStream(stream, CassetteWriter(self._path, head, secrets), sent_ns)

    async def aclose(self) -> None:
        """Close the source inside."""
        await self._source.aclose()


def recorded_run(
    name: str,
    payload: Mapping[str, Any],
    path: Path | str,
    *,
    api: str | None = None,
    access: Access | None = None,
    headers: Mapping[str, str] | None = None,
) -> Run:
    """A run that is recorded; enter it with `async with`, read it as any other.

    Args:
        name: of the provider.
        payload: the request's body.
        path: of the cassette, `NAME.cassette.jsonl`.
        api: wire API, by default the one that the payload is for.
        access: key, address and client.
        headers: more HTTP headers; the cassette has values only of those known to be harmless.

    Raises:
        ConfigError: no such provider or API, or the file cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ConfigError(f"cannot write {path}: there is no folder {path.parent}")
    known = provider(name)
    found = known.api_named(api) if api else known.api_for(payload)
    pipeline = build_pipeline(known.name, _recording(found, path), access or Access())
    return pipeline.run(payload, headers=headers)


def prompt_payload(
    name: str, model: str, prompt: str, *, api: str | None = None, max_tokens: int | None = None
) -> dict[str, Any]:
    """A request body with one prompt, in the form of a provider's API.

    Raises:
        ConfigError: no such provider or API, or an empty prompt.
    """
    if not prompt.strip():
        raise ConfigError("the prompt is empty; give some text")
    known = provider(name)
    found = known.api_named(api) if api else known.apis[0]
    form = payload_form(found.name, known.name)
    return form(model, [Message("user", prompt)], max_tokens)


async def record_cassette(
    name: str, payload: Mapping[str, Any], path: Path | str, **options: Any
) -> Run:
    """Record one whole stream; gives the finished run. Arguments as `recorded_run`.

    Raises:
        StreamError: the stream failed; what had come is in the cassette.
    """
    run = recorded_run(name, payload, path, **options)
    async with run:
        await run.result()
    return run


def _recording(api: Api, path: Path) -> Api:
    def source(access: Access) -> Source:
        wrapped: Any = RecordingSource(api.source(access), path)  # the rest comes by __getattr__
        return cast(Source, wrapped)

    return replace(api, source=source)


def _address(source: Source) -> str:
    if source.server_address is None:
        return ""
    return f"//{source.server_address}:{source.server_port}"
