"""tokenline bench, from the command line like the others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from benchmarks.environments import clean_environment
from tokenline_bench.report import read_report

from .contract import Figures, Job, run_measured


class TokenlineBench:
    """See the module's docstring."""

    name = "tokenline bench"

    def install(self) -> None:
        """It is here."""

    def run(self, job: Job) -> Figures:
        """See `LoadTool.run`."""
        path = job.folder / "tokenline.json"
        prompts = job.folder / "prompts.jsonl"
        prompts.write_bytes(b"\n".join(msgspec.json.encode({"prompt": p}) for p in job.prompts))
        body = {"max_tokens": job.tokens, "ignore_eos": True, **job.body}
        command = [
            *(sys.executable, "-m", "tokenline_stages.cli", "bench", "--quiet"),
            *("--no-calibrate", "--no-check", "--provider", "openai"),
            *("--base-url", f"{job.url}/v1", "--model", job.model),
            *("--concurrency", str(job.concurrency), "--requests", str(job.requests)),
            *("--warmup", str(job.warmup), "--prompts", str(prompts)),
            *("--output-tokens", str(job.tokens), "--json", str(path)),
            *("--body", msgspec.json.encode(body).decode()),
        ]
        environment = {**clean_environment(), "OPENAI_API_KEY": "none"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        cpu_s, wall_s = run_measured(command, environment, job.folder / "tokenline.log")
        return _read(path, cpu_s, wall_s)


def _read(path: Path, cpu_s: float, wall_s: float) -> Figures:
    found = read_report(path).levels[0].endpoint()
    median = {name: metric.median / 1e6 for name, metric in found.metrics.items()}
    times = ("ttfc", "ttft", "ttst", "icl", "itl", "tpot", "e2e", "response_end")
    return Figures(
        ttft_ms=median["ttft"],
        itl_ms=median["tpot"],
        e2e_ms=median["e2e"],
        ok=found.outcomes.get("ok", 0),
        cpu_s=cpu_s,
        wall_s=wall_s,
        means={
            "ttft": found.metrics["ttft"].mean / 1e6,
            "itl": found.metrics["tpot"].mean / 1e6,
            "e2e": found.metrics["e2e"].mean / 1e6,
        },
        also={name: median[name] for name in times if name in median}
        | {"itl mean": found.metrics["itl"].mean / 1e6},
    )
