"""Recordings made by hand in a temporary folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tokenline_stages.conformance import Recording

Write = Callable[..., Recording]

HELLO = (
    b"".join(
        b"data: "
        + json.dumps({"id": "c1", "model": "m-1", **more}, ensure_ascii=False).encode()
        + end
        for more, end in (
            ({"choices": [{"index": 0, "delta": {"reasoning": "Hm."}}]}, b"\r\n\r\n"),
            ({"choices": [{"index": 0, "delta": {"content": "Grüße 👋"}}]}, b"\n\n"),
            ({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, b"\n\n"),
            (
                {
                    "choices": [],
                    "usage": {
                        "prompt_tokens": 7,
                        "completion_tokens": 3,
                        "total_tokens": 10,
                        "prompt_tokens_details": {"cached_tokens": 2},
                    },
                },
                b"\n\n",
            ),
        )
    )
    + b"data: [DONE]\n\n"
)

HELLO_EXPECTED = {
    "oracle": {"method": "read by hand"},
    "text": "Grüße 👋",
    "reasoning": "Hm.",
    "tool_calls": [],
    "stop_reason": "stop",
    "message_id": "c1",
    "model": "m-1",
    "usage": {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10, "cached_tokens": 2},
}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the three files of a recording; the default is a short chat answer."""

    def make(
        name: str = "hello",
        api: str = "openai.chat",
        body: bytes = HELLO,
        expected: dict[str, Any] | None = None,
        **metadata: Any,
    ) -> Recording:
        about = {
            "id": name,
            "api": api,
            "body_file": f"{name}.body",
            "content_type": "text/event-stream",
            "status": 200,
            "request": {"json": {"model": "m", "messages": []}},
            **metadata,
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(about))
        (tmp_path / f"{name}.body").write_bytes(body)
        stated = json.dumps(HELLO_EXPECTED if expected is None else expected)
        (tmp_path / f"{name}.expected.json").write_text(stated)
        return Recording(tmp_path, name)

    return make
