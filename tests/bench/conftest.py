"""A simulated provider in a process of its own, and endpoints of it."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tokenline_bench.config import Endpoint
from tokenline_stages.cli import main
from tokenline_stages.simulator import Plan, SimulatorProcess

Tokenline = Callable[..., tuple[int, str, str]]
QUICK: dict[str, Any] = {"ttft_s": 0.02, "inter_token_s": 0.002, "tokens": 6}


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorProcess]:
    """Answers by the plan that a request brings, else quickly; knows one key."""
    with SimulatorProcess(Plan(**QUICK), options=["--api-key", "right"]) as process:
        yield process


class Endpoints:
    """Makes endpoints of a simulator."""

    def __init__(self, simulator: SimulatorProcess) -> None:
        self._simulator = simulator

    def __call__(
        self, provider: str = "openai", label: str = "", key: str = "right", **plan: Any
    ) -> Endpoint:
        base = self._simulator
        url = base.anthropic_base_url if provider == "anthropic" else base.openai_base_url
        return Endpoint(
            model="m",
            provider=provider,
            label=label,
            base_url=url,
            api_key=key,
            body={"tokenline_plan": plan} if plan else {},
        )


@pytest.fixture
def endpoint(simulator: SimulatorProcess) -> Endpoints:
    """Makes endpoints; keyword arguments change the plan."""
    return Endpoints(simulator)


@pytest.fixture
def tokenline(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Tokenline:
    """Runs the command line in this process; gives exit code, output and errors."""
    for name in list(os.environ):
        if name.startswith("OTEL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("OPENAI_API_KEY", "right")
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = 0
        try:
            main(list(arguments))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(bool(ended.code))
        return (code, *capfd.readouterr())

    return run
