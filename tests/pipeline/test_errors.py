"""What every error of the library has in common."""

import copy
import pickle

import pytest

from tokenline.errors import (
    ConfigError,
    ProviderError,
    StreamError,
    TokenlineError,
    WiringError,
)


@pytest.mark.parametrize("kind", [TokenlineError, ConfigError, WiringError, StreamError])
def test_a_message_is_one_line(kind: type[TokenlineError]) -> None:
    error = kind("  one\n\ttwo\r\n three\u2028four ")
    assert str(error) == "one two three four"
    assert error.args == (str(error),)


def test_a_message_is_safe_to_print() -> None:
    assert str(StreamError("a\x00b\x1b[31mc\x9bd é 漢")) == "a\ufffdb\ufffd[31mc\ufffdd é 漢"


def test_a_servers_words_do_not_fill_the_log() -> None:
    assert len(str(StreamError("x" * 10**6))) < 1100


def test_errors_are_copied_whole() -> None:
    error = ProviderError("no\nway", provider="acme", status=429, retry_after_s=3.0)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is ProviderError
        assert str(twin) == "no way"
        assert (twin.provider, twin.status, twin.retry_after_s) == ("acme", 429, 3.0)
