"""Cassettes: every read with its time, no secret, and the simulator plays it again."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tokenline.errors import ConfigError, StreamCutError
from tokenline.redaction import MARK
from tokenline_bench.recorder import prompt_payload, record_cassette
from tokenline_stages import Access, connect
from tokenline_stages.simulator import Plan, Simulator, SimulatorProcess, read_cassette

from .conftest import Tokenline

NAME = "stream.cassette.jsonl"
PAYLOAD = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def record(simulator: SimulatorProcess, path: Path, **plan: Any) -> Any:
    payload = {**PAYLOAD, "tokenline_plan": plan}
    access = Access(api_key="right", base_url=simulator.openai_base_url, max_retries=0)
    headers = {"authorization-extra": "secret"}
    return asyncio.run(record_cassette("openai", payload, path, access=access, headers=headers))


def test_every_read_has_its_bytes_and_time(simulator: SimulatorProcess, tmp_path: Path) -> None:
    path = tmp_path / NAME
    run = record(simulator, path, ttft_s=0.03, inter_token_s=0.02, tokens=5)
    cassette = read_cassette(path)
    assert cassette.end is not None
    assert cassette.end.end == "complete"
    assert len(cassette.body) == run.record.bytes
    times = [read.t_ns for read in cassette.reads]
    assert times == sorted(times)
    assert times[-1] > 90e6
    assert sum(b - a > 10e6 for a, b in pairwise(times)) >= 4
    assert cassette.head.request.json["messages"] == PAYLOAD["messages"]
    assert "secret" not in path.read_text()
    assert "right" not in path.read_text()


def test_the_command_writes_no_secret(
    tokenline: Tokenline, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    names = ("Ocp-Apim-Subscription-Key", "x-functions-key", "X-Auth", "x-session", "x-tenant")
    headers = [part for name in names for part in ("--header", f"{name}=TOPSECRET")]
    headers += ["--header", "openai-beta=v2"]
    body = '{"api_key": "TOPSECRET", "metadata": {"note": "sk-proj-abcdefghij1234567890"}}'
    to = ("--base-url", simulator.openai_base_url, "--model", "m", "--out", str(path))
    code, _, errors = tokenline("record", *to, *headers, "--body", body, "hello")
    assert code == 0, errors
    text = path.read_text()
    assert "TOPSECRET" not in text
    assert "sk-proj" not in text
    request = read_cassette(path).head.request
    assert request.headers.items() >= {**dict.fromkeys(names, MARK), "openai-beta": "v2"}.items()
    assert request.json["metadata"] == {"note": MARK}


def test_cut_stream_is_kept_up_to_the_cut(simulator: SimulatorProcess, tmp_path: Path) -> None:
    path = tmp_path / NAME
    plan = {"tokens": 50, "inter_token_s": 0.001, "faults": [{"fault": "cut", "at_event": 20}]}
    with pytest.raises(StreamCutError):
        record(simulator, path, **plan)
    cassette = read_cassette(path)
    assert cassette.end is not None
    assert cassette.end.end == "cut"
    assert cassette.reads


def test_cassette_is_played_with_the_same_text(simulator: SimulatorProcess, tmp_path: Path) -> None:
    run = record(simulator, tmp_path / NAME, ttft_s=0.05, inter_token_s=0.01, tokens=9)

    async def play(speed: float) -> tuple[str, float | None]:
        async with Simulator(Plan(speed=speed), recordings=tmp_path) as player:
            connection = connect("openai", api_key="x", base_url=player.openai_base_url)
            headers = {"x-tokenline-recording": "stream"}
            async with connection.run(PAYLOAD, headers=headers) as played:
                result = await played.result()
            await connection.aclose()
            return result.text, result.timings.time_to_first_token_s

    text, true_s = asyncio.run(play(1.0))
    assert text == run.snapshot().text
    assert true_s is not None
    assert true_s >= 0.045
    text, quick_s = asyncio.run(play(0.0))
    assert text == run.snapshot().text
    assert quick_s is not None
    assert quick_s < true_s


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prompt is empty"):
        prompt_payload("openai", "m", " ")
    with pytest.raises(ConfigError, match="there is no folder"):
        asyncio.run(record_cassette("openai", PAYLOAD, tmp_path / "no" / NAME))
