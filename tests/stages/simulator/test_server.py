"""Keys, plans by request, ledger, timing, leaving clients; the process and the command."""

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import aiohttp
import pytest
from click.testing import CliRunner

from tokenline.errors import ConfigError
from tokenline_stages.simulator import (
    Bimodal,
    Ledger,
    Plan,
    PlanMix,
    Simulator,
    SimulatorProcess,
    ToolCall,
    chaos_mix,
)
from tokenline_stages.simulator.command import serve
from tokenline_stages.simulator.tls import server_context, write_self_signed

pytestmark = pytest.mark.anyio

Fetch = Callable[..., Awaitable[Any]]
NOW = Plan(ttft_s=0.0, inter_token_s=0.0, tokens=3)
CHAT = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("path", "header", "body"),
    [
        (CHAT, {"Authorization": "Bearer K"}, b'"code":"invalid_api_key"'),
        ("/openai/deployments/d/chat/completions", {"api-key": "K"}, b'"invalid_api_key"'),
        ("/v1/responses", {"Authorization": "Bearer K"}, b'"invalid_api_key"'),
        ("/v1/messages", {"x-api-key": "K"}, b'"authentication_error"'),
        ("/v1beta/models/g:streamGenerateContent", {"x-goog-api-key": "K"}, b'"UNAUTHENTICATED"'),
        ("/api/chat", {"Authorization": "Bearer K"}, b'{"error":"the key'),
        (
            "/model/m/converse-stream",
            {"Authorization": "AWS4-HMAC-SHA256 Credential=K/20260101/r/s/aws4_request"},
            b'"UnrecognizedClientException"',
        ),
    ],
)
async def test_a_wrong_key_gets_the_providers_401(
    fetch: Fetch, path: str, header: dict[str, str], body: bytes
) -> None:
    close = {"Connection": "close"}
    async with Simulator(NOW, api_key="K") as simulator:
        refused = await fetch(simulator, path, headers=close)
        wrong = {name: value.replace("K", "L", 1) for name, value in header.items()}
        if "AWS4" not in str(header):
            assert (await fetch(simulator, path, headers=close | wrong)).status == 401
        accepted = await fetch(simulator, path, headers=close | header)
    assert refused.status == 401
    assert body in refused.payload
    assert accepted.status == 200
    assert accepted.complete


async def test_a_request_changes_the_plan(fetch: Fetch) -> None:
    async with Simulator(NOW) as simulator:
        field = await fetch(simulator, CHAT, {"tokenline_plan": {"text": "one two"}})
        header = {"x-tokenline-plan": '{"text": "three"}', "Connection": "close"}
        by_header = await fetch(simulator, CHAT, headers=header)
        bad = await fetch(simulator, CHAT, {"tokenline_plan": {"tokens": "many"}})
    assert field.text == "one two"
    assert by_header.text == "three"
    assert bad.status == 400
    assert b"bad plan" in bad.payload


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"a": "\xff"}'])
async def test_a_body_that_is_no_object_gets_a_400(body: bytes) -> None:
    async with Simulator(NOW) as simulator, aiohttp.ClientSession() as session:
        async with session.post(simulator.url + "/v1/messages", data=body) as response:
            assert response.status == 400
            assert (await response.json())["error"]["type"] == "invalid_request_error"
        async with session.post(simulator.url + "/v2/unheard/of", data=b"{}") as response:
            assert response.status == 404
        async with session.get(simulator.url + "/health") as response:
            assert response.status == 200
        async with session.get(simulator.url + "/v1/models") as response:
            assert (await response.json())["data"][0]["id"]


async def test_the_ledger_has_the_truth(fetch: Fetch) -> None:
    plan = Plan(ttft_s=0.03, inter_token_s=0.01, tokens=5, reasoning_tokens=2, tool_calls=1)
    async with Simulator(plan) as simulator, aiohttp.ClientSession() as session:
        answer = await fetch(simulator, headers={"x-request-id": "mine", "Connection": "close"})
        assert answer.headers["x-request-id"] == "mine"
        async with session.get(simulator.url + "/ledger/mine") as response:
            told = await response.json()
        async with session.get(simulator.url + "/ledger/other") as response:
            assert response.status == 404
        entry = simulator.ledger["mine"]
    assert told == entry.to_json()
    assert entry.outcome == "complete"
    assert entry.text == answer.text
    assert entry.tool_arguments == [ToolCall().arguments]
    assert sum(told["body_bytes"]) == len(answer.body)
    late_ms = [(s - p) / 1e6 for s, p in zip(entry.sent_ns, entry.planned_ns, strict=True)]
    assert all(-0.01 <= late < 100 for late in late_ms), late_ms
    first_ms = (entry.token_ns[0] - entry.received_ns) / 1e6
    assert 30 <= first_ms < 130
    assert len(entry.token_ns) == 5 + 2 + 4
    # CLOCK_MONOTONIC: the client's stamps and the server's are comparable.
    assert answer.start_s * 1e9 < entry.received_ns < entry.sent_ns[-1] <= answer.read_s[-1] * 1e9


