"""`tokenline bench` and `tokenline record` as a user meets them: output, files, exit codes."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tokenline_bench.report import read_report
from tokenline_stages.simulator import SimulatorProcess

from .conftest import Tokenline

NO_STREAM = '{"tokenline_plan": {"faults": [{"fault": "wrong_content_type"}]}}'


def options(simulator: SimulatorProcess, *more: str) -> tuple[str, ...]:
    base = ("bench", "--model", "m", "--base-url", simulator.openai_base_url, "--no-calibrate")
    return (*base, "--requests", "6", "--processes", "0", *more)


def test_run_shows_tables_and_writes_every_file(
    tokenline: Tokenline, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    arguments = options(simulator, "--out", str(folder), "--slo", "ttft=2s", "--sweep", "1,2")
    code, output, errors = tokenline(*arguments)
    assert code == 0, errors
    for text in ("TTFT", "inter-token latency", "knee: concurrency 2", "written:", "goodput"):
        assert text in output
    names = {path.name for path in folder.iterdir()}
    assert names == {"report.json", "requests.jsonl", "metrics.csv", "report.html"}
    report = read_report(folder / "report.json")
    assert [level.endpoint().outcomes for level in report.levels] == [{"ok": 6}] * 2
    lines = (folder / "requests.jsonl").read_text().splitlines()
    assert [json.loads(line)["level"] for line in lines].count(0) == 6


def test_load_from_other_processes(tokenline: Tokenline, simulator: SimulatorProcess) -> None:
    code, output, _ = tokenline(*options(simulator, "--processes", "1", "--rate", "60"))
    assert code == 0
    assert "TTFT from schedule" in output


def test_endpoints_by_option(
    tokenline: Tokenline, simulator: SimulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_KEY", "right")
    endpoints = (
        *("--endpoint", "label=one"),
        *("--endpoint", "label=two,model=n,key_env=OTHER_KEY"),
    )
    code, output, errors = tokenline(*options(simulator, *endpoints))
    assert code == 0, errors
    assert "one" in output
    assert "two" in output


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--base-url", "http://127.0.0.1:9/v1"), 1, "cannot reach 127.0.0.1:9"),
        (("--header", "authorization=Bearer wrong"), 1, "check the API key"),
        (("--body", NO_STREAM), 1, "not an event stream"),
        (("--body", '{"tokenline_plan": {"tokens": 0}}'), 1, "endpoint openai/m"),
        (("--output-tokens", "0"), 2, "output_tokens is 0"),
        (("--prompt-tokens", "0"), 2, "input_tokens is 0"),
        (("--prompt", " "), 2, "the prompt is empty"),
        (("--prompts", "EMPTY"), 2, "is empty; expected prompts"),
        (("--prompts", "/absent"), 2, "cannot read prompts"),
        (("--prompt", "x", "--prompts", "EMPTY"), 2, "exclude each other"),
        (("--concurrency", "0"), 2, "concurrency is 0"),
        (("--rate", "1", "--concurrency", "1"), 2, "exclude each other"),
        (("--rate", "0"), 2, "rate_per_s is 0"),
        (("--requests", "0"), 2, "requests is 0"),
        (("--sweep", "1,x"), 2, "'x' is no number"),
        (("--sweep", "1..8"), 2, "needs an SLO"),
        (("--slo", "ttft"), 2, "not of the form"),
        (("--slo", "ttft=soon"), 2, "no time"),
        (("--slo", "speed=1ms"), 2, "no metric 'speed'"),
        (("--slo", "ttft=1s", "--slo-share", "2"), 2, "share is 2"),
        (("--confidence", "1"), 2, "confidence is 1"),
        (("--cancel-share", "2"), 2, "cancel_share is 2"),
        (("--trace",), 2, "needs a file with times"),
        (("--body", "[]"), 2, "no JSON object"),
        (("--header", "x"), 2, "not of the form"),
        (("--client-option", "max_retries=x"), 2, "max_retries is an argument of its own"),
        (("--client-option", "base_url=x"), 2, "base_url is an argument of its own"),
        (("--client-option", "nonsense=x"), 2, "unexpected keyword argument 'nonsense'"),
        (("--sweep", "0,1"), 2, "--sweep has a concurrency of 0"),
        (("--sweep", "1.5..8", "--slo", "ttft=1s"), 2, "--sweep has a concurrency of 1.5"),
        (("--sweep", "4,4"), 2, "--sweep has 4 twice"),
        (("--slo", ""), 2, "not of the form"),
        (("--max-concurrency", "3"), 2, "give --rate or --trace with it"),
        (("--rate", "9", "--burstiness", "2"), 2, "give --arrivals gamma with it"),
        (("--shared-prefix", "129"), 2, "give no more than the shortest prompt has: 128"),
        (("--otlp", "nope"), 2, "--otlp: 'nope' is no address: its scheme is missing"),
        (("--json", "/sys/r.json"), 2, "cannot write /sys/r.json"),
        (("--endpoint", "x=1"), 2, "with a name out of"),
        (("--endpoint", "label=a", "--endpoint", "label=a"), 2, "two endpoints"),
        (("--endpoint", "key_env=NO_SUCH_KEY"), 2, "NO_SUCH_KEY is not set"),
        (("--provider", "nobody"), 2, "unknown provider 'nobody'"),
        (("--api", "nothing"), 2, "has no API 'nothing'"),
        (("--json", "/absent/r.json"), 2, "there is no folder"),
        (("--seed", "9" * 30), 2, "seed is 1e+30"),
        (("--body", '{"x": 1%s}' % ("0" * 30)), 2, "an integer of more than 64 bits"),
        (("--duration", "nan"), 2, "duration_s is nan; give more than 0 up to"),
        (("--duration", "inf"), 2, "duration_s is inf"),
        (("--timeout", "nan"), 2, "timeout_s is nan"),
        (("--grace", "nan"), 2, "grace_s is nan"),
        (("--cancel-after", "nan"), 2, "cancel_after_s is nan"),
        (("--cancel-share", "nan"), 2, "cancel_share is nan"),
        (("--confidence", "nan"), 2, "confidence is nan"),
        (("--words-per-token", "nan"), 2, "words_per_token is nan"),
        (("--words-per-token", "1e9"), 2, "words_per_token is 1000000000"),
        (("--prompt-tokens", "999999999999"), 2, "input_tokens is 999999999999"),
        (("--shared-prefix", "999999999999"), 2, "shared_prefix_tokens is 999999999999"),
        (("--output-tokens", "9" * 30), 2, "output_tokens is 1e+30"),
        (("--requests", "9" * 30), 2, "requests is 1e+30"),
        (("--requests", "9" * 400), 2, "requests is a number of 400 digits"),
        (("--warmup", "9" * 30), 2, "warmup is 1e+30"),
        (("--processes", "1000000"), 2, "processes is 1000000"),
        (
            ("--rate", "1", "--max-concurrency", "2", "--processes", "3"),
            *(2, "3 processes for at most 2 requests at once"),
        ),
        (("--rate", "nan"), 2, "rate_per_s is nan"),
        (("--rate", "1e-300"), 2, "rate_per_s is 1e-300"),
        (("--rate", "1", "--arrivals", "gamma", "--burstiness", "nan"), 2, "burstiness is nan"),
        (("--ramp", "nan"), 2, "ramp_s is nan"),
        (("--sweep", "1..nan", "--slo", "ttft=1s"), 2, "'nan' is no number"),
        (("--sweep", "1..inf", "--slo", "ttft=1s"), 2, "'inf' is no number"),
        (("--sweep", "1,nan"), 2, "'nan' is no number"),
        (("--slo", "stream_rate=nan"), 2, "'nan' is no number"),
        (("--slo", "stream_rate=-1"), 2, "bound of stream_rate is -1"),
        (("--slo", f"ttft={'9' * 400}s"), 2, "is no time"),
        (("--slo", "ttft=1s", "--slo-share", "nan"), 2, "share is nan"),
    ],
)
def test_mistakes_end_in_one_clear_line(
    tokenline: Tokenline,
    simulator: SimulatorProcess,
    tmp_path: Path,
    arguments: tuple[str, ...],
    code: int,
    complaint: str,
) -> None:
    (tmp_path / "empty").touch()
    places = {"EMPTY": str(tmp_path / "empty")}
    arguments = tuple(places.get(value, value) for value in arguments)
    ended, _, errors = tokenline(*options(simulator, "--quiet", *arguments))
    assert ended == code, errors
    (line,) = errors.strip().splitlines()
    assert line.startswith("error: ")
    assert complaint in line


class PlainServer(ThreadingHTTPServer):
    """Answers whole messages, whether or not a stream was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PlainHandler)


