"""Real servers for the end-to-end tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.llamacpp import LlamaServer
from tests.end_to_end.tiny_models import random_model, scripted_model
from tokenline_stages.simulator import Plan, SimulatorProcess


@pytest.fixture(scope="session")
def scripted_llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    folder: Path = tmp_path_factory.mktemp("scripted")
    scripted_model(folder / "model.gguf")
    server = LlamaServer(folder / "model.gguf", folder / "log.txt", jinja=True)
    yield server
    server.close()


@pytest.fixture(scope="session")
def random_llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaServer]:
    folder: Path = tmp_path_factory.mktemp("random")
    random_model(folder / "model.gguf")
    server = LlamaServer(folder / "model.gguf", folder / "log.txt", jinja=False)
    yield server
    server.close()


@pytest.fixture(scope="session")
def simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(Plan(ttft_s=0.01, inter_token_s=0.002, tokens=12)) as process:
        yield process
