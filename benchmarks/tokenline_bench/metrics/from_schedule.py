"""Latencies from the scheduled time: what a user meets who does not wait for others' answers.

    TTFT from schedule       = first_token_ns - scheduled_ns
    end to end from schedule = last_token_ns - scheduled_ns
    schedule delay           = request_ns - scheduled_ns

In an open loop requests come at set times. If the harness, or its limit of requests in flight,
holds one back, the wait counts: leaving it out is called coordinated omission. In a closed loop
a request is scheduled when its user is free, so both latencies equal those from the request,
and a stall of the server hides the requests that users could not send meanwhile.
"""

from tokenline_bench.sample import Sample

from .metric import RequestMetric


def first_token(sample: Sample) -> int | None:
    """TTFT from the scheduled time in ns."""
    return sample.since_schedule(sample.first_token_ns)


def end_to_end(sample: Sample) -> int | None:
    """End-to-end latency from the scheduled time in ns."""
    return sample.since_schedule(sample.last_token_ns)


def delay(sample: Sample) -> int | None:
    """How late the request was issued in ns."""
    return sample.since_schedule(sample.request_ns)


FIRST_TOKEN = RequestMetric(
    "ttft_scheduled",
    "TTFT from schedule",
    "ns",
    first_token,
    "first_token_ns - scheduled_ns",
    from_start=True,
)
END_TO_END = RequestMetric(
    "e2e_scheduled",
    "e2e from schedule",
    "ns",
    end_to_end,
    "last_token_ns - scheduled_ns",
    from_start=True,
)
DELAY = RequestMetric("schedule_delay", "schedule delay", "ns", delay, "request_ns - scheduled_ns")
