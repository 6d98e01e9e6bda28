"""However a run is left, the provider's socket is closed within 50 ms."""

import asyncio
import logging
from collections.abc import Callable
from statistics import median

import pytest

from tests.end_to_end.leaving import WAYS, llama_delay_ms, simulator_delay_ms
from tests.end_to_end.llamacpp import LlamaServer
from tokenline import HedgePolicy, RunOptions
from tokenline.run import Run
from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, Fallback, connect
from tokenline_stages.simulator import Plan, Simulator
from tokenline_stages.simulator.faults import DelayHeaders, Silence

pytestmark = pytest.mark.anyio

BOUND_MS = 50.0
ROUNDS = 5
MOST_TRIALS = 20
STATES: dict[str, tuple[Plan, int]] = {
    "before headers": (Plan(faults=(DelayHeaders(delay_s=60),)), 0),
    "silent": (Plan(ttft_s=0, inter_token_s=0, faults=(Silence(after_tokens=2),)), 2),
    "streaming": (Plan(ttft_s=0, inter_token_s=0.001, tokens=60_000), 2),
}


def runs(connection: Connection, **more: object) -> Callable[[], Run]:
    payload = {"model": "m", "messages": [{"role": "user", "content": "hello"}], **more}
    return lambda: connection.run(payload)


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "sdk"])
@pytest.mark.parametrize("state", list(STATES))
@pytest.mark.parametrize("way", list(WAYS))
async def test_the_socket_is_closed(
    way: str, state: str, direct: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "tokenline")  # a dropped run is warned of
    plan, texts = STATES[state]
    before = asyncio.all_tasks()
    async with (
        Simulator(plan) as simulator,
        connect(
            "openai",
            api_key="x",
            base_url=simulator.openai_base_url,
            direct=direct,
            telemetry=NoTelemetry(),
        ) as connection,
    ):
        make = runs(connection)
        delays_ms = [
            await simulator_delay_ms(WAYS[way], make, simulator, texts) for _ in range(ROUNDS)
        ]
        ours = [t.get_name() for t in asyncio.all_tasks() - before]
        assert not [name for name in ours if name.startswith("tokenline")]
    assert median(delays_ms) <= BOUND_MS, delays_ms


async def test_the_loser_of_a_hedge_is_closed() -> None:
    """From the winner's first token, as the server sent it, to the loser's closed socket."""
    delays_ms = []
    silent, quick = Plan(ttft_s=60), Plan(ttft_s=0, inter_token_s=0.001, tokens=20)
    for _ in range(ROUNDS):
        async with Simulator(silent) as loser, Simulator(quick) as winner:
            spare = connect(
                "openai", api_key="x", base_url=winner.openai_base_url, telemetry=NoTelemetry()
            )
            async with connect(
                "openai",
                api_key="x",
                base_url=loser.openai_base_url,
                telemetry=NoTelemetry(),
                options=RunOptions(hedge=HedgePolicy(after_s=0.02)),
                fallbacks=[Fallback(spare)],
            ) as connection:
                async with runs(connection)() as run:
                    assert (await run.result()).text == winner.ledger.last.text
                entry = loser.ledger.last
                async with asyncio.timeout(5):
                    while entry.ended_ns is None:
                        await asyncio.sleep(0)
            await spare.aclose()
        assert entry.outcome == "client_gone"
        delays_ms.append((entry.ended_ns - winner.ledger.last.token_ns[0]) / 1e6)
    assert median(delays_ms) <= BOUND_MS, delays_ms


@pytest.mark.server
@pytest.mark.parametrize("way", list(WAYS))
async def test_llamacpp_stops_its_work(
    way: str, random_llama: LlamaServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "tokenline")
    async with connect(
        "openai", api_key="x", base_url=f"{random_llama.url}/v1", telemetry=NoTelemetry()
    ) as connection:
        make = runs(connection, max_tokens=3000, ignore_eos=True)
        delays_ms = [await llama_delay_ms(WAYS[way], make, random_llama)]
        # It notices when it writes its next token: on a busy machine that is late, whatever we do.
        while min(delays_ms) > BOUND_MS and len(delays_ms) < MOST_TRIALS:
            delays_ms.append(await llama_delay_ms(WAYS[way], make, random_llama))
    assert min(delays_ms) <= BOUND_MS, delays_ms
