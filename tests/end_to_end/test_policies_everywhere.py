"""Retries, fallbacks and time limits are honoured by every API, with an SDK and without."""

from dataclasses import dataclass
from typing import Any

import pytest

from tokenline import RetryPolicy, RunOptions, Timeouts
from tokenline.errors import FirstTokenTimeoutError
from tokenline.telemetry import NoTelemetry
from tokenline_stages import Connection, Fallback, connect
from tokenline_stages.simulator import Plan, PlanMix, Simulator
from tokenline_stages.simulator.faults import Cut, ErrorEvent, Fault, HttpError

pytestmark = pytest.mark.anyio

HELLO: list[Any] = [{"role": "user", "content": "hi"}]
CLEAN = Plan(ttft_s=0, inter_token_s=0, text="all is well")
AWS = {"aws_region": "r", "aws_access_key": "k", "aws_secret_key": "s"}


@dataclass(frozen=True)
class Api:
    """How to ask one API."""

    provider: str
    payload: dict[str, Any]
    path: str = ""
    direct: bool | None = True
    client_options: dict[str, Any] | None = None

    def connect(self, url: str, **more: Any) -> Connection:
        return connect(
            self.provider,
            api_key=None if self.client_options else "x",
            base_url=url + self.path,
            direct=self.direct,
            client_options=self.client_options or {},
            telemetry=NoTelemetry(),
            **more,
        )


CHAT = {"model": "m", "messages": HELLO}
MESSAGES = {**CHAT, "max_tokens": 99}
APIS = {
    "chat": Api("openai", CHAT, "/v1"),
    "chat, sdk": Api("openai", CHAT, "/v1", False),
    "responses": Api("openai", {"model": "m", "input": "hi"}, "/v1"),
    "responses, sdk": Api("openai", {"model": "m", "input": "hi"}, "/v1", False),
    "messages": Api("anthropic", MESSAGES),
    "messages, sdk": Api("anthropic", MESSAGES, "", False),
    "gemini": Api("gemini", {"model": "m", "contents": [{"parts": [{"text": "hi"}]}]}),
    "ollama": Api("ollama", CHAT),
    "bedrock": Api("bedrock", {**MESSAGES, "model": "anthropic.m"}, "", None, AWS),
}
FAULTS: dict[str, Fault] = {
    "http 500": HttpError(status=500),
    "http 503": HttpError(status=503, body="html"),
    "error event": ErrorEvent(at_event=0),
    "cut": Cut(at_byte=0),
}
apis = pytest.mark.parametrize("api", APIS.values(), ids=list(APIS))


def first_only(fault: Fault) -> PlanMix:
    """The fault at the first request, none later."""
    faulty = Plan(ttft_s=0, inter_token_s=0, faults=(fault,))
    orders = (PlanMix(plans=(faulty, CLEAN), seed=seed) for seed in range(1000))
    return next(m for m in orders if [m.choose(n) is faulty for n in range(3)] == [True, 0, 0])


@apis
@pytest.mark.parametrize("fault", list(FAULTS))
async def test_what_fails_before_any_content_is_asked_again(api: Api, fault: str) -> None:
    options = RunOptions(retry=RetryPolicy(attempts=2, initial_wait_s=0, jitter_s=0))
    async with (
        Simulator(first_only(FAULTS[fault])) as simulator,
        api.connect(simulator.url, options=options) as connection,
        connection.run(api.payload) as run,
    ):
        texts = "".join([text async for text in run.text_stream()])
        assert len(simulator.ledger) == 2
    assert texts == "all is well"


@apis
async def test_a_fallback_takes_over(api: Api) -> None:
    broken = Plan(ttft_s=0, inter_token_s=0, faults=(ErrorEvent(at_event=0),))
    options = RunOptions(retry=RetryPolicy(attempts=1))
    async with Simulator(broken) as simulator, Simulator(CLEAN) as spare_simulator:
        spare = connect(
            "anthropic", api_key="x", base_url=spare_simulator.url, telemetry=NoTelemetry()
        )
        fallbacks = [Fallback(spare, lambda payload: MESSAGES)]
        async with (
            spare,
            api.connect(simulator.url, options=options, fallbacks=fallbacks) as connection,
            connection.run(api.payload) as run,
        ):
            assert (await run.result()).text == "all is well"
        assert (len(simulator.ledger), len(spare_simulator.ledger)) == (1, 1)


@apis
async def test_the_first_token_has_a_limit(api: Api) -> None:
    options = RunOptions(timeouts=Timeouts(first_token_s=0.1))
    async with (
        Simulator(Plan(ttft_s=60, ping_every_s=0.02)) as simulator,
        api.connect(simulator.url, options=options) as connection,
        connection.run(api.payload) as run,
    ):
        with pytest.raises(FirstTokenTimeoutError):
            await run.result()