async def test_the_ledger_is_bounded(fetch: Fetch) -> None:
    ledger = Ledger(max_requests=2)
    async with Simulator(NOW, ledger=ledger) as simulator:
        for name in "abc":
            await fetch(simulator, headers={"x-request-id": name, "Connection": "close"})
    assert [entry.request_id for entry in ledger] == ["b", "c"]
    small = Ledger(max_writes=1)
    async with Simulator(NOW, ledger=small) as simulator:
        for _ in range(2):
            await fetch(simulator)
    assert len(small) == 1


async def test_a_client_that_leaves_is_noticed_at_once(fetch: Fetch) -> None:
    async with Simulator(Plan(ttft_s=5.0)) as simulator:
        await fetch(simulator, until_s=0.03)
        left_ns = simulator.ledger.last.received_ns + 30_000_000
        for _ in range(100):
            await asyncio.sleep(0.002)
            if simulator.ledger.last.outcome != "open":
                break
        entry = simulator.ledger.last
    assert entry.outcome == "client_gone"
    assert entry.ended_ns is not None
    assert (entry.ended_ns - left_ns) / 1e6 < 500


async def test_message_ids_differ_and_connections_are_kept() -> None:
    plan = NOW.with_changes({"events_per_write": 32})
    reused: list[object] = []
    trace = aiohttp.TraceConfig()

    async def note(*details: object) -> None:
        reused.append(details)

    trace.on_connection_reuseconn.append(note)
    async with (
        Simulator(plan) as simulator,
        aiohttp.ClientSession(trace_configs=[trace]) as session,
    ):
        ids = set()
        for _ in range(3):
            async with session.post(simulator.url + CHAT, json={"stream": True}) as response:
                first = (await response.read()).split(b"\n\n")[0]
            ids.add(json.loads(first.removeprefix(b"data: "))["id"])
    assert len(ids) == 3
    assert len(reused) == 2


async def test_one_write_can_hold_a_whole_answer(fetch: Fetch) -> None:
    plan = NOW.with_changes({"events_per_write": 100, "events_per_chunk": 100})
    async with Simulator(plan) as simulator:
        answer = await fetch(simulator)
        assert len(simulator.ledger.last.sent_ns) == 1
    assert len(answer.chunks) == 2


