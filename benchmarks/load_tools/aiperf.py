"""NVIDIA AIPerf, `aiperf profile`. It counts tokens as the server does, as ours does."""

from __future__ import annotations

from pathlib import Path

import msgspec

from benchmarks.environments import Environment, clean_environment

from .contract import Figures, Job, run_measured
from .tokenizer import make_tokenizer

_ALSO = (
    *("time_to_first_token", "time_to_second_token", "time_to_first_output_token"),
    *("inter_token_latency", "inter_chunk_latency", "request_latency"),
)


class AIPerf:
    """See the module's docstring.

    Args:
        folder: where its virtual environment is made.
    """

    name = "AIPerf"

    def __init__(self, folder: Path) -> None:
        self._environment = Environment(folder, "aiperf")
        self._tokenizer = folder / "tokenizer"

    def install(self) -> None:
        """See `LoadTool.install`."""
        self._environment.make()
        make_tokenizer(self._environment.python, self._tokenizer)

    def run(self, job: Job) -> Figures:
        """See `LoadTool.run`."""
        output = job.folder / "aiperf"
        prompts = job.folder / "aiperf.jsonl"
        lines = ({"text": prompt, "output_length": job.tokens} for prompt in job.prompts)
        prompts.write_bytes(b"\n".join(map(msgspec.json.encode, lines)))
        command = [
            *(self._environment.command("aiperf"), "profile", "-m", job.model, "--url", job.url),
            *("--endpoint-type", "chat", "--streaming", "--ui", "none"),
            *("--concurrency", str(job.concurrency), "--request-count", str(job.requests)),
            *("--warmup-request-count", str(job.warmup)),
            *("--input-file", str(prompts), "--custom-dataset-type", "single_turn"),
            "--use-server-token-count",
            *("--tokenizer", str(self._tokenizer), "--no-gpu-telemetry", "--no-server-metrics"),
            *("--extra-inputs", msgspec.json.encode({"ignore_eos": True, **job.body}).decode()),
            *("--artifact-dir", str(output)),
        ]
        cpu_s, wall_s = run_measured(command, clean_environment(), job.folder / "aiperf.log")
        found = msgspec.json.decode((output / "profile_export_aiperf.json").read_bytes())
        return Figures(
            ttft_ms=found["time_to_first_token"]["p50"],
            itl_ms=found["inter_token_latency"]["p50"],
            e2e_ms=found["request_latency"]["p50"],
            ok=int(found["request_count"]["avg"]),
            cpu_s=cpu_s,
            wall_s=wall_s,
            means={
                "ttft": found["time_to_first_token"]["avg"],
                "itl": found["inter_token_latency"]["avg"],
                "e2e": found["request_latency"]["avg"],
            },
            also={name: found[name]["p50"] for name in _ALSO if name in found},
        )
