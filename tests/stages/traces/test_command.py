"""`tokenline traces` as a user meets it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.pipeline.telemetry.factory import run_info, run_record

from tokenline.errors import ServerError
from tokenline.events import Usage
from tokenline.record import Outcome
from tokenline.result import Result, TextPart, ToolCall
from tokenline_stages.cli import main
from tokenline_stages.traces import traces

Tokenline = Callable[..., tuple[int, str, str]]

RESULT = Result(
    message_id="m",
    content=(
        TextPart(text="Hello \x1b[31mred\x1b[0m [bold]world[/bold]"),
        ToolCall(part=1, id="call_1", name="search", arguments='{"q": "cats'),
    ),
)


@pytest.fixture
def tokenline(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Tokenline:
    """Runs the command in this process; gives code, output and complaints."""
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = 0
        try:
            main(["traces", *arguments])
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        return code, *capfd.readouterr()

    return run


@pytest.fixture(params=["traces.db", "traces.jsonl"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store with three runs."""
    path = tmp_path / request.param
    trace_store = traces(path)
    trace_store.prepare()
    changes: list[dict[str, Any]] = [
        {"result": RESULT},
        {"outcome": Outcome.ERROR, "error": ServerError("it fell over"), "response_model": "other"},
        {"usage": Usage(input_tokens=7, output_tokens=8), "usage_estimated": True},
    ]
    for i, change in enumerate(changes):
        info = run_info(
            message_id=f"message-{i}",
            tags={"run_id": "run-7", "team": "blue"},
            anchor_wall_ns=1_900_000_000_000_000_000 + i * 1_000_000_000,
        )
        trace_store(run_record(info, **change))
    assert trace_store.close(10)
    return str(path)


def test_the_list_shows_the_latest_first(tokenline: Tokenline, store: str) -> None:
    code, out, complaints = tokenline(store)
    assert (code, complaints) == (0, "")
    head, *lines = out.splitlines()
    headings = "id started (UTC) model outcome TTFT s total s in out ended with"
    assert head.split() == headings.split()
    assert len(lines) == 3
    first, second, third = (line.split() for line in lines)
    assert first[3:] == ["gpt-test-2026", "ok", "0.500", "1.990", "~7", "~8", "-"]
    assert second[3:] == ["other", "error", "0.500", "1.990", "100", "51", "ServerError"]
    assert third[3:8] == ["gpt-test-2026", "ok", "0.500", "1.990", "100"]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--model", "other"], 1),
        (["--model", "gpt*"], 2),
        (["--outcome", "error"], 1),
        (["--outcome", "error", "--outcome", "ok"], 3),
        (["--slow", "0.4"], 3),
        (["--slow", "0.6"], 0),
        (["--since", "2030-03-17T17:46:41"], 2),
        (["--until", "2030-03-17T17:46:41"], 1),
        (["--run", "run-7", "--limit", "2"], 2),
        (["--provider", "anthropic"], 0),
    ],
    ids=str,
)
def test_filters(tokenline: Tokenline, store: str, options: list[str], count: int) -> None:
    code, out, _ = tokenline(store, *options)
    assert code == 0
    assert len(out.splitlines()) == (count + 1 if count else 1)
    if not count:
        assert out == "no traces match\n"


def test_json_gives_whole_records(tokenline: Tokenline, store: str) -> None:
    code, out, _ = tokenline(store, "--json")
    assert code == 0
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["ids"]["message_id"] for record in records] == [
        f"message-{i}" for i in (2, 1, 0)
    ]
    assert records[2]["response"]["content"][0]["text"] == RESULT.text


def test_one_record_in_full(tokenline: Tokenline, store: str) -> None:
    code, out, _ = tokenline(store, "show", "message-0")
    assert code == 0
    for expected in (
        "2030-03-17 17:46:40",
        "openai (openai.chat)",
        "run-7",
        "blue",
        "100 in, 40 cached, 51 out, 10 reasoning",
        '"max_completion_tokens": 64',
        "[bold]world[/bold]",
        "[tool_call search (incomplete)]",
        '{"q": "cats',
        "parser",
    ):
        assert expected in out, expected
    assert "\x1b" not in out


def test_an_error_is_shown(tokenline: Tokenline, store: str) -> None:
    _, out, _ = tokenline(store, "show", "message-1")
    assert "ServerError: it fell over" in out


def test_one_record_as_json(tokenline: Tokenline, store: str) -> None:
    code, out, _ = tokenline(store, "show", "message-0", "--json")
    assert code == 0
    assert json.loads(out)["ids"]["run_id"] == "run-7"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "nothing"], "no trace 'nothing' in the store"),
        (["show", "trace-"], "fits 3 traces"),
        (["show"], "`show ID` or nothing"),
        (["drop", "it"], "`show ID` or nothing"),
        (["--since", "whenever"], "'whenever' is no time"),
    ],
    ids=str,
)
def test_mistakes_get_one_line(
    tokenline: Tokenline, store: str, arguments: list[str], says: str
) -> None:
    code, out, complaint = tokenline(store, *arguments)
    assert (code, out) == (2, "")
    assert complaint.startswith("error: ")
    assert says in complaint
    assert len(complaint.splitlines()) == 1


@pytest.mark.parametrize("name", ["none.db", "none.jsonl", "none.txt", "mysql://host/db"])
def test_no_store(tokenline: Tokenline, tmp_path: Path, name: str) -> None:
    code, _, complaint = tokenline(name if "://" in name else str(tmp_path / name))
    assert code == 2
    assert complaint.startswith("error: no traces")


def test_an_unreachable_database_gets_one_line(tokenline: Tokenline) -> None:
    code, _, complaint = tokenline("postgresql://me:hunter22@127.0.0.1:1/db")
    assert code == 2
    assert "cannot read traces from postgresql+asyncpg://me:***@127.0.0.1:1/db" in complaint
    assert "hunter22" not in complaint
    assert len(complaint.splitlines()) == 1


def test_what_is_no_record_is_told(tokenline: Tokenline, store: str) -> None:
    if store.endswith("jsonl"):
        with Path(store).open("a") as file:
            file.write("{not json}\n")
        code, out, complaint = tokenline(store)
        assert code == 0
        assert len(out.splitlines()) == 4
        assert complaint == "warning: 1 entries are no readable records and were left out\n"
