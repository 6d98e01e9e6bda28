"""A thousand requests against everything that can go wrong end with the counts of the server."""

from collections import Counter
from urllib.request import urlopen

import msgspec

from tokenline_bench import measure
from tokenline_bench.config import Endpoint, FixedPrompt
from tokenline_stages.simulator import Plan, PlanMix, SimulatorProcess, chaos_mix
from tokenline_stages.simulator.faults import OversizedEvent

STATUSES = {
    429: "RateLimitError",
    500: "server",
    502: "server",
    529: "server",
    307: "NotAStreamError",
}
ERRORS = {
    "cut": "StreamCutError",
    "reset": "StreamCutError",
    "silence": "RequestTimeout",
    "malformed_event": "MalformedStreamError",
    "error_event": "server",
    "huge_headers": "LimitExceededError",
    "wrong_content_type": "NotAStreamError",
}
KINDS = {"ServerError": "server", "OverloadedError": "server"}
"""What is one kind here: the wording of a 5xx decides between the two."""
HARMLESS = {(), ("delay",), ("delay_headers",), ("slow_loris",)}


def test_error_counts_are_the_servers() -> None:
    """Events of 20 MB are left out: they take a second each to send."""
    mix = chaos_mix(Plan(ttft_s=0.005, inter_token_s=0.0, tokens=12), seed=11)
    plans = tuple(p for p in mix.plans if not any(isinstance(f, OversizedEvent) for f in p.faults))
    mix = PlanMix(plans=plans, seed=11)
    with SimulatorProcess(mix) as simulator:
        report = measure(
            Endpoint(model="m", base_url=simulator.openai_base_url, api_key="x"),
            work=FixedPrompt(text="hello"),
            requests=1000,
            concurrency=40,
            timeout_s=3.0,
            warmup=0,
            check=False,
        )
        with urlopen(f"{simulator.url}/ledger") as response:
            ledger = msgspec.json.decode(response.read())
    found = report.levels[0].endpoint()
    assert len(ledger) == found.requests == 1000
    assert set(found.outcomes) == {"ok", "error", "timeout"}
    faults = Counter(tuple(entry["faults"]) for entry in ledger)
    statuses = Counter(entry["status"] for entry in ledger)
    assert found.outcomes["timeout"] == faults["silence",]
    assert found.outcomes["ok"] >= sum(faults[each] for each in HARMLESS)
    types = Counter[str]()
    for error in found.errors:
        types[KINDS.get(error.type, error.type)] += error.count
        assert error.example.isprintable()
        assert "Traceback" not in error.example
    least = Counter[str]()
    for status, name in STATUSES.items():
        least[name] += statuses[status]
    for fault, name in ERRORS.items():
        least[name] += faults[fault,]
    for name, count in least.items():
        assert types[name] >= count, (name, types, least)
    assert sum(types.values()) + found.outcomes["ok"] == 1000
    assert found.metrics["ttft"].n == found.outcomes["ok"]
