"""The same metrics under the names of other tools, and where the definitions differ.

Sources: docs.nvidia.com/aiperf/reference (0.13), GuideLLM 0.8, vLLM `bench serve`
(vllm/benchmarks/lib/endpoint_request_func.py), MLPerf Inference (mlcommons/inference_policies).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OtherNames:
    """One metric's names elsewhere; empty where a tool has none.

    Attributes:
        metric: our name.
        aiperf: NVIDIA AIPerf's.
        guidellm: GuideLLM's.
        vllm: `vllm bench serve`'s.
        mlperf: MLPerf Inference's.
        difference: where the definitions part.
    """

    metric: str
    aiperf: str = ""
    guidellm: str = ""
    vllm: str = ""
    mlperf: str = ""
    difference: str = ""


TABLE = (
    OtherNames(
        "ttft",
        "time_to_first_token",
        "time_to_first_token_ms",
        "ttft (see ttfc)",
        "TTFT",
        "first content of any kind; MLPerf counts from the scheduled time (ttft_scheduled)",
    ),
    OtherNames(
        "ttfc",
        vllm="ttft",
        difference="vLLM stops at the first chunk with choices: a role-only chunk counts",
    ),
    OtherNames(
        "ttfa",
        "time_to_first_output_token",
        "time_to_first_output_token_ms",
        difference="first content that is not reasoning",
    ),
    OtherNames("ttst", "time_to_second_token", difference="gap, not time since the request"),
    OtherNames(
        "icl",
        "inter_chunk_latency",
        "",
        "itl",
        difference="vLLM calls gaps between chunks ITL; a chunk may hold many tokens",
    ),
    OtherNames(
        "itl",
        "inter_token_latency",
        "inter_token_latency_ms",
        "",
        "",
        "pooled over tokens; AIPerf and GuideLLM give one mean a request, which is our tpot",
    ),
    OtherNames(
        "tpot",
        "inter_token_latency",
        "inter_token_latency_ms",
        "tpot",
        "TPOT",
        "GuideLLM's time_per_output_token_ms has the TTFT in it: it is e2e / output tokens",
    ),
    OtherNames(
        "e2e",
        "request_latency",
        "request_latency (s)",
        "e2el",
        "",
        "to the last token; GuideLLM's runs to the end of the response (response_end)",
    ),
    OtherNames("response_end", "", "request_latency (s)", difference="usage and end marker too"),
    OtherNames(
        "ttft_scheduled",
        "",
        "",
        "",
        "TTFT (server scenario)",
        "from the scheduled time, so that waiting counts",
    ),
    OtherNames(
        "e2e_scheduled",
        "effective_latency",
        "request_scheduled_latency (s)",
        "",
        "latency (server scenario)",
        "AIPerf counts from the issue of the credit",
    ),
    OtherNames(
        "schedule_delay",
        "replay_send_schedule_offset",
        "request_dispatch_delay (s)",
        difference="request issued - scheduled; AIPerf counts from its least late request",
    ),
    OtherNames(
        "stream_rate",
        "output_token_throughput_per_user",
        "",
        "",
        "",
        "1 / tpot of each request",
    ),
    OtherNames("token_rate", "e2e_output_token_throughput", "output_tokens_per_second"),
    OtherNames(
        "output_tokens_per_s",
        "output_token_throughput",
        "output_tokens_per_second (total)",
        "output_throughput",
        "tokens/s",
        "all streams together, requests that ended well",
    ),
    OtherNames(
        "requests_per_s",
        "request_throughput",
        "requests_per_second",
        "request_throughput",
        "",
        "duration ends with the last response",
    ),
    OtherNames(
        "goodput_per_s",
        "goodput",
        "goodput profile",
        "request_goodput",
        "",
        "vLLM knows ttft, tpot and e2el; here any metric may have a bound",
    ),
    OtherNames("error_share", "error_request_count", "requests: errored", "failed"),
)
"""Our name, theirs, and the difference in words."""
