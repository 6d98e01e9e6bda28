"""Recordings and cassettes: read, written, played byte for byte."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tokenline_stages.simulator import (
    CassetteHead,
    CassetteWriter,
    Plan,
    RecordedRequest,
    RecordingError,
    Simulator,
    read_cassette,
)
from tokenline_stages.simulator.faults import Cut

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[Any]]
BODY = 'data: {"text": "Grüße 👩\u200d🚀"}\n\ndata: [DONE]\n\n'.encode()
NOW = Plan(ttft_s=0.0, inter_token_s=0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Hand-made: one pair, one cassette."""
    (tmp_path / "pair.one.sse").write_bytes(BODY)
    metadata = {"status": 203, "content_type": "text/event-stream", "body_file": "pair.one.sse"}
    (tmp_path / "pair.one.json").write_text(json.dumps(metadata))
    (tmp_path / "pair.one.expected.json").write_text("{}")
    write_cassette(tmp_path / "tape.cassette.jsonl")
    return tmp_path


def write_cassette(path: Path, error: str | None = None) -> None:
    head = CassetteHead(
        recorded_unix_ns=1,
        request=RecordedRequest(
            url="https://h/v1?key=S3CRET&alt=sse",
            headers={"Authorization": "Bearer S3CRET", "x-api-key": "S3CRET", "Accept": "*/*"},
            json={"model": "m"},
        ),
        headers=(("Content-Type", "text/event-stream"), ("Set-Cookie", "S3CRET"), ("X-A", "b")),
        t_ns=5_000_000,
    )
    with CassetteWriter(path, head) as writer:
        writer.read(10_000_000, BODY[:21])
        writer.read(60_000_000, BODY[21:])
        writer.end(61_000_000, error)


def test_a_cassette_reads_back_without_secrets(folder: Path) -> None:
    path = folder / "tape.cassette.jsonl"
    cassette = read_cassette(path)
    assert cassette.body == BODY
    assert [read.t_ns for read in cassette.reads] == [10_000_000, 60_000_000]
    assert cassette.end is not None
    assert cassette.end.end == "complete"
    assert cassette.head.request.headers["Accept"] == "*/*"
    assert cassette.head.request.url == "https://h/v1?key=[redacted]&alt=sse"
    assert "S3CRET" not in path.read_text()
    first, read, *_ = (json.loads(line) for line in path.read_text().splitlines())
    assert (first["format"], first["version"]) == ("tokenline-cassette", 1)
    assert base64.b64decode(read["data"]) == BODY[:21]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ("{}", "no cassette"),
        ("nonsense", "line 1"),
        ('{"format":"tokenline-cassette","version":99}', "update tokenline"),
        ('{"format":"tokenline-cassette","version":1}\n{"t_ns":1}', "line 2"),
        ('{"format":"tokenline-cassette","version":1}\n{"t_ns":1,"data":"!"}', "line 2"),
    ],
)
def test_a_broken_cassette_is_named(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "x.cassette.jsonl"
    path.write_text(content)
    with pytest.raises(RecordingError, match=complaint):
        read_cassette(path)


def test_an_unfinished_cassette_keeps_its_reads(folder: Path) -> None:
    path = folder / "tape.cassette.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    cassette = read_cassette(path)
    assert cassette.body == BODY
    assert cassette.end is None


@pytest.mark.parametrize("split", [None, 1, 7, (1, 9)])
async def test_a_pair_is_played_byte_for_byte(folder: Path, fetch: Fetch, split: Any) -> None:
    plan = NOW.with_changes({"split_bytes": split, "seed": 3})
    async with Simulator(plan, recordings=folder) as simulator:
        answer = await fetch(simulator, "/recordings/pair.one")
        entry = simulator.ledger.last
    assert answer.status == 203
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body == BODY
    assert answer.complete
    assert entry.recording == "pair.one"
    if split == 1:
        assert len(answer.chunks) == len(BODY) + 1


async def test_a_cassette_is_played_at_its_own_speed(folder: Path, fetch: Fetch) -> None:
    async with Simulator(recordings=folder) as simulator:
        for speed, due_ms in ((1, [10, 60]), (5, [2, 12]), (0, [0, 0])):
            header = {"x-tokenline-plan": json.dumps({"speed": speed}), "Connection": "close"}
            await fetch(simulator, "/recordings/tape/v1/messages", headers=header)
            entry = simulator.ledger.last
            assert [(p - entry.started_ns) / 1e6 for p in entry.planned_ns] == due_ms
            assert entry.sent_ns[-1] >= entry.planned_ns[-1]
            assert entry.recording == "tape"


async def test_ways_to_ask_for_a_recording(folder: Path) -> None:
    async with Simulator(NOW, recordings=folder) as simulator, aiohttp.ClientSession() as session:
        header = {"x-tokenline-recording": "pair.one"}
        url = simulator.url + "/v1/messages"
        async with session.post(url, json={"model": "m"}, headers=header) as response:
            assert await response.read() == BODY
        async with session.get(simulator.url + "/recordings/pair.one") as response:
            assert await response.read() == BODY
        async with session.get(simulator.url + "/recordings") as response:
            assert await response.json() == ["tape", "pair.one"]
        async with session.get(simulator.url + "/recordings/none") as response:
            assert response.status == 404
            assert "no recording named" in await response.text()


async def test_a_cut_cassette_is_cut_again(folder: Path, fetch: Fetch) -> None:
    write_cassette(folder / "torn.cassette.jsonl", error="connection lost")
    async with Simulator(Plan(speed=0), recordings=folder) as simulator:
        answer = await fetch(simulator, "/recordings/torn")
    assert answer.body == BODY
    assert answer.ended
    assert not answer.complete


async def test_faults_apply_to_recordings(folder: Path, fetch: Fetch) -> None:
    plan = Plan(ttft_s=0.0, inter_token_s=0.0, faults=(Cut(at_byte=9),))
    async with Simulator(plan, recordings=folder) as simulator:
        answer = await fetch(simulator, "/recordings/pair.one")
    assert answer.body == BODY[:9]


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="has no recordings"):
        Simulator(recordings=tmp_path)
    with pytest.raises(RecordingError, match="is no folder"):
        Simulator(recordings=tmp_path / "absent")


@pytest.mark.corpus
async def test_every_recording_comes_back_exactly(corpus_dir: Path) -> None:
    plan = Plan(ttft_s=0.0, inter_token_s=0.0, split_bytes=(1, 2000), seed=1)
    async with (
        Simulator(plan, recordings=corpus_dir) as simulator,
        aiohttp.ClientSession() as session,
        session.get(simulator.url + "/recordings") as response,
    ):
        names = await response.json()
        assert names

        async def check(name: str) -> None:
            metadata = json.loads((corpus_dir / f"{name}.json").read_bytes())
            url = URL(f"{simulator.url}/recordings/{name}")
            async with session.post(url, json={"stream": True}) as response:
                assert response.status == metadata["status"]
                assert response.headers["Content-Type"] == metadata["content_type"]
                body = await response.read()
            assert body == (corpus_dir / metadata["body_file"]).read_bytes()

        await asyncio.gather(*map(check, names))
