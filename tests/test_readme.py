"""The README's examples run as they stand."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokenline_stages.simulator import Plan, SimulatorProcess

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(Plan(ttft_s=0.01, inter_token_s=0.001, text="Hello to you")) as process:
        yield process


def execute(code: str, **environment: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_first_example_streams_and_tells_its_ttft(simulator: SimulatorProcess) -> None:
    said = execute(BLOCKS[0], OPENAI_API_KEY="x", OPENAI_BASE_URL=simulator.openai_base_url)
    assert said.startswith("Hello to you")
    assert "stop" in said
    ttft = re.search(r"first token after ([\d.e-]+) s", said)
    assert ttft is not None
    assert 0.005 < float(ttft[1]) < 10


def test_the_example_is_short() -> None:
    code = [line for line in BLOCKS[0].splitlines() if line.strip()]
    assert len(code) <= 15


def test_the_builder_example_prints_its_graph() -> None:
    said = execute(BLOCKS[1])
    for word in ("source", "parser", "normalizer", "fan-out", "consumer", "accumulator", "log"):
        assert word in said
    assert "drop_oldest" in said


def test_the_careful_connection_is_made() -> None:
    assert execute(BLOCKS[2] + "\nprint(line.pipeline({'messages': []}).fallbacks[0].name)") == (
        "anthropic\n"
    )
