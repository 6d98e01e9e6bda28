"""What docs/reliability.md says is so: its shutdown example, its tables."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest

from tokenline import Limits, Timeouts, errors
from tokenline_stages.simulator import Plan, SimulatorProcess
from tokenline_stages.simulator.faults import Silence

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
SHUTDOWN = next(code for code in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
                if "SIGTERM" in code)  # fmt: skip
WORDS = "some words that take a while"
WAIT_S = 30.0


def outcomes(simulator: SimulatorProcess) -> list[str]:
    with urlopen(f"{simulator.url}/ledger") as response:
        return [entry["outcome"] for entry in msgspec.json.decode(response.read())]


@contextmanager
def shutdown_example(
    simulator: SimulatorProcess, drain_s: float
) -> Iterator[subprocess.Popen[str]]:
    """The example, its three streams under way."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    process = subprocess.Popen(
        [sys.executable, "-c", SHUTDOWN.replace("DRAIN_S = 20.0", f"DRAIN_S = {drain_s}")],
        env={**kept, "OPENAI_API_KEY": "x", "OPENAI_BASE_URL": simulator.openai_base_url},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + WAIT_S
        while outcomes(simulator) != ["open"] * 3:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.server
def test_sigterm_lets_streams_end() -> None:
    plan = Plan(ttft_s=1.0, inter_token_s=0.05, text=WORDS)
    with SimulatorProcess(plan) as simulator, shutdown_example(simulator, 20.0) as process:
        process.send_signal(signal.SIGTERM)
        said, complaints = process.communicate(timeout=WAIT_S)
        assert outcomes(simulator) == ["complete"] * 3
    assert process.returncode == 0
    assert said.splitlines() == [WORDS] * 3
    assert complaints == ""


@pytest.mark.server
def test_sigterm_does_not_wait_for_ever() -> None:
    plan = Plan(ttft_s=0.01, inter_token_s=0.0, faults=(Silence(after_tokens=1),))
    with SimulatorProcess(plan) as simulator, shutdown_example(simulator, 0.2) as process:
        sent = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said, complaints = process.communicate(timeout=WAIT_S)
        took_s = time.monotonic() - sent
        assert outcomes(simulator) == ["client_gone"] * 3
    assert process.returncode == 0
    assert said == complaints == ""
    assert 0.2 <= took_s < 5.0


def test_every_error_is_in_the_table() -> None:
    known = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.StreamError)
    } - {"StreamError", "StreamTimeoutError"}
    rows = dict(re.findall(r"^\| `(\w+Error)` \| .* \| (yes|no) \|$", TEXT, re.MULTILINE))
    assert set(rows) == known
    retryable = {name for name, word in rows.items() if word == "yes"}
    assert retryable == {name for name in known if getattr(errors, name).retryable}


def test_every_time_limit_and_its_default_is_in_the_table() -> None:
    rows = dict(re.findall(r"^\| `(\w+_s)` \| ([\w ]+) \|", TEXT, re.MULTILINE))
    assert set(rows) == set(Timeouts.model_fields)
    for name, words in rows.items():
        default = getattr(Timeouts(), name)
        assert words == ("none" if default is None else f"{default:g} s")


def test_every_limit_is_in_the_table() -> None:
    assert all(f"{name}`)" in TEXT for name in Limits.model_fields)


def test_tests_that_are_named_are_there() -> None:
    named = re.findall(r"`(test_\w+)` in `([\w/]+\.py)`", TEXT)
    assert len(named) >= 25
    for test, path in named:
        assert f"def {test}(" in (ROOT / "tests" / path).read_text(encoding="utf-8"), test
