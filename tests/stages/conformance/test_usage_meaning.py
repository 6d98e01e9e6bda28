"""Counts in the providers' own words; objects written by hand from their documentation."""

from typing import Any

import pytest

from tokenline_stages.conformance.usage_meaning import MEMBERS, own_counts

CASES: list[tuple[dict[str, Any], dict[str, int]]] = [
    (
        {
            "prompt_tokens": 9,
            "completion_tokens": 4,
            "total_tokens": 13,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        {
            "input_tokens": 9,
            "output_tokens": 4,
            "total_tokens": 13,
            "cached_tokens": 8,
            "reasoning_tokens": 3,
        },
    ),
    (
        {
            "input_tokens": 9,
            "output_tokens": 4,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 0,
        },
        {"input_tokens": 9, "output_tokens": 4, "cached_tokens": 5, "cache_write_tokens": 0},
    ),
    (
        {
            "promptTokenCount": 9,
            "candidatesTokenCount": 4,
            "thoughtsTokenCount": 6,
            "totalTokenCount": 19,
        },
        {"input_tokens": 9, "output_tokens": 4, "reasoning_tokens": 6, "total_tokens": 19},
    ),
    (
        {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13, "cacheReadInputTokens": 2},
        {"input_tokens": 9, "output_tokens": 4, "total_tokens": 13, "cached_tokens": 2},
    ),
    (
        {"amazon-bedrock-invocationMetrics": {"inputTokenCount": 9, "outputTokenCount": 4}},
        {"input_tokens": 9, "output_tokens": 4},
    ),
    ({"prompt_eval_count": 9, "eval_count": 4}, {"input_tokens": 9, "output_tokens": 4}),
    ({"prompt_tokens": None, "completion_tokens": 4.0, "total_tokens": True}, {"output_tokens": 4}),
    ({"prompt_tokens_details": 5, "prompt_tokens": "9"}, {}),
]


@pytest.mark.parametrize(("raw", "counts"), CASES)
def test_own_counts(raw: dict[str, Any], counts: dict[str, int]) -> None:
    assert own_counts(raw) == dict.fromkeys(MEMBERS) | counts


def test_no_usage() -> None:
    assert own_counts(None) == dict.fromkeys(MEMBERS)
