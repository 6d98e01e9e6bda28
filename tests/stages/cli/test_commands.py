"""The command line as a user meets it: output, exit codes, one-line errors."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tokenline_stages.cli import main
from tokenline_stages.simulator import Plan, SimulatorProcess

Tokenline = Callable[..., "Done"]
KEYS = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")


@dataclass
class Done:
    """What a finished command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def tokenline(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Tokenline:
    """Runs the command line in this process; the environment as given, keys removed."""

    def run(*arguments: str, **environment: str) -> Done:
        for name in list(os.environ):
            if name in KEYS or name.startswith("OTEL"):
                monkeypatch.delenv(name)
        for name, value in {"COLUMNS": "100", **environment}.items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        code = 0
        try:
            main(list(arguments))
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        return Done(code, *capfd.readouterr())

    return run


def one_line(done: Done, code: int) -> str:
    """The error line of a failed command, checked for form."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorProcess]:
    plan = Plan(ttft_s=0.01, inter_token_s=0.001, tokens=5)
    with SimulatorProcess(plan, options=["--api-key", "right"]) as process:
        yield process


@pytest.fixture(scope="module")
def open_simulator() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(Plan(ttft_s=0.01, inter_token_s=0.001, tokens=5)) as process:
        yield process


def chat(tokenline: Tokenline, simulator: SimulatorProcess, *more: str, **environment: str) -> Done:
    openai = {"OPENAI_BASE_URL": simulator.openai_base_url, "OPENAI_API_KEY": "right"}
    command = ("chat", "--model", "sim", "--retries", "0", "hello", *more)
    return tokenline(*command, **{**openai, **environment})


def test_demo_streams_through_both_providers_and_shows_every_stage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tokenline_stages.cli", "demo"],
        env={name: value for name, value in os.environ.items() if not name.startswith("OTEL")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for word in ("openai", "anthropic", "source", "parser", "normalizer", "fan-out"):
        assert word in done.stdout
    for word in ("accumulator", "consumer", "trace-emitter", "first answer token", "provider"):
        assert word in done.stdout
    assert "chat simulated" in done.stdout
    assert "outcome ok" in done.stdout


def test_chat_prints_the_answer_on_stdout_and_the_tables_on_stderr(
    tokenline: Tokenline, simulator: SimulatorProcess
) -> None:
    done = chat(tokenline, simulator)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 5
    assert "first token" in done.stderr
    assert "first token" not in done.stdout


def test_chat_with_anthropic(tokenline: Tokenline, simulator: SimulatorProcess) -> None:
    done = tokenline(
        *("chat", "--provider", "anthropic", "--model", "sim", "--quiet", "hello"),
        ANTHROPIC_BASE_URL=simulator.anthropic_base_url,
        ANTHROPIC_API_KEY="right",
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) >= 5


def test_graph_prints_the_flow(tokenline: Tokenline) -> None:
    done = tokenline("graph", "--provider", "anthropic")
    assert "parser  [parser]" in done.stdout
    assert "max_event_bytes" in done.stdout
    assert tokenline("graph", "--mermaid").stdout.startswith("flowchart LR")


def test_unknown_provider_lists_the_known_ones(tokenline: Tokenline) -> None:
    done = tokenline("chat", "--provider", "nope", "--model", "m", "hello")
    line = one_line(done, 2)
    assert "anthropic" in line
    assert "openai" in line


@pytest.mark.parametrize(
    ("provider", "variable"), [("openai", "OPENAI_API_KEY"), ("anthropic", "ANTHROPIC_API_KEY")]
)
def test_missing_key_names_the_variable(tokenline: Tokenline, provider: str, variable: str) -> None:
    done = tokenline("chat", "--provider", provider, "--model", "m", "hello")
    assert variable in one_line(done, 2)


def test_unreachable_server(tokenline: Tokenline) -> None:
    done = tokenline(
        *("chat", "--model", "m", "hello"),
        OPENAI_API_KEY="x",
        OPENAI_BASE_URL="http://127.0.0.1:9/v1",
    )
    assert "check the address and that the server runs" in one_line(done, 1)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("chat", "hello"), "Missing option '--model'"),
        (("chat", "--model", "m"), "Missing argument 'PROMPT'"),
        (("chat", "--model", "m", "--retries", "-1", "hello"), "--retries"),
        (("chat", "--model", "m", "--retries", "x", "hello"), "--retries"),
        (("chat", "--model", "m", "--header", "nothing", "hello"), "NAME=VALUE"),
        (("chat", "--model", "m", "--header", "a\nb=c", "hello"), "not a header name"),
        (("chat", "--model", "m", "--base-url", "h:80/v1", "hello"), "base_url: 'h:80/v1'"),
        (("serve", "--port", "99999"), "--port"),
        (("serve", "--ttft-s", "-1"), "ttft_s"),
        (("serve", "--recording", "/nowhere"), "--recording"),
        (("bogus",), "No such command 'bogus'"),
    ],
)
def test_bad_use_is_one_line(tokenline: Tokenline, arguments: tuple[str, ...], says: str) -> None:
    assert says in one_line(tokenline(*arguments, OPENAI_API_KEY="x"), 2)


@pytest.mark.parametrize("address", ["http://127.0.0.1:99999/v1", "http://[::1/v1", "h:1/v1"])
def test_bad_addresses_name_their_variable(tokenline: Tokenline, address: str) -> None:
    done = tokenline("chat", "--model", "m", "hi", OPENAI_API_KEY="x", OPENAI_BASE_URL=address)
    assert one_line(done, 2).startswith("error: OPENAI_BASE_URL: ")


def test_help_and_version_are_no_failures(tokenline: Tokenline) -> None:
    for arguments in (("--help",), ("chat", "-h"), ("--version",)):
        done = tokenline(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_an_interrupt_ends_it_quietly(open_simulator: SimulatorProcess) -> None:
    plan = '{"ttft_s": 0, "inter_token_s": 0.05, "tokens": 10000}'
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tokenline_stages.cli", "chat", "--model", "m", "hi"),
            *("--header", f"x-tokenline-plan={plan}"),
        ],
        env={
            **{name: x for name, x in os.environ.items() if not name.startswith("OTEL")},
            "OPENAI_API_KEY": "x",
            "OPENAI_BASE_URL": open_simulator.openai_base_url,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.strip() == ""


def test_wrong_key(tokenline: Tokenline, simulator: SimulatorProcess) -> None:
    line = one_line(chat(tokenline, simulator, OPENAI_API_KEY="wrong"), 1)
    assert "401" in line
    assert "key" in line


@pytest.fixture
def faulty(tokenline: Tokenline, open_simulator: SimulatorProcess) -> Callable[[Any], Done]:
    """Runs `chat` against a simulator with the given plan."""

    def run(plan: dict[str, Any]) -> Done:
        header = "x-tokenline-plan=" + msgspec.json.encode(plan).decode()
        return chat(tokenline, open_simulator, "--header", header)

    return run


@pytest.mark.parametrize(
    ("status", "says"), [(404, "model"), (429, "wait"), (500, "again")], ids=str
)
def test_http_errors_say_what_to_do(faulty: Any, status: int, says: str) -> None:
    line = one_line(faulty({"faults": [{"fault": "http_error", "status": status}]}), 1)
    assert str(status) in line
    assert says in line


def test_answer_that_is_no_stream(faulty: Any) -> None:
    done = faulty({"faults": [{"fault": "wrong_content_type"}]})
    assert "not an event stream" in one_line(done, 1)


def test_malformed_stream_keeps_what_came(faulty: Any) -> None:
    done = faulty({"tokens": 20, "faults": [{"fault": "malformed_event", "at_event": 8}]})
    line = one_line(done, 1)
    assert "characters had arrived" in line
    assert done.stdout.strip()
