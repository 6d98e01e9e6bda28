"""Cassettes: no secret gets in, a crash loses nothing noted, mistakes have line numbers."""

import json
import logging
from pathlib import Path

import pytest

from tokenline.redaction import MARK
from tokenline_stages.simulator import (
    CassetteHead,
    CassetteWriter,
    Plan,
    RecordedRequest,
    RecordingError,
    Simulator,
    read_cassette,
)

HEAD = '{"format":"tokenline-cassette","version":1,"t_ns":5}\n'
READ = '{"t_ns":7,"data":"YWJj"}\n'
KEY = "sk-proj-abcdefghij1234567890"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.cassette.jsonl"


def test_no_secret_is_written(path: Path) -> None:
    head = CassetteHead(
        request=RecordedRequest(
            url="https://me:PASSWORD@h/v1?sig=SIGNATURE&x=1",
            headers={"X-Tenant": "TENANT-KEY", "Accept": "*/*"},
            json={"api_key": "BODY-KEY", "messages": [f"use {KEY}"], "user": "TENANT-KEY"},
        ),
        headers=(("Location", "/next?auth=TICKET"), ("x-session", "SESSION"), ("cf-id", "1")),
    )
    with CassetteWriter(path, head, ["CLIENT-KEY"]) as writer:
        writer.read(1, b"BODY-KEY")
        writer.end(2, "403 for TENANT-KEY and CLIENT-KEY at https://me:PW@h/?auth=T")
    text = path.read_text()
    secrets = ("PASSWORD", "SIGNATURE", "TENANT-KEY", "BODY-KEY", KEY, "TICKET", "SESSION")
    assert not [secret for secret in (*secrets, "CLIENT-KEY", "PW", "auth=T") if secret in text]
    cassette = read_cassette(path)
    request = cassette.head.request
    assert request.url == f"https://{MARK}@h/v1?sig={MARK}&x=1"
    assert request.headers == {"X-Tenant": MARK, "Accept": "*/*"}
    assert request.json == {"api_key": MARK, "messages": [f"use {MARK}"], "user": MARK}
    assert cassette.head.headers[0] == ("Location", f"/next?auth={MARK}")
    assert cassette.head.headers[2] == ("cf-id", "1")
    assert cassette.body == b"BODY-KEY", "the response's body is kept byte for byte"
    assert cassette.end is not None
    assert cassette.end.error == f"403 for {MARK} and {MARK} at https://{MARK}@h/?auth={MARK}"


def test_every_line_is_in_the_file_at_once(path: Path) -> None:
    writer = CassetteWriter(path, CassetteHead())
    for count in range(3):
        assert len(read_cassette(path).reads) == count
        writer.read(count, b"abc")
    writer.close()


def test_an_error_without_a_text_is_an_error(path: Path) -> None:
    with CassetteWriter(path, CassetteHead()) as writer:
        writer.end(1, "")
    end = read_cassette(path).end
    assert end is not None
    assert end.end == "cut"


@pytest.mark.parametrize("last", [READ, '{"t_ns":9,"end":"cut","error":"Grüße"}\n'])
def test_a_half_written_last_line_is_left_out(
    path: Path, last: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = last.encode()
    for stop in range(1, len(data) - 1):
        path.write_bytes((HEAD + READ).encode() + data[:stop])
        caplog.clear()
        with caplog.at_level(logging.WARNING, "tokenline"):
            cassette = read_cassette(path)
        assert cassette.truncated
        assert cassette.end is None
        assert cassette.body == b"abc"
        assert caplog.messages == [
            "x.cassette.jsonl line 3 is truncated; the 1 reads before it are kept"
        ]
    path.write_text(HEAD + READ + last.rstrip())
    assert not read_cassette(path).truncated, "only the line feed is missing"


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (HEAD + '{"t_ns":-1,"data":""}\n', "line 2: t_ns -1 is negative"),
        (HEAD + '{"t_ns":4,"data":""}\n', "line 2: t_ns 4 is before the 5 of the line above"),
        (HEAD + READ + '{"t_ns":6,"data":""}\n', "line 3: t_ns 6 is before the 7"),
        (HEAD + READ + '{"t_ns":6,"end":"complete"}\n', "line 3: t_ns 6 is before the 7"),
        (HEAD.replace("5", "-5"), "line 1: t_ns -5 is negative"),
        (HEAD + '{"t_ns":7,"da\n' + READ, "line 2: "),
        (HEAD + '{"t_ns":7,"da\n', "line 2: "),
        (HEAD[:30], "line 1: "),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(path: Path, lines: str, complaint: str) -> None:
    path.write_text(lines)
    with pytest.raises(RecordingError, match=complaint):
        read_cassette(path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"headers": [["x-a", "b\r\nSet-Cookie: c"]]}, "header 'x-a' has a line break"),
        ({"headers": [["x-a\r\nb", "c"]]}, r"'x-a\\r\\nb' is no name of a header"),
        ({"headers": [["", "c"]]}, "'' is no name of a header"),
        ({"status": 99}, "status 99 is not from 200 to 599"),
    ],
)
def test_a_head_that_cannot_be_sent_is_refused(
    path: Path, changes: dict[str, object], complaint: str
) -> None:
    path.write_text(json.dumps({**json.loads(HEAD), **changes}) + "\n" + READ)
    with pytest.raises(RecordingError, match=f"line 1: {complaint}") as caught:
        read_cassette(path)
    assert "\n" not in str(caught.value)


@pytest.mark.anyio
async def test_the_simulator_says_what_is_wrong_with_a_header(path: Path) -> None:
    import aiohttp

    path.write_text(HEAD.replace("{", '{"headers":[["x-a","b\\r\\nc"]],') + READ)
    (path.parent / "pair.sse").write_bytes(b"")
    pair = {"body_file": "pair.sse", "content_type": "a/b\r\nx: y"}
    (path.parent / "pair.json").write_text(json.dumps(pair))
    async with (
        Simulator(Plan(speed=0), recordings=path.parent) as simulator,
        aiohttp.ClientSession() as session,
    ):
        for name, header in (("x", "x-a"), ("pair", "content-type")):
            async with session.get(f"{simulator.url}/recordings/{name}") as response:
                assert response.status == 404
                assert f"header '{header}' has a line break" in await response.text()
