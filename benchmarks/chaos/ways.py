"""How requests are made: providers, with an SDK and without, and what the provider does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tokenline.options import MIB, Limits, RunOptions
from tokenline.policy import RetryPolicy, Timeouts
from tokenline.telemetry.hook import Telemetry
from tokenline_stages import Connection, connect
from tokenline_stages.simulator import Plan, PlanMix
from tokenline_stages.simulator.chaos import chaos_mix
from tokenline_stages.simulator.faults import DelayHeaders, SlowLoris

TOKENS = 24
HELD_BACK_S = 30.0
"""What no limit on time waits for."""

TIMEOUTS = Timeouts(headers_s=5.0, idle_s=3.0, first_token_s=6.0, stall_s=6.0, total_s=25.0)
IN_TIME_S = 40.0
"""How long one run may take: the longest limit, three attempts of the others, a busy machine."""

_MESSAGES = [{"role": "user", "content": "hello"}]
_CHAT = {"model": "sim", "messages": _MESSAGES}
_ANTHROPIC = {**_CHAT, "max_tokens": 99}
_RESPONSES = {"model": "sim", "input": "hello"}
_GEMINI = {"model": "sim", "contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
_CONVERSE = {"modelId": "sim", "messages": [{"role": "user", "content": [{"text": "hello"}]}]}
_AWS = {
    "client_options": {
        "aws_region": "us-east-1",
        "aws_access_key": "AKIDEXAMPLE",
        "aws_secret_key": "a-secret-that-is-not-one",
    }
}
_SDK = {"direct": False}


@dataclass(frozen=True)
class Way:
    """A provider, how it is reached, and a payload for it.

    Attributes:
        attempts: most requests of one run.
        has_pings: whether this API has a sign of life between events.
        has_last_event: whether one of its events says that nothing more comes.
    """

    name: str
    provider: str
    payload: Mapping[str, Any]
    path: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    attempts: int = 1
    has_pings: bool = True
    has_last_event: bool = True

    @property
    def uses_sdk(self) -> bool:
        """Whether an SDK makes the requests."""
        return self.options.get("direct") is False or "client_options" in self.options

    def connect(self, base_url: str, telemetry: Telemetry, timeouts: Timeouts) -> Connection:
        """A connection to the simulator."""
        return connect(
            self.provider,
            api_key=None if "client_options" in self.options else "a-key-that-is-not-one",
            base_url=base_url + self.path,
            telemetry=telemetry,
            options=RunOptions(
                timeouts=timeouts,
                retry=RetryPolicy(attempts=self.attempts, initial_wait_s=0.05, jitter_s=0.05),
                limits=Limits(max_event_bytes=1 * MIB, max_line_bytes=1 * MIB),
            ),
            **self.options,
        )


WAYS = (
    Way("openai.chat", "openai", _CHAT, "/v1"),
    Way("openai.chat, SDK", "openai", _CHAT, "/v1", _SDK),
    Way("openai.chat, three attempts", "openai", _CHAT, "/v1", attempts=3),
    Way("openai.responses", "openai", _RESPONSES, "/v1"),
    Way("openai.responses, SDK", "openai", _RESPONSES, "/v1", _SDK),
    Way("anthropic", "anthropic", _ANTHROPIC),
    Way("anthropic, SDK", "anthropic", _ANTHROPIC, "", _SDK),
    Way("gemini", "gemini", _GEMINI, has_last_event=False),
    Way("ollama", "ollama-native", {**_CHAT, "stream": True}, has_pings=False),
    Way("bedrock.converse", "bedrock", _CONVERSE, "", _AWS, has_pings=False, has_last_event=False),
)


def plan_mix(seed: int, ttft_s: float = 0.01, inter_token_s: float = 0.002) -> PlanMix:
    """Every fault of the simulator, and four answers that run into one limit on time each."""
    plan = Plan(ttft_s=ttft_s, inter_token_s=inter_token_s, tokens=TOKENS, seed=seed)
    replace = msgspec.structs.replace
    late = (
        replace(plan, faults=(DelayHeaders(delay_s=HELD_BACK_S),)),
        replace(plan, ttft_s=HELD_BACK_S, ping_every_s=0.5),
        replace(plan, inter_token_s=HELD_BACK_S, ping_every_s=0.5),
        replace(plan, faults=(SlowLoris(at_byte=0, interval_s=0.5),)),
    )
    mix = chaos_mix(plan, seed)
    weights = mix.weights or (1.0,) * len(mix.plans)
    return replace(mix, plans=mix.plans + late, weights=weights + (weights[-1] / 2,) * len(late))
