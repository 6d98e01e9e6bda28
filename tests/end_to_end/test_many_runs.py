"""Many runs on one connection, and one connection on several event loops."""

import asyncio
import gc
import os

import pytest

from tests.stages.http.servers import Server, read_request
from tests.stages.http.wires import CHUNKED, in_chunks
from tokenline.limiter import Bounds, Limiter
from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Plan, SimulatorProcess

PAYLOAD = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"fine"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)
ways = pytest.mark.parametrize("direct", [True, False], ids=["direct", "sdk"])


async def text_of(connection: Connection) -> str:
    async with connection.run(PAYLOAD) as run:
        return (await run.result()).text


@ways
@pytest.mark.anyio
async def test_runs_share_their_connections(direct: bool) -> None:
    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        while True:
            await read_request(reader)
            writer.write(CHUNKED + in_chunks(EVENTS))

    async with (
        Server(answer) as server,
        connect(
            "openai",
            api_key="x",
            base_url=f"{server.url}v1",
            direct=direct,
            telemetry=NoTelemetry(),
            limiter=Limiter(Bounds(max_streams=4)),
        ) as connection,
    ):
        texts = await asyncio.gather(*(text_of(connection) for _ in range(100)))
        assert texts == ["fine"] * 100
        assert server.connections <= 4


@ways
@pytest.mark.server
@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files by /proc")
def test_a_connection_outlives_event_loops(direct: bool) -> None:
    """Each loop gets a client of its own; sockets of ended loops are closed."""
    with SimulatorProcess(Plan(ttft_s=0, inter_token_s=0, text="fine")) as simulator:
        connection = connect(
            "openai",
            api_key="x",
            base_url=simulator.openai_base_url,
            direct=direct,
            telemetry=NoTelemetry(),
            limiter=Limiter(Bounds(max_streams=4)),
        )

        async def main() -> list[str]:
            return await asyncio.gather(*(text_of(connection) for _ in range(20)))

        assert asyncio.run(main()) == ["fine"] * 20
        gc.collect()
        open_files = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            assert asyncio.run(main()) == ["fine"] * 20
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) <= open_files
