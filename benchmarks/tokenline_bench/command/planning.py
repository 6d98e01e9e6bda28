"""From the command's options to a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenline.errors import ConfigError
from tokenline_bench.config import (
    Bench,
    ClosedLoop,
    Endpoint,
    FixedPrompt,
    Load,
    Objectives,
    OpenLoop,
    PromptFile,
    Search,
    Synthetic,
    TimedTrace,
    Work,
)
from tokenline_bench.output.save import Files

from .values import read_body, read_bounds, read_endpoint, read_pairs, read_sweep

_DEFAULT_REQUESTS = 100


def plan_bench(options: dict[str, Any]) -> Bench:
    """The benchmark that the options describe.

    Raises:
        ConfigError: they contradict each other, or a value is out of range.
    """
    load = _load(options)
    requests = options["requests"]
    if requests is None and options["duration_s"] is None and not options["trace"]:
        requests = _DEFAULT_REQUESTS
    slo = options["slo"]
    if slo is not None:
        slo = Objectives(bounds=read_bounds(slo), share=options["slo_share"])
    same = (
        *("title", "duration_s", "grace_s", "timeout_s", "warmup", "cancel_share"),
        *("cancel_after_s", "seed", "processes", "confidence", "check", "calibrate"),
    )
    return Bench(
        endpoints=_endpoints(options),
        work=_work(options),
        load=load,
        requests=requests,
        slo=slo,
        **{name: options[name] for name in same},
    )


def plan_files(options: dict[str, Any]) -> Files:
    """Where reports go.

    Raises:
        ConfigError: a folder is not there or cannot be made.
    """
    folder: Path | None = options["out"]
    files = Files.in_folder(folder) if folder is not None else Files()
    files = Files(
        options["json_path"] or files.json,
        options["jsonl_path"] or files.jsonl,
        options["csv_path"] or files.csv,
        options["html_path"] or files.html,
    )
    files.check()
    return files


def _endpoints(options: dict[str, Any]) -> tuple[Endpoint, ...]:
    first = Endpoint(
        model=options["model"] or "?",
        provider=options["provider"],
        base_url=options["base_url"],
        api=options["api"],
        headers=read_pairs(options["headers"], "--header"),
        body=read_body(options["body"]),
        client_options=read_pairs(options["client_options"], "--client-option"),
    )
    found = tuple(read_endpoint(text, first) for text in options["endpoints"])
    if any(endpoint.model == "?" for endpoint in found or (first,)):
        raise ConfigError("no model to measure; give --model")
    return found or (first,)


def _work(options: dict[str, Any]) -> Work:
    limit = options["output_tokens"]
    if options["prompt"] is not None and options["prompts"] is not None:
        raise ConfigError("--prompt and --prompts exclude each other; give one")
    if options["prompt"] is not None:
        return FixedPrompt(text=options["prompt"], output_tokens=limit)
    if options["prompts"] is not None:
        return PromptFile(
            path=str(options["prompts"]),
            form=options["form"],
            output_tokens=limit,
            history="live" if options["live_history"] else "recorded",
            words_per_token=options["words_per_token"],
            shuffle=options["shuffle"],
        )
    return Synthetic(
        input_tokens=options["prompt_tokens"],
        input_spread=options["prompt_spread"],
        shared_prefix_tokens=options["shared_prefix"],
        output_tokens=limit,
        words_per_token=options["words_per_token"],
    )


def _load(options: dict[str, Any]) -> tuple[Load, ...] | Search:
    given = [name for name in ("concurrency", "rate", "trace") if options[name]]
    if len(given) > 1:
        names = ", ".join(f"--{name}" for name in given)
        raise ConfigError(f"{names} exclude each other; give one")
    if options["max_concurrency"] is not None and not options["rate"] and not options["trace"]:
        raise ConfigError("--max-concurrency bounds an open loop; give --rate or --trace with it")
    if options["burstiness"] != 1 and options["arrivals"] != "gamma":
        raise ConfigError("--burstiness is of gamma arrivals; give --arrivals gamma with it")
    template = _template(options)
    if options["sweep"] is None:
        return (template,)
    return read_sweep(options["sweep"], template)


def _template(options: dict[str, Any]) -> Load:
    if options["trace"]:
        return TimedTrace(speed=options["trace_speed"], max_concurrency=options["max_concurrency"])
    if options["rate"] is not None:
        return OpenLoop(
            rate_per_s=options["rate"],
            arrivals=options["arrivals"],
            burstiness=options["burstiness"],
            ramp_s=options["ramp_s"],
            max_concurrency=options["max_concurrency"],
        )
    concurrency = options["concurrency"]
    return ClosedLoop(
        concurrency=1 if concurrency is None else concurrency, ramp_s=options["ramp_s"]
    )
