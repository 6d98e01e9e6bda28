"""From what is typed to what is meant: times, objectives, endpoints, sweeps."""

from __future__ import annotations

import math
import os
import re
from typing import Any

import msgspec

from tokenline.errors import ConfigError
from tokenline_bench.config import ClosedLoop, Endpoint, Load, Search
from tokenline_bench.load.spec import with_value

_UNITS_NS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9, "": 1e6}
_TIME = re.compile(r"\s*([0-9.]+)\s*(ns|us|ms|s|)\s*")
_ENDPOINT_FIELDS = ("label", "provider", "model", "base_url", "api", "key_env")
_RATES = ("stream_rate", "token_rate")


def read_time_ns(text: str) -> float:
    """`500ms`, `1.5s`, `200us`; a bare number is milliseconds.

    Raises:
        ConfigError: no time.
    """
    match = _TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        return _finite(float(match[1]) * _UNITS_NS[match[2]])
    except ValueError:
        raise ConfigError(f"{text!r} is no time; give one like 500ms or 1.5s") from None


def read_bounds(text: str) -> dict[str, float]:
    """`ttft=500ms,tpot=50ms`: metric names to bounds, times in ns.

    Raises:
        ConfigError: another form.
    """
    bounds = {}
    for part in text.split(","):
        name, separator, value = part.partition("=")
        if not separator:
            raise ConfigError(f"SLO {part!r} is not of the form METRIC=BOUND, like ttft=500ms")
        name = name.strip()
        bounds[name] = _number(value) if name in _RATES else read_time_ns(value)
    return bounds


def read_endpoint(text: str, defaults: Endpoint) -> Endpoint:
    """`label=a,provider=openai,model=m,base_url=http://...,key_env=NAME`; the rest by default.

    Raises:
        ConfigError: another form, or an unknown field.
    """
    given: dict[str, Any] = {}
    for part in text.split(","):
        name, separator, value = part.partition("=")
        name = name.strip().replace("-", "_")
        if not separator or name not in _ENDPOINT_FIELDS:
            known = ", ".join(_ENDPOINT_FIELDS)
            raise ConfigError(f"--endpoint {part!r} is not NAME=VALUE with a name out of: {known}")
        given[name] = value.strip()
    variable = given.pop("key_env", None)
    if variable is not None:
        given["api_key"] = os.environ.get(variable)
        if not given["api_key"]:
            raise ConfigError(f"no key: the variable {variable} is not set")
    return msgspec.structs.replace(defaults, **given)


def read_pairs(pairs: tuple[str, ...], option: str) -> dict[str, str]:
    """`NAME=VALUE` options.

    Raises:
        ConfigError: another form.
    """
    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ConfigError(f"{option} {pair!r} is not of the form NAME=VALUE")
        found[name] = value
    return found


def read_body(text: str | None) -> dict[str, Any]:
    """A JSON object with more fields of the request's body.

    Raises:
        ConfigError: no JSON object.
    """
    if text is None:
        return {}
    try:
        body = msgspec.json.decode(text, type=dict[str, Any])
        msgspec.msgpack.encode(body)  # the form in which processes tell each other
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"--body is no JSON object: {error}") from error
    except OverflowError as error:
        raise ConfigError("--body has an integer of more than 64 bits") from error
    return body


def read_sweep(text: str, template: Load) -> tuple[Load, ...] | Search:
    """`1,2,4,8`: one level each; `1..64`: look for the knee.

    Raises:
        ConfigError: another form.
    """
    low, dots, high = text.partition("..")
    if dots:
        return Search(template=template, low=_level(low, template), high=_level(high, template))
    values = [_level(value, template) for value in text.split(",")]
    twice = {value for value in values if values.count(value) > 1}
    if twice:
        raise ConfigError(f"--sweep has {twice.pop():g} twice; give each level once")
    return tuple(with_value(template, value) for value in values)


def _level(text: str, template: Load) -> float:
    """A value of a sweep; users are whole."""
    value = _number(text)
    if isinstance(template, ClosedLoop) and (value < 1 or value != int(value)):
        raise ConfigError(f"--sweep has a concurrency of {value:g}; give whole numbers from 1 on")
    return value


def _number(text: str) -> float:
    try:
        return _finite(float(text))
    except ValueError:
        raise ConfigError(f"{text.strip()!r} is no number") from None


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError
    return number