class _PlainHandler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"object":"chat.completion","choices":[{"message":{"content":"hello"}}]}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("check", ["--check", "--no-check"])
def test_a_server_that_does_not_stream_is_told_in_one_line(
    tokenline: Tokenline, check: str
) -> None:
    with PlainServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/v1"
        arguments = ("bench", "--model", "m", "--base-url", address, "--processes", "0")
        code, _, errors = tokenline(
            *arguments, "--requests", "2", "--quiet", "--no-calibrate", check
        )
        server.shutdown()
        thread.join()
    assert code == 1
    (line,) = errors.strip().splitlines()
    assert "answered with application/json, not an event stream" in line


def test_no_model_is_a_mistake(tokenline: Tokenline) -> None:
    code, _, errors = tokenline("bench")
    assert (code, errors) == (2, "error: no model to measure; give --model\n")


def test_mistakes_in_other_processes_are_told_too(
    tokenline: Tokenline, simulator: SimulatorProcess
) -> None:
    unreachable = ("--base-url", "http://127.0.0.1:9/v1", "--processes", "2", "--quiet")
    code, _, errors = tokenline(*options(simulator, *unreachable))
    assert code == 1
    assert "cannot reach 127.0.0.1:9" in errors
    assert len(errors.strip().splitlines()) == 1
    wrong = ("--prompts", "/absent", "--processes", "1", "--quiet")
    code, _, errors = tokenline(*options(simulator, *wrong))
    assert code == 2
    assert "cannot read prompts" in errors


