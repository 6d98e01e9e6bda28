"""What the documentation promises: a TTFT test in five lines."""

from tokenline_bench import Endpoint, measure
from tokenline_stages.simulator import SimulatorProcess


def test_ttft(simulator: SimulatorProcess) -> None:
    endpoint = Endpoint(model="m", base_url=simulator.openai_base_url, api_key="right")
    report = measure(endpoint, requests=20, concurrency=2)
    assert report.ttft.at(0.9).value < 500e6
