"""What goes wrong: one plan of the simulator and one thing that the user does, each."""

from __future__ import annotations

from dataclasses import dataclass

from tokenline_stages.simulator import Plan, PlanMix, ToolCall
from tokenline_stages.simulator.faults import Cut, ErrorEvent, Fault, Silence, WrongLength

LIMIT_S = 1.0
WATCH_S = 4.0
LINGER_S = 1.0
PAUSE_S = 2.0
LEAVE_CHARS = 40
INPUT_TOKENS = 4321
"""What the server reports, so that a library's own count is told from it."""
CUT_ARGUMENTS = '{"account": "12345", "amount": 10'


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the comparison for every client.

    Attributes:
        name: for `--only` and JSON.
        title: for the table.
        plan: what the server does.
        action: what the user does, see `peers.observing.Job`.
        fault_at: what noticing is measured from: `write` (the last one), `content` (the last),
            `end` (the server's closing) or `request`; None if there is nothing to notice.
        limit_s: time limit to set; None leaves the client's defaults.
        tools: offer a tool.
    """

    name: str
    title: str
    plan: Plan | PlanMix
    action: str = "read"
    fault_at: str | None = None
    limit_s: float | None = None
    tools: bool = False


def _plan(*faults: Fault, tokens: int = 40, **changes: object) -> Plan:
    plan = Plan(
        ttft_s=0.05, inter_token_s=0.005, tokens=tokens, input_tokens=INPUT_TOKENS, faults=faults
    )
    return plan.with_changes(changes)


def _once(faulty: Plan) -> PlanMix:
    """The faulty plan for the first request only."""
    clean = _plan()
    for seed in range(10_000):
        mix = PlanMix(plans=(faulty, clean), seed=seed)
        if [mix.choose(n) is faulty for n in range(6)] == [True] + [False] * 5:
            return mix
    raise RuntimeError("no seed gives that order")


SCENARIOS = (
    Scenario(
        "cut",
        "The connection is cut in the middle of the answer",
        _plan(Cut(after_tokens=20)),
        fault_at="end",
    ),
    Scenario(
        "short",
        "The answer stops in the middle, its HTTP body ends well (a proxy cut it)",
        _plan(WrongLength(delta_bytes=-2500)),
        fault_at="end",
    ),
    Scenario(
        "silent_default",
        f"The provider falls silent; no time limit set, watched for {WATCH_S:g} s",
        _plan(Silence(after_tokens=20)),
        fault_at="write",
    ),
    Scenario(
        "silent_limit",
        f"The provider falls silent; a time limit of {LIMIT_S:g} s is set",
        _plan(Silence(after_tokens=20)),
        fault_at="write",
        limit_s=LIMIT_S,
    ),
    Scenario(
        "pings_only",
        f"Pings but no first token; a time limit of {LIMIT_S:g} s is set,"
        f" watched for {WATCH_S:g} s",
        _plan(ping_every_s=0.2, ttft_s=60.0),
        fault_at="request",
        limit_s=LIMIT_S,
    ),
    Scenario(
        "pings_after",
        f"After some text only pings; a time limit of {LIMIT_S:g} s is set,"
        f" watched for {WATCH_S:g} s",
        _plan(tokens=2, inter_token_s=60.0, ping_every_s=0.2),
        fault_at="content",
        limit_s=LIMIT_S,
    ),
    Scenario(
        "overloaded",
        "The provider reports that it is overloaded in the middle of the answer",
        _plan(ErrorEvent(after_tokens=20)),
        fault_at="write",
    ),
    Scenario(
        "error_first",
        "HTTP 200, then an overloaded error before any content; a second request would succeed",
        _once(_plan(ErrorEvent(at_event=0))),
        fault_at="request",
    ),
    Scenario(
        "cut_arguments",
        f"The output limit cuts a tool call's arguments: `{CUT_ARGUMENTS}`",
        Plan(
            ttft_s=0.05,
            inter_token_s=0.005,
            tokens=0,
            tool_calls=(ToolCall(name="transfer", arguments=CUT_ARGUMENTS),),
            finish_reason="length",
        ),
        tools=True,
    ),
    Scenario(
        "leave",
        "The user leaves early and goes on in the same function",
        _plan(tokens=2000),
        action="leave",
    ),
    Scenario(
        "drop",
        "The user leaves early and returns from the function",
        _plan(tokens=2000),
        action="drop",
    ),
    Scenario(
        "cancel_silent",
        "The reading task is cancelled while the provider is silent",
        _plan(Silence(after_tokens=20)),
        action="cancel",
    ),
    Scenario(
        "slow",
        f"A reader pauses for {PAUSE_S:g} s under a time limit of {LIMIT_S:g} s",
        Plan(ttft_s=0.05, inter_token_s=0.0, tokens=5000),
        action="slow",
        limit_s=LIMIT_S,
    ),
)