def test_no_failure_of_another_process_is_waited_for_in_vain(
    tokenline: Tokenline, simulator: SimulatorProcess
) -> None:
    twice = ("--client-option", "max_retries=1", "--processes", "1", "--quiet")
    code, _, errors = tokenline(*options(simulator, *twice))
    assert code in (1, 2)
    assert "max_retries" in errors
    assert len(errors.strip().splitlines()) == 1


def test_a_run_in_which_all_fails_ends_with_1(
    tokenline: Tokenline, simulator: SimulatorProcess
) -> None:
    wrong_key = ("--header", "authorization=Bearer wrong", "--no-check")
    code, output, errors = tokenline(*options(simulator, *wrong_key))
    assert code == 1
    assert "AuthenticationError" in output
    assert "error: no request ended well: 6 x openai: the key is missing or wrong" in errors


def test_ctrl_c_keeps_what_was_measured(simulator: SimulatorProcess, tmp_path: Path) -> None:
    arguments = [
        *(sys.executable, "-m", "tokenline_stages.cli", *options(simulator)),
        *("--requests", "100000", "--processes", "1", "--out", str(tmp_path)),
    ]
    environment = {**os.environ, "OPENAI_API_KEY": "right"}
    process = subprocess.Popen(
        arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    written = tmp_path / "requests.jsonl"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if written.exists() and written.read_bytes().count(b"\n") > 8:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert "interrupted: these are the results up to then" in output
    report = read_report(tmp_path / "report.json")
    assert report.interrupted
    assert report.levels[0].endpoint().outcomes["ok"] >= 4
    assert (tmp_path / "report.html").exists()


def compare(tokenline: Tokenline, *arguments: str) -> tuple[int, str, str]:
    return tokenline("bench", "compare", *arguments)


def test_compare_is_a_gate(
    tokenline: Tokenline, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    paths = [str(tmp_path / name) for name in ("a.json", "b.json", "c.json")]
    plans: list[dict[str, Any]] = [{}, {}, {"ttft_s": 0.08}]
    for path, plan in zip(paths, plans, strict=True):
        body = ("--body", json.dumps({"tokenline_plan": plan})) if plan else ()
        more = ("--requests", "24", "--concurrency", "3", "--json", path, "--quiet", *body)
        assert tokenline(*options(simulator, *more))[0] == 0
    wide = ("--threshold", "ttft.p50=150%")
    code, output, _ = compare(tokenline, paths[0], paths[1], *wide)
    assert code == 0, output
    assert "0 regressions" in output
    code, output, _ = compare(tokenline, paths[0], paths[2], *wide)
    assert code == 3, output
    assert "REGRESSION" in output
    code, _, errors = compare(tokenline, paths[0], str(tmp_path / "absent.json"))
    assert code == 2
    assert errors.startswith("error: cannot read")


def test_metrics_are_explained(tokenline: Tokenline) -> None:
    code, output, _ = tokenline("bench", "metrics")
    assert code == 0
    assert "AIPerf" in output
    assert "first_token_ns - request_ns" in output


def test_schema_is_printed(tokenline: Tokenline) -> None:
    code, output, _ = tokenline("bench", "schema")
    assert code == 0
    assert json.loads(output)["$ref"] == "#/$defs/Report"


def test_help_shows_every_option_once(tokenline: Tokenline) -> None:
    code, output, _ = tokenline("bench", "--help")
    assert code == 0
    for option in ("--model", "--prompts", "--burstiness", "--slo-share", "--otlp", "--help"):
        lines = [line for line in output.splitlines() if line.startswith(f"  {option} ")]
        lines += [line for line in output.splitlines() if f", {option} " in line[:14]]
        assert len(lines) == 1, option
    for heading in ("What is asked:", "How requests come:", "Commands:"):
        assert heading in output


def test_missing_extra_names_the_cure(
    tokenline: Tokenline, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "plotly" else find(name)
    )
    monkeypatch.delitem(sys.modules, "tokenline_stages.cli.bench", raising=False)
    code, _, errors = tokenline("bench", "--model", "m")
    monkeypatch.delitem(sys.modules, "tokenline_stages.cli.bench", raising=False)
    assert code == 2
    assert errors == "error: tokenline bench needs plotly; run: pip install 'tokenline[bench]'\n"


def test_record_writes_a_cassette(
    tokenline: Tokenline, simulator: SimulatorProcess, tmp_path: Path
) -> None:
    path = tmp_path / "a.cassette.jsonl"
    base = ("record", "--model", "m", "--base-url", simulator.openai_base_url)
    code, output, errors = tokenline(*base, "--out", str(path), "hello")
    assert code == 0, errors
    assert "TTFT" in output
    assert path.read_text().startswith('{"format":"tokenline-cassette"')
    code, _, errors = tokenline(*base, "--out", str(tmp_path / "no" / "x"), "hello")
    assert code == 2
    assert "there is no folder" in errors
    code, _, errors = tokenline(*base, "--out", str(tmp_path), "hello")
    assert code == 2