async def test_http_1_0_gets_a_body_without_chunks() -> None:
    async with Simulator(NOW) as simulator:
        port = int(simulator.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{"stream":true}'
        head = f"POST {CHAT} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        writer.write(head + body)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.endswith(b"\n\ndata: [DONE]\n\n")
    assert b"chunked" not in answer.lower()


async def test_a_mix_gives_every_plan_its_share(fetch: Fetch) -> None:
    mix = PlanMix(plans=(NOW.with_changes({"text": "a"}), NOW.with_changes({"text": "b"})), seed=1)
    async with Simulator(mix) as simulator:
        texts = [(await fetch(simulator)).text for _ in range(12)]
    assert texts == ["ab"[mix.plans.index(mix.choose(n))] for n in range(12)]
    assert set(texts) == {"a", "b"}
    faults = {f for n in range(600) for f in chaos_mix(NOW).choose(n).faults}
    assert len(faults) == 25


async def test_times_drawn_from_a_distribution_are_its_own(fetch: Fetch) -> None:
    plan = Plan(ttft_s=Bimodal(fast_s=0.0, slow_s=0.03, slow_share=0.5), tokens=1)
    async with Simulator(plan) as simulator:
        for _ in range(8):
            await fetch(simulator)
        first_ms = [(e.token_ns[0] - e.received_ns) / 1e6 for e in simulator.ledger]
    assert {first > 29 for first in first_ms} == {True, False}


async def test_pings_while_waiting(fetch: Fetch) -> None:
    plan = Plan(ttft_s=0.05, inter_token_s=0.0, tokens=1, ping_every_s=0.02)
    chat = await fetch(plan)
    messages = await fetch(plan, "/v1/messages")
    assert chat.chunks.count(b": keep-alive\n\n") == 2
    assert messages.chunks.count(b'event: ping\ndata: {"type": "ping"}\n\n') == 2


async def test_https(tmp_path: Path) -> None:
    certificate, key = write_self_signed(tmp_path)
    trust = ssl.create_default_context(cafile=str(certificate))
    async with (
        Simulator(NOW, tls=server_context(certificate, key)) as simulator,
        aiohttp.ClientSession() as session,
        session.post(simulator.url + CHAT, json={"stream": True}, ssl=trust) as response,
    ):
        assert simulator.url.startswith("https://")
        assert (await response.read()).endswith(b"[DONE]\n\n")
    with pytest.raises(ConfigError, match="cannot use"):
        server_context(key, key)


async def test_requests_beyond_the_capacity_wait_their_turn(fetch: Fetch) -> None:
    async with Simulator(Plan(ttft_s=0.03, tokens=1), capacity=1) as simulator:
        answers = await asyncio.gather(*(fetch(simulator) for _ in range(3)))
        entries = list(simulator.ledger)
    assert all(answer.complete for answer in answers)
    entries.sort(key=lambda entry: entry.started_ns)
    for before, after in pairwise(entries):
        assert after.started_ns >= before.token_ns[0]
        assert after.received_ns < after.started_ns
    assert all(entry.planned_ns[-1] - entry.started_ns == 30_000_000 for entry in entries)
    with pytest.raises(ConfigError, match="capacity is 0"):
        Simulator(capacity=0)


async def test_a_stall_holds_everything_up(fetch: Fetch) -> None:
    plan = Plan(ttft_s=0.03, tokens=1)
    async with Simulator(plan) as simulator, aiohttp.ClientSession() as session:
        url = simulator.url + "/stall"
        async with session.post(url, json={"seconds": 0.08}) as response:
            assert response.status == 202
        await fetch(simulator)
        entry = simulator.ledger.last
        async with session.post(url, json={"seconds": 1e9}) as response:
            assert response.status == 400
    assert (entry.token_ns[0] - entry.started_ns) / 1e6 > 60


@pytest.mark.server
def test_a_process_of_its_own() -> None:
    with SimulatorProcess(NOW.with_changes({"text": "é 👩\u200d🚀"})) as process:
        pid = process.pid
        request = Request(
            process.url + CHAT,
            data=b'{"stream": true}',
            headers={"Content-Type": "application/json", "x-request-id": "r/1"},
        )
        with urlopen(request) as response:
            assert "é".encode() in response.read()
        assert process.read_ledger("r/1")["text"] == "é 👩\u200d🚀"
        with pytest.raises(HTTPError, match="404"):
            process.read_ledger("absent")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.server
def test_a_process_takes_a_long_plan_and_much_noise() -> None:
    text = "long " * 60_000
    with SimulatorProcess(NOW.with_changes({"text": text, "events_per_write": 64})) as process:
        host, port = process.url.removeprefix("http://").split(":")
        for _ in range(300):
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(b"nonsense\r\n\r\n")
                connection.recv(1000)
        request = Request(process.url + "/v1/messages", data=b"{}")
        with urlopen(request) as response:
            assert json.load(response)["content"][0]["text"] == text


@pytest.mark.server
def test_a_process_that_cannot_start_says_why() -> None:
    with pytest.raises(ConfigError, match="is no folder"):
        SimulatorProcess(options=["--recordings", "/nowhere"]).start()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--plan", "{"], "bad plan"),
        (["--plan", '{"token": 1}'], "unknown field `token`"),
        (["--plan", "@/nowhere"], "cannot read /nowhere"),
        (["--tokens", "-1"], "tokens is -1"),
        (["--host", "256.0.0.1"], "cannot listen"),
        (["--tls-key", "k"], "need each other"),
        (["--plan", '{"plans": [{}]}', "--tokens", "1"], "takes no options"),
        (["--plan", '{"plans": []}'], "give at least one"),
    ],
)
def test_bad_options_get_one_line(arguments: list[str], complaint: str) -> None:
    result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == (1 if "--host" in arguments else 2)
    assert complaint in result.output
    assert len(result.output.splitlines()) == 1
