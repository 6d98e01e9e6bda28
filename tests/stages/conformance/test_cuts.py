"""Cuts keep every byte; the same seed cuts in the same places."""

from hypothesis import given
from hypothesis import strategies as st

from tokenline_stages.conformance.cuts import cut_at_random, cut_everywhere


@given(st.binary(max_size=300), st.integers(0, 1000))
def test_pieces_join_to_the_body(body: bytes, seed: int) -> None:
    pieces = list(cut_at_random(body, seed))
    assert b"".join(pieces) == body
    assert all(pieces)
    assert pieces == list(cut_at_random(body, seed))
    assert [len(piece) for piece in cut_everywhere(body)] == [1] * len(body)
    assert b"".join(cut_everywhere(body)) == body


def test_seeds_cut_few_and_many_times() -> None:
    body = b"data: abcdef\r\n\r\n" * 1000
    counts = [len(list(cut_at_random(body, seed))) for seed in range(20)]
    assert min(counts) < 10
    assert max(counts) > 100


def test_cuts_split_line_ends() -> None:
    body = b"data: abcdef\r\n\r\n" * 1000
    pieces = [piece for seed in range(20) for piece in cut_at_random(body, seed)]
    assert any(piece.endswith(b"\r") for piece in pieces)
    assert any(piece.endswith(b"\r\n\r\n") for piece in pieces)
