"""Ways to damage a stream: its records, the JSON in them, and the bytes of the whole."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from .streams import Record, Stream

Damage = Callable[[Stream, Sequence[Stream], Random], Stream]

_MARK = "\ue000mark"
_LITERALS = (
    "1e999",
    "-1e999",
    "9" * 400,
    "9" * 5000,
    "-9223372036854775809",
    "18446744073709551616",
    "0.1",
    "-1",
    "-0",
    "1e2",
    "NaN",
    "null",
    "true",
    '""',
    "[]",
    "{}",
    "[null]",
    '{"":{}}',
    '"\\ud83d"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"\\u2028"',
    '"[DONE]"',
    '"a" "b"',
    '{"a":1,"a":2}',
)
_TOKENS = (
    b"\r",
    b"\n",
    b"\n\n",
    b"\r\n\r\n",
    b"\x00",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xa8",
    b"\xed\xa0\xbd",
    b"\xf0\x9f",
    b"data:",
    b"data: [DONE]\n\n",
    b"data: {}\n\n",
    b"data: \n\n",
    b"event: error\n",
    b"event: \n",
    b": ping\n\n",
    b"id: 1\n",
    b"retry: 5\n",
    b'{"error":{"message":"no"}}\n',
    b'data: {"error":{"message":"no","code":500}}\n\n',
    b"}",
    b"{",
    b'"',
    b"\\",
)


# --- JSON ------------------------------------------------------------------------------------


def _places(value: Any, found: list[tuple[Any, Any]]) -> None:
    """Every container with each of its keys."""
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        keys = inner if isinstance(inner, dict) else range(len(inner))
        found.extend((inner, key) for key in keys)
        values = inner.values() if isinstance(inner, dict) else inner
        waiting.extend(each for each in values if isinstance(each, dict | list))


def _literal(random: Random) -> str:
    kind = random.random()
    if kind < 0.06:
        depth = random.choice((3, 120, 140, 250, 300, 3000, 100_000))
        opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
        return opening * depth + "1" + closing * random.choice((depth, depth - 1))
    if kind < 0.1:
        return json.dumps("x" * random.choice((100, 5000, 200_000)))
    if kind < 0.3:
        return str(random.choice((0, 1, 2, 3, 7, 255, 10**6, 2**31, 2**63)))
    return random.choice(_LITERALS)


def _change_value(value: Any, places: list[tuple[Any, Any]], random: Random) -> None:
    container, key = random.choice(places)
    kind = random.randrange(5)
    if kind == 0:
        del container[key]
    elif kind == 1:
        other, other_key = random.choice(places)
        container[key] = json.loads(json.dumps(other[other_key]))
    elif kind == 2 and isinstance(container[key], str):
        text = container[key]
        at = random.randrange(len(text) + 1)
        container[key] = random.choice((text[:at], text + text, text.upper(), text[at:]))
    else:
        container[key] = _MARK


def change_json(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Change one value, or drop, copy or misspell it."""
    if not stream.records:
        return stream
    at = random.randrange(len(stream.records))
    record = stream.records[at]
    try:
        value = json.loads(record.data)
        places: list[tuple[Any, Any]] = []
        if isinstance(value, dict | list):
            _places(value, places)
    except (ValueError, RecursionError):
        return stream
    if not places:
        return _with(stream, at, replace(record, data=_literal(random).encode()))
    _change_value(value, places, random)
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    for spelling in (json.dumps(_MARK), json.dumps(_MARK, ensure_ascii=False)):
        text = text.replace(spelling, _literal(random))
    return _with(stream, at, replace(record, data=text.encode("utf-8", "surrogatepass")))


