"""What the documentation promises: a TTFT test in five lines, run as it stands there."""

import re
from pathlib import Path
from typing import Any

import pytest

from tokenline_stages.simulator import SimulatorProcess

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarking.md"


def test_ttft_test_of_the_documentation(
    simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "right")
    blocks = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if "def test_ttft" in block]
    assert len([line for line in block.splitlines() if line.strip()]) <= 5
    names: dict[str, Any] = {"URL": simulator.openai_base_url}
    exec(block, names)
    names["test_ttft"]()
