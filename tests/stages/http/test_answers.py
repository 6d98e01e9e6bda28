"""Answers that are no stream, addresses, proxies and keys."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tokenline.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigError,
    NotAStreamError,
    OverloadedError,
    ProviderError,
    RateLimitError,
)
from tokenline_stages.http.address import parse_url
from tokenline_stages.http.answers import (
    no_stream_error,
    read_report,
    redirect_error,
    retry_after_s,
    status_error,
)
from tokenline_stages.http.keys import custom_headers, find_base_url, find_key, join_url
from tokenline_stages.http.proxies import proxy_applies
from tokenline_stages.http.source_spec import SourceSpec


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "m", "type": "t", "code": "c"}}, ("m", "c", "t")),
        ({"error": {"message": "m", "type": "t", "code": None}}, ("m", None, "t")),
        ({"error": {"message": "m", "code": 400, "status": "INVALID"}}, ("m", None, "INVALID")),
        ([{"error": {"message": "m", "status": "INVALID"}}], ("m", None, "INVALID")),
        ({"type": "error", "error": {"type": "t", "message": "m"}}, ("m", None, "t")),
        ({"code": "c", "error": "m"}, ("m", "c", None)),
        ({"__type": "com.amazon.x#SlowException", "Message": "m"}, ("m", "slowException", None)),
        ({"__type": "SlowException:http://x/", "message": "m"}, ("m", "slowException", None)),
        ({"error": "m"}, ("m", None, None)),
        ({"detail": "m"}, ("m", None, None)),
        ({"detail": [{"msg": "m"}]}, ("[{'msg': 'm'}]", None, None)),
        ({"message": "m"}, ("m", None, None)),
        ("m", ("m", None, None)),
        ([], ("", None, None)),
        (None, ("", None, None)),
        (7, ("", None, None)),
    ],
)
def test_errors_in_every_form(body: object, expected: tuple[str, str | None, str | None]) -> None:
    assert read_report(body) == expected


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "words"),
    [
        (401, {}, b'{"error": {"message": "bad key"}}', AuthenticationError, "bad key (401)"),
        (429, {}, b"", RateLimitError, "Too Many Requests (429)"),
        (529, {}, b'{"error": {"message": "later"}}', OverloadedError, "later (529)"),
        (502, {}, b"<html>oops</html>", ProviderError, "Bad Gateway: '<html>oops</html>' (502)"),
        (599, {}, b"\xff\xfe", ProviderError, "the request failed: '\ufffd\ufffd' (599)"),
        (400, {}, b"[" * 5000, BadRequestError, "Bad Request: '[["),
        (
            400,
            {"x-amzn-errortype": "ThrottlingException:http://internal/"},
            b'{"message": "slow"}',
            RateLimitError,
            "slow (400 throttlingException)",
        ),
    ],
)
def test_error_statuses(
    status: int, headers: dict[str, str], body: bytes, kind: type[Exception], words: str
) -> None:
    error = status_error("acme", status, {**headers, "request-id": "r1"}, body)
    assert isinstance(error, kind)
    assert str(error).startswith(f"acme: {words}")
    assert error.status == status
    assert error.request_id == "r1"


def test_an_answer_that_is_no_stream_says_what_came() -> None:
    error = no_stream_error("acme", 200, {"content-type": "Text/HTML; charset=x"}, b" <p>hi</p>\n")
    assert isinstance(error, NotAStreamError)
    assert "text/html" in str(error)
    assert "'<p>hi</p>'" in str(error)


def test_an_error_with_status_200_is_that_error() -> None:
    headers = {"content-type": "application/json", "retry-after": "3"}
    body = b'{"error": {"type": "rate_limit_error", "message": "slow down"}}'
    error = no_stream_error("acme", 200, headers, body)
    assert isinstance(error, RateLimitError)
    assert error.retry_after_s == 3.0


def test_a_redirect_names_its_target() -> None:
    assert "http://elsewhere/" in str(redirect_error("acme", 308, "http://elsewhere/"))
    assert len(str(redirect_error("acme", 308, "http://" + "x" * 10_000))) < 700
    error = redirect_error("acme", 304, None)
    assert error.status == 304
    assert "None" not in str(error)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:00 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers) == expected


def test_retry_after_a_date_to_come() -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    waiting_s = retry_after_s({"retry-after": date})
    assert waiting_s is not None
    assert 90 < waiting_s <= 100


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "target"),
    [
        ("http://h", "h", 80, "h", "/"),
        ("https://H.test:443/a?b=c#d", "h.test", 443, "h.test", "/a?b=c"),
        ("https://h:8443/", "h", 8443, "h:8443", "/"),
        ("http://[::1]:8080/x", "::1", 8080, "[::1]:8080", "/x"),
        ("http://bücher.test/", "xn--bcher-kva.test", 80, "xn--bcher-kva.test", "/"),
        ("http://h/a%20b/ü", "h", 80, "h", "/a%20b/%C3%BC"),
    ],
)
def test_addresses(url: str, host: str, port: int, authority: str, target: str) -> None:
    address = parse_url(url)
    assert (address.host, address.port) == (host, port)
    assert (address.authority, address.target) == (authority, target)
    assert address.secure == url.startswith("https")
    assert address.is_numeric == (host == "::1")


BAD_ADDRESSES = [
    ("127.0.0.1:8080/v1", "add http:// or https:// before it"),
    ("localhost:8080/v1", "add http:// or https:// before it"),
    ("notaurl", "add http:// or https:// before it"),
    ("ftp://127.0.0.1/v1", "use http:// or https://"),
    ("http://127.0.0.1:99999/v1", "Port out of range"),
    ("http://127.0.0.1:x/v1", "Port could not be cast"),
    ("http://[::1/v1", "Invalid IPv6 URL"),
    ("http:///v1", "its host is missing"),
    ("http://a b/", "not a host name"),
    ("http://me:secret@h.test/", "user name"),
    ("me:secret@h.test:1/v1", "add http:// or https:// before it"),
    ("http://me:secret@h.test:99999/", "Port out of range"),
    ("x" * 5000, "add http:// or https:// before it"),
]


@pytest.mark.parametrize(("url", "words"), BAD_ADDRESSES)
def test_addresses_that_are_none(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_BASE_URL", url)
    for given, origin in ((url, "base_url"), (None, "ACME_BASE_URL")):
        with pytest.raises(ConfigError, match=f"^{origin}: .*{words}") as caught:
            find_base_url(given, "ACME_BASE_URL")
        assert "secret" not in str(caught.value)
        assert len(str(caught.value)) < 300


def test_addresses_are_given_then_configured_then_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_BASE_URL", " http://set.test \n")
    assert find_base_url("http://given.test", "ACME_BASE_URL", "http://u") == "http://given.test"
    assert find_base_url(None, "ACME_BASE_URL", "http://u") == "http://set.test"
    assert find_base_url("", "NO_BASE_URL", "http://u") == "http://u"
    assert find_base_url(None, None) is None
    with pytest.raises(ConfigError, match="base_url: an address is a text"):
        find_base_url(5, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h/v1", ("h", 80)),
        ("https://h:8443", ("h", 8443)),
        (None, (None, None)),
        ("http://h:99999", (None, None)),
        ("h:80/v1", (None, None)),
    ],
)
def test_what_a_source_tells_of_its_server(
    url: str | None, expected: tuple[str | None, int | None]
) -> None:
    spec = SourceSpec("acme", "acme.chat", url)
    assert (spec.server_address, spec.server_port) == expected


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "request_method"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, "https://api.test/", False),
        ({"HTTPS_PROXY": ""}, "https://api.test/", False),
        ({"HTTPS_PROXY": "http://p:1"}, "https://api.test/", True),
        ({"https_proxy": "http://p:1"}, "https://api.test/", True),
        ({"HTTP_PROXY": "http://p:1"}, "https://api.test/", False),
        ({"HTTP_PROXY": "http://p:1"}, "http://api.test/", True),
        ({"ALL_PROXY": "socks5://p:1"}, "https://api.test/", True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "test"}, "https://api.test/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://api.test/", False),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.test:8443"}, "https://api.test/", True),
        (
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "api.test:8443"},
            "https://api.test:8443/",
            False,
        ),
    ],
)
def test_proxies(
    no_proxies: pytest.MonkeyPatch, variables: dict[str, str], url: str, expected: bool
) -> None:
    for name, value in variables.items():
        no_proxies.setenv(name, value)
    assert proxy_applies(url) is expected


def test_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE_KEY", " ")
    monkeypatch.setenv("TWO_KEY", "two\n")
    assert find_key("given", "TWO_KEY") == "given"
    assert find_key(None, None, "ONE_KEY", "TWO_KEY") == "two"
    assert find_key("", "NO_KEY") is None


def test_custom_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_HEADERS", "X-One: 1\nnothing\n: x\nx-Two:a:b")
    assert custom_headers("ACME_HEADERS") == {"x-one": "1", "x-two": "a:b"}
    assert custom_headers("ACME_NO_HEADERS") == {}


def test_join_url() -> None:
    assert join_url("http://h", "/a") == "http://h/a"
    assert join_url("http://h/v1/?k=v#f", "/a") == "http://h/v1/a?k=v"
