"""The comparison with other libraries, on our own clients: its table says what happened."""

import asyncio
from pathlib import Path

import pytest
from benchmarks.behaviour.__main__ import compare
from benchmarks.behaviour.clients import CLIENTS, Environments
from benchmarks.behaviour.judging import PROMPT_MS, Row
from benchmarks.behaviour.scenarios import SCENARIOS
from benchmarks.behaviour.table import markdown

pytestmark = pytest.mark.server

NAMES = ("cut", "error_first", "cut_arguments", "leave")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Row]]:
    folder: Path = tmp_path_factory.mktemp("behaviour")
    ours = [client for client in CLIENTS if client.environment is None]
    scenarios = [scenario for scenario in SCENARIOS if scenario.name in NAMES]
    found: dict[str, list[Row]] = asyncio.run(
        compare(ours, scenarios, Environments(folder), folder / "log.txt")
    )
    assert "StreamCutError" in markdown(found, scenarios, {"tokenline": "0"})
    return found


def test_a_cut_stream_is_an_error_that_keeps_the_text(rows: dict[str, list[Row]]) -> None:
    for row in rows["cut"]:
        assert row.observation.error == "tokenline.errors.StreamCutError"
        assert row.kept.startswith("text")
        assert row.noticed_ms is not None
        assert row.noticed_ms < 1000


def test_an_error_before_any_content_is_not_seen(rows: dict[str, list[Row]]) -> None:
    assert [(row.sees, row.requests) for row in rows["error_first"]] == [
        ("the whole answer", 2)
    ] * 2


def test_cut_arguments_are_not_offered_to_run(rows: dict[str, list[Row]]) -> None:
    assert all("parsed None, complete=False" in row.sees for row in rows["cut_arguments"])


def test_leaving_closes_the_socket_and_leaves_no_task(rows: dict[str, list[Row]]) -> None:
    for row in rows["leave"]:
        assert row.closed_ms is not None
        assert row.closed_ms < PROMPT_MS
        assert row.tasks_left == 0
