"""`tokenline conformance` as a user meets it: lines, last line, exit code, report."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tokenline_stages.cli import main

from .conftest import HELLO_EXPECTED, Write

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def conformance(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process; gives exit code, output and error output."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["conformance", *map(str, arguments)])
        code = ended.value.code
        return (code if isinstance(code, int) else 0, *capfd.readouterr())

    return run


def test_all_is_well(tmp_path: Path, write: Write, conformance: Command) -> None:
    write("a")
    write("b", "openai.compat:nobody-knows")
    assert conformance(tmp_path) == (0, "2 passed, 0 failed\n", "")


def test_failures_are_lines(tmp_path: Path, write: Write, conformance: Command) -> None:
    write("a")
    write("b", expected=HELLO_EXPECTED | {"model": "m-2"})
    write("c", "acme.chat")
    code, out, err = conformance(tmp_path, "--quick", "--no-http")
    lines = out.splitlines()
    assert (code, err, lines[-1]) == (1, "", "1 passed, 2 failed")
    assert lines[0] == "b  model: expected 'm-2', got 'm-1' [whole]"
    assert lines[1].startswith("c  unknown API 'acme.chat'; known: openai.chat, ")
    assert len(lines) == 3


def test_filter(tmp_path: Path, write: Write, conformance: Command) -> None:
    for name in ("chat.a", "chat.b", "other.a"):
        write(name)
    assert conformance(tmp_path, "--filter", "chat", "--no-http")[1] == "2 passed, 0 failed\n"
    assert conformance(tmp_path, "--filter", "*.a", "--no-http")[1] == "2 passed, 0 failed\n"
    code, out, err = conformance(tmp_path, "--filter", "nothing")
    assert (code, out) == (2, "")
    assert err == f"error: no recording in {tmp_path} matches 'nothing'\n"


def test_report(tmp_path: Path, write: Write, conformance: Command) -> None:
    write("a")
    write("b", expected={"text": "x", "chunks": 4})
    report = tmp_path / "report.out"
    code, out, _ = conformance(tmp_path, "--quick", "--json", report)
    assert (code, out.splitlines()[-1]) == (1, "1 passed, 1 failed")
    found = json.loads(report.read_bytes())
    assert (found["passed"], found["failed"]) == (1, 1)
    good, bad = found["recordings"]
    assert good["passed"] is True
    assert good["checks"] == ["whole", "3 random cuts", "byte by byte", "http"]
    assert good["events"] == 10
    assert good["unknown_events"] == 0
    assert bad["not_compared"] == ["chunks"]
    assert bad["failures"] == [
        {"check": "whole", "field": "text", "expected": "x", "got": "Grüße 👋"}
    ]


def test_report_on_standard_output(tmp_path: Path, write: Write, conformance: Command) -> None:
    write("a", expected={"text": "x"})
    code, out, err = conformance(tmp_path, "--no-http", "--quick", "--json", "-")
    assert code == 1
    assert json.loads(out)["failed"] == 1
    assert err.splitlines()[-1] == "0 passed, 1 failed"


def test_folders_and_files_that_are_not_there(
    tmp_path: Path, write: Write, conformance: Command
) -> None:
    code, out, err = conformance(tmp_path / "none")
    assert (code, out) == (2, "")
    assert err == f"error: {tmp_path / 'none'} is no folder; give one with recordings\n"
    code, _, err = conformance(tmp_path)
    assert code == 2
    assert err.startswith(f"error: {tmp_path} has no recordings")
    write("a")
    code, _, err = conformance(tmp_path, "--no-http", "--json", tmp_path / "none" / "x")
    assert code == 2
    assert "cannot write" in err
    assert len(err.splitlines()) == 1
