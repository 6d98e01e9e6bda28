"""GuideLLM, `guidellm run`, and its mock server with set times."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path

import msgspec

from benchmarks.environments import Environment, clean_environment

from .contract import Figures, Job, run_measured
from .cores import SERVERS_CORE, on_core
from .tokenizer import make_tokenizer

_START_S = 120.0
_TIMES = (
    *("time_to_first_token_ms", "inter_token_latency_ms", "time_per_output_token_ms"),
    "request_latency",
)


class GuideLLM:
    """See the module's docstring.

    Args:
        folder: where its virtual environment is made.
    """

    name = "GuideLLM"

    def __init__(self, folder: Path) -> None:
        self._environment = Environment(folder, "guidellm")
        self._tokenizer = folder / "tokenizer"

    def install(self) -> None:
        """See `LoadTool.install`; several gigabytes (it needs torch)."""
        self._environment.make()
        make_tokenizer(self._environment.python, self._tokenizer)

    def run(self, job: Job) -> Figures:
        """See `LoadTool.run`; warm-up requests are a part of its own run."""
        path = job.folder / "guidellm.json"
        prompts = job.folder / "guidellm.jsonl"
        asked = islice(cycle(job.prompts), job.requests)  # it ends with its data
        lines = ({"prompt": prompt, "output_tokens_count": job.tokens} for prompt in asked)
        prompts.write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
        backend = {
            "kind": "openai_http",
            "target": job.url,
            "model": job.model,
            "extras": {"body": {"ignore_eos": True, **job.body}},
        }
        command = [
            *(self._environment.command("guidellm"), "run"),
            *("--backend", msgspec.json.encode(backend).decode()),
            *("--profile", f"kind=concurrent,streams={job.concurrency}"),
            *("--constraint", f"kind=max_requests,count={job.requests}"),
            *("--data", f"kind=json_file,path={prompts}"),
            *("--tokenizer", f"kind=hf_auto,model={self._tokenizer}"),
            *("--output", f"kind=json,path={path}", "--disable-console-interactive"),
        ]
        cpu_s, wall_s = run_measured(command, clean_environment(), job.folder / "guidellm.log")
        (benchmark,) = msgspec.json.decode(path.read_bytes())["benchmarks"]
        metrics = {name: benchmark["metrics"][name]["successful"] for name in _TIMES}
        return Figures(
            ttft_ms=metrics["time_to_first_token_ms"]["median"],
            itl_ms=metrics["inter_token_latency_ms"]["median"],
            e2e_ms=metrics["request_latency"]["median"] * 1000,
            ok=int(metrics["request_latency"]["count"]),
            cpu_s=cpu_s,
            wall_s=wall_s,
            means={
                "ttft": metrics["time_to_first_token_ms"]["mean"],
                "itl": metrics["inter_token_latency_ms"]["mean"],
                "e2e": metrics["request_latency"]["mean"] * 1000,
            },
            also={
                name: metrics[name]["median"] * (1 if name.endswith("_ms") else 1000)
                for name in _TIMES
            },
        )

    @contextmanager
    def mock_server(self, ttft_ms: int, itl_ms: int, tokens: int, folder: Path) -> Iterator[str]:
        """Its mock server with constant times; gives the address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [
            *(self._environment.command("guidellm"), "mock-server", "--host", "127.0.0.1"),
            *("--port", str(port), "--model", "mock"),
            *("--ttft-ms", str(ttft_ms), "--ttft-ms-std", "0"),
            *("--itl-ms", str(itl_ms), "--itl-ms-std", "0"),
            *("--output-tokens", str(tokens), "--output-tokens-std", "0"),
        ]
        with (folder / "mock.log").open("wb") as log, on_core(SERVERS_CORE):
            server = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment())
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url)
            yield url
        finally:
            server.terminate()
            server.wait()


def _wait_for(url: str) -> None:
    until = time.monotonic() + _START_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=1).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the mock server at {url} did not start in {_START_S:g} s")
