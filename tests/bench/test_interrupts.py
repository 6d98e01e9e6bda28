"""Ctrl-C, once and again and to every process at once: what was measured is in whole files."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tokenline_bench.command.interrupts import Interrupts
from tokenline_bench.output.atomic import write_whole
from tokenline_bench.report import read_report
from tokenline_stages.simulator import SimulatorProcess

from .test_command import options


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _write(path: Path, text: str) -> None:
    path.write_text(text)


def begin(simulator: SimulatorProcess, *more: str) -> subprocess.Popen[str]:
    """A long benchmark in a process group of its own."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "tokenline_stages.cli", *options(simulator)),
            *("--requests", "100000", *more),
        ],
        env={**os.environ, "OPENAI_API_KEY": "right"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], path: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while lines(path) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_ctrl_c_to_the_whole_group_again_and_again(
    simulator: SimulatorProcess, tmp_path: Path, processes: str
) -> None:
    process = begin(simulator, "--processes", processes, "--out", str(tmp_path))
    wait_for(process, tmp_path / "requests.jsonl", 8)
    while not (tmp_path / "report.html").exists() and process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.05)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, output + errors
    assert "Traceback" not in errors
    report = read_report(tmp_path / "report.json")
    assert report.interrupted
    assert report.levels[0].endpoint().outcomes["ok"] >= 4
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"report.json", "requests.jsonl", "metrics.csv", "report.html"}
    for line in (tmp_path / "requests.jsonl").read_text().splitlines():
        json.loads(line)


def test_ctrl_c_while_workers_start_shows_no_traceback(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    process = begin(simulator, "--processes", "2", "--jsonl", str(tmp_path / "r"))
    while not (tmp_path / "r").exists():
        time.sleep(0.005)
    time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_signals_are_counted_and_handlers_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts() as interrupts:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert interrupts.count == 2
    assert signal.getsignal(signal.SIGINT) is before


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_text("old")

    def half(part: Path) -> None:
        part.write_text("ha")
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        write_whole(path, half)
    assert path.read_text() == "old"
    write_whole(path, lambda part: _write(part, "new"))
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "p"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_whole(pipe, lambda path: _write(path, "x"))
    assert os.read(reading, 10) == b"x"
    os.close(reading)
    assert pipe.is_fifo()