def cut_json(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Cut the JSON of one record."""
    if not stream.records:
        return stream
    at = random.randrange(len(stream.records))
    data = stream.records[at].data
    cut = data[: random.randrange(len(data) + 1)]
    return _with(stream, at, replace(stream.records[at], data=cut))


# --- records ---------------------------------------------------------------------------------


def _with(stream: Stream, at: int, record: Record) -> Stream:
    records = (*stream.records[:at], record, *stream.records[at + 1 :])
    return replace(stream, records=records)


def drop(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Leave out a few neighbouring records."""
    at = random.randrange(len(stream.records) + 1)
    rest = stream.records[at + random.randint(1, 4) :]
    return replace(stream, records=(*stream.records[:at], *rest))


def end_early(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Leave out the end."""
    return replace(stream, records=stream.records[: random.randrange(len(stream.records) + 1)])


def repeat(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Send a few neighbouring records again, somewhere."""
    start = random.randrange(len(stream.records) + 1)
    again = stream.records[start : start + random.randint(1, 5)]
    at = random.randrange(len(stream.records) + 1)
    return replace(stream, records=(*stream.records[:at], *again, *stream.records[at:]))


def flood(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Send one record a few thousand times."""
    if not stream.records or random.random() < 0.8:
        return stream
    at = random.randrange(len(stream.records))
    again = (stream.records[at],) * random.choice((300, 3000))
    return replace(stream, records=(*stream.records[:at], *again, *stream.records[at:]))


def swap(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Change the order of a few records."""
    records = list(stream.records)
    for _ in range(random.randint(1, 3) if records else 0):
        one, other = random.randrange(len(records)), random.randrange(len(records))
        records[one], records[other] = records[other], records[one]
    return replace(stream, records=tuple(records))


def splice(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Put records of another stream of the same API in between."""
    donor = random.choice(others).records
    start = random.randrange(len(donor) + 1)
    taken = donor[start : start + random.randint(1, 8)]
    at = random.randrange(len(stream.records) + 1)
    return replace(stream, records=(*stream.records[:at], *taken, *stream.records[at:]))


def rename(stream: Stream, others: Sequence[Stream], random: Random) -> Stream:
    """Give a record the name of another."""
    if not stream.records:
        return stream
    at, other = (random.randrange(len(stream.records)) for _ in range(2))
    source = stream.records[other]
    record = replace(stream.records[at], head=source.head, headers=source.headers)
    return _with(stream, at, record)


RECORD_DAMAGE: tuple[Damage, ...] = (
    change_json,
    change_json,
    change_json,
    change_json,
    cut_json,
    drop,
    end_early,
    repeat,
    flood,
    swap,
    splice,
    rename,
)


# --- bytes -----------------------------------------------------------------------------------


def _flip(body: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 1, 2, 8))):
        if body:
            body[random.randrange(len(body))] = random.randrange(256)


def _cut(body: bytearray, random: Random) -> None:
    del body[random.randrange(len(body) + 1) :]


def _take_out(body: bytearray, random: Random) -> None:
    start = random.randrange(len(body) + 1)
    del body[start : start + random.choice((1, 2, 10, 200))]


def _double(body: bytearray, random: Random) -> None:
    start = random.randrange(len(body) + 1)
    body[start:start] = body[start : start + random.choice((1, 20, 500))]


def _insert(body: bytearray, random: Random) -> None:
    start = random.randrange(len(body) + 1)
    body[start:start] = random.choice(_TOKENS) * random.choice((1, 1, 2, 50))


def _swell(body: bytearray, random: Random) -> None:
    if random.random() < 0.1:
        start = random.randrange(len(body) + 1)
        body[start:start] = random.choice((*_TOKENS, b"x", b" ", b"{[")) * 20_000


BYTE_DAMAGE: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip,
    _flip,
    _cut,
    _take_out,
    _double,
    _swell,
    _insert,
    _insert,
)


def damaged(stream: Stream, others: Sequence[Stream], random: Random) -> bytes:
    """A body made of `stream`, damaged in one to four ways."""
    for _ in range(random.choice((0, 1, 1, 2, 4))):
        stream = random.choice(RECORD_DAMAGE)(stream, others, random)
    body = bytearray(stream.encode(random))
    for _ in range(random.choice((0, 0, 0, 1, 2))):
        random.choice(BYTE_DAMAGE)(body, random)
    return bytes(body)
