"""Bare Zstandard frames: there and back, never more than was asked for, nothing after them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdedge.codec import frames
from rdedge.errors import FormatError


@given(st.binary(min_size=1, max_size=40), st.integers(8, 60))
def test_there_and_back(part: bytes, times: int) -> None:
    data = part * times
    frame = frames.compress(data)
    if frame is None:
        return
    assert len(frame) < len(data)
    assert frames.decompress(frame, len(data)) == data
    assert frames.decompress(frame, 10 * len(data)) == data
    assert 0 <= frames.guessed_bits(data) <= 8 * len(frame)


@given(st.binary(min_size=1, max_size=9), st.sampled_from([0, 1, 5000]))
def test_what_follows_is_refused(after: bytes, more: int) -> None:
    data = b"ab" * 300
    frame = frames.compress(data)
    assert frame is not None
    with pytest.raises(FormatError):
        frames.decompress(frame + after, len(data) + more)


def test_more_than_was_asked_for_is_refused() -> None:
    frame = frames.compress(bytes(100_000))
    assert frame is not None
    assert len(frame) < 40
    for most in (0, 1, 99_999):
        with pytest.raises(FormatError):
            frames.decompress(frame, most)
    for cut in range(len(frame)):
        with pytest.raises(FormatError):
            frames.decompress(frame[:cut], 100_000)
