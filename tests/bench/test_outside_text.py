"""What servers and options say is shown and written as it is, and loses no report."""

import csv
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tokenline_bench.output.plain import PlainTable, printable
from tokenline_bench.report import read_report

from .conftest import Tokenline

HOSTILE = "expected [/INST] but [bold]found[/bold] \ud800 \x1b[2J"
ANSWER = (
    b'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


class MoodyServer(ThreadingHTTPServer):
    """Every other answer is an error whose text looks like markup."""

    daemon_threads = True
    asked = 0


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        server: Any = self.server
        server.asked += 1
        if server.asked % 2:
            self._answer(200, "text/event-stream", ANSWER)
            return
        error = {"error": {"message": HOSTILE, "type": "[/x]", "code": "\ud800"}}
        self._answer(400, "application/json", json.dumps(error).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def moody() -> Iterator[str]:
    """Address of a server whose errors look like markup."""
    with MoodyServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("processes", ["0", "1"])
def test_markup_in_errors_and_names_is_shown_as_it_is(
    tokenline: Tokenline, moody: str, tmp_path: Path, processes: str
) -> None:
    code, output, errors = tokenline(
        *("bench", "--base-url", moody, "--model", "[/model]", "--title", "[/title]"),
        *("--endpoint", "label=[/one]", "--endpoint", "label==two[red]", "--no-check"),
        *("--requests", "8", "--warmup", "0", "--processes", processes, "--no-calibrate"),
        *("--out", str(tmp_path / "[out]")),
    )
    assert code == 0, errors
    for text in ("[/one]", "=two[red]", "[/INST]", "[bold]found[/bold]", "[out]"):
        assert text in output.replace("\n", "")
    assert "\x1b[2J" not in output
    report = read_report(tmp_path / "[out]" / "report.json")
    assert "[/INST]" in report.levels[0].endpoints[0].errors[0].example
    assert len((tmp_path / "[out]" / "requests.jsonl").read_text().splitlines()) == 8
    rows = list(csv.DictReader(StringIO((tmp_path / "[out]" / "metrics.csv").read_text())))
    assert {row["endpoint"] for row in rows} == {"[/one]", "'=two[red]"}

    path = str(tmp_path / "[out]" / "report.json")
    code, output, errors = tokenline("bench", "compare", path, path)
    assert code == 0, output + errors
    assert "[/one]" in output


def test_reports_are_saved_before_they_are_shown(
    tokenline: Tokenline, moody: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the terminal is gone")

    monkeypatch.setattr("tokenline_bench.command.running.print_report", fail)
    with pytest.raises(RuntimeError, match="terminal is gone"):
        tokenline(
            *("bench", "--base-url", moody, "--model", "m", "--no-check", "--no-calibrate"),
            *("--requests", "4", "--processes", "0", "--out", str(tmp_path)),
        )
    assert read_report(tmp_path / "report.json").levels
    assert (tmp_path / "report.html").stat().st_size > 0


def test_an_endpoint_that_never_answers_ends_the_run_with_1(
    tokenline: Tokenline, moody: str, tmp_path: Path
) -> None:
    code, _, errors = tokenline(
        *("bench", "--base-url", moody, "--model", "m", "--no-check", "--no-calibrate"),
        *("--endpoint", "label=up", "--endpoint", "label=down,base_url=http://127.0.0.1:9/v1"),
        *("--requests", "8", "--processes", "0", "--quiet", "--out", str(tmp_path)),
    )
    assert code == 1
    assert errors.startswith("error: no request of down ended well: 4 x ")
    assert len(errors.strip().splitlines()) == 1
    assert read_report(tmp_path / "report.json").levels[0].endpoint("up").outcomes["ok"] > 0


def test_tables_obey_nothing() -> None:
    table = PlainTable("[/title]")
    table.add_heading("[/heading]")
    table.add_cells("[/cell] :smile: \x1b]0;x\x07")
    console = Console(file=StringIO(), width=80)
    console.print(table)
    file = console.file
    assert isinstance(file, StringIO)
    shown = file.getvalue()
    for text in ("[/title]", "[/heading]", "[/cell] :smile: ?]0;x?"):
        assert text in shown


def test_printable() -> None:
    assert printable("a\x1b[1m\ud800\nb") == "a?[1m?\nb"
