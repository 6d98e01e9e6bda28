"""Recordings on disk: found, chosen, and refused with one clear reason."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tokenline_stages.conformance import recordings
from tokenline_stages.conformance.recording import STAND_IN_MODEL
from tokenline_stages.simulator import RecordingError

from .conftest import HELLO, HELLO_EXPECTED, Write


def test_recordings_are_found_and_read(tmp_path: Path, write: Write) -> None:
    write("b", "openai.compat:acme", provider="acme")
    write("a")
    (tmp_path / "NOTES.json").write_text("[1, 2]")
    (tmp_path / "folder.json").mkdir()
    assert [str(each) for each in recordings(tmp_path)] == ["a", "b"]
    content = recordings(str(tmp_path), "b")[0].read()
    assert (content.api, content.provider, content.status) == ("openai.compat:acme", "acme", 200)
    assert content.body == HELLO
    assert content.expected == HELLO_EXPECTED
    assert content.payload == {"model": "m", "messages": []}


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        (None, ["chat.one", "chat.two", "gemini.one"]),
        ("chat", ["chat.one", "chat.two"]),
        ("*.one", ["chat.one", "gemini.one"]),
        ("one*", []),
        ("c[h]at.t?o", ["chat.two"]),
    ],
)
def test_filters(tmp_path: Path, write: Write, pattern: str | None, names: list[str]) -> None:
    for name in ("chat.one", "chat.two", "gemini.one"):
        write(name)
    assert [each.name for each in recordings(tmp_path, pattern)] == names


def test_the_model_of_the_path_goes_into_the_payload(write: Write) -> None:
    request: dict[str, Any] = {"json": {"contents": []}}
    assert write(model="a%3A0", request=request).read().payload == {"contents": [], "model": "a:0"}
    assert write(model="x", request={"json": {"modelId": "y"}}).read().payload == {"modelId": "y"}
    assert write(model="x", request={"json": "text"}).read().payload == {"model": "x"}


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1beta/models/gemini-9:streamGenerateContent?alt=sse", "gemini-9"),
        ("/v1beta/tunedModels/mine:streamGenerateContent", "tunedModels/mine"),
        ("/model/acme.one-v1:0/converse-stream", "acme.one-v1:0"),
        ("/model/acme.one-v1%3A0/converse-stream", "acme.one-v1:0"),
        ("/v1/publishers/acme/models/one@2024:streamRawPredict", "one@2024"),
        ("https://host/openai/deployments/mine/chat/completions", "mine"),
        ("/v1/chat/completions", STAND_IN_MODEL),
        (None, STAND_IN_MODEL),
        (7, STAND_IN_MODEL),
    ],
)
def test_a_model_that_is_not_stated(write: Write, path: Any, model: str) -> None:
    assert write(request={"path": path, "json": {}}).read().payload == {"model": model}
    assert write(request={"url": path, "json": {}}).read().payload == {"model": model}
    assert write(request=None).read().payload == {"model": STAND_IN_MODEL}


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is no folder"):
        recordings(tmp_path / "none")
    with pytest.raises(RecordingError, match="has no recordings"):
        recordings(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("hello.json", b'{"body_file":"hello.body"', r"hello\.json: "),
        ("hello.json", b'{"body_file":"hello.body"}', "`api`"),
        ("hello.json", b'{"api":"openai.chat","body_file":7}', "body_file"),
        ("hello.json", None, r"cannot read hello\.json: No such file"),
        ("hello.body", None, r"cannot read hello\.body: No such file"),
        ("hello.expected.json", b"[]", r"hello\.expected\.json: Expected `object`"),
        ("hello.expected.json", b"\xff", r"hello\.expected\.json: "),
        ("hello.expected.json", b'{"a":' + b"[" * 9999, r"hello\.expected\.json: "),
        ("hello.expected.json", b'{"tool_calls":[1]}', r"Expected `object`.*tool_calls"),
        ("hello.expected.json", b'{"usage":7}', "usage"),
        ("hello.expected.json", b'{"choices":[7]}', "choices"),
        ("hello.expected.json", b'{"choices":[{"tool_calls":{}}]}', "choices"),
        ("hello.expected.json", None, r"cannot read hello\.expected\.json"),
    ],
)
def test_broken_files(
    tmp_path: Path, write: Write, file: str, content: bytes | None, reason: str
) -> None:
    write()
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    (recording,) = recordings(tmp_path)
    with pytest.raises(RecordingError, match=reason):
        recording.read()


def test_a_body_that_was_changed_is_refused(tmp_path: Path, write: Write) -> None:
    recording = write(body_sha256=hashlib.sha256(HELLO).hexdigest())
    assert recording.read().body == HELLO
    (tmp_path / "hello.body").write_bytes(HELLO.replace(b"\n", b"\r\n"))
    with pytest.raises(RecordingError, match="not the body that was recorded"):
        recording.read()


def test_a_body_is_never_looked_for_elsewhere(tmp_path: Path, write: Write) -> None:
    recording = write()
    about = json.loads((tmp_path / "hello.json").read_bytes())
    (tmp_path / "hello.json").write_text(json.dumps(about | {"body_file": "/etc/hello.body"}))
    assert recording.read().body == HELLO
