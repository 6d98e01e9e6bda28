"""tokenline bench, from the command line like the others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
        command = [
            *(sys.executable, "-m", "tokenline_stages.cli", "bench", "--quiet"),
            *("--no-calibrate", "--no-check", "--provider", "openai"),
            *("--base-url", f"{job.url}/v1", "--model", job.model),
            *("--concurrency", str(job.concurrency), "--requests", str(job.requests)),
            *("--warmup", str(job.warmup), "--prompt-tokens", str(job.prompt_tokens)),
            *("--output-tokens", str(job.tokens), "--json", str(path)),
            *("--body", f'{{"max_tokens": {job.tokens}, "ignore_eos": true}}'),
        ]
        environment = {**clean_environment(), "OPENAI_API_KEY": "none"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        cpu_s, wall_s = run_measured(command, environment, job.folder / "tokenline.log")
        return _read(path, cpu_s, wall_s)


def _read(path: Path, cpu_s: float, wall_s: float) -> Figures:
    found = read_report(path).levels[0].endpoint()
    median = {name: found.metrics[name].median / 1e6 for name in ("ttft", "tpot", "e2e")}
    ok = found.outcomes.get("ok", 0)
    return Figures(median["ttft"], median["tpot"], median["e2e"], ok, cpu_s, wall_s)
