from __future__ import annotations

import pytest

from rdedge.errors import FormatError, TruncatedError
from rdedge.format.varint import (
    append_varint,
    append_zigzag,
    read_varint,
    read_zigzag,
    varint_bytes,
)


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, "00"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16383, "ff7f"),
        (16384, "808001"),
        (2**64 - 1, "ffffffffffffffffff01"),
    ],
)
def test_known_bytes(value, data):
    out = bytearray()
    append_varint(out, value)
    assert out.hex() == data
    assert varint_bytes(value) == len(out)
    assert read_varint(b"\xff" + out + b"\xff", 1) == (value, 1 + len(out))


@pytest.mark.parametrize(
    ("value", "data"),
    [
        (0, "00"),
        (-1, "01"),
        (1, "02"),
        (-64, "7f"),
        (-(2**63), "ffffffffffffffffff01"),
        (2**63 - 1, "feffffffffffffffff01"),
    ],
)
def test_zigzag(value, data):
    out = bytearray()
    append_zigzag(out, value)
    assert out.hex() == data
    assert read_zigzag(memoryview(out), 0) == (value, len(out))


@pytest.mark.parametrize("data", ["", "80", "ffff", "ffffffffffffffffff"])
def test_ends_too_early(data):
    with pytest.raises(TruncatedError):
        read_varint(bytes.fromhex(data), 0)


@pytest.mark.parametrize(
    "data", ["8000", "ff8000", "ffffffffffffffffff02", "ffffffffffffffffffff", "80" * 11]
)
def test_not_canonical_or_too_large(data):
    with pytest.raises(FormatError) as caught:
        read_varint(bytes.fromhex(data), 0)
    assert caught.type is FormatError


@pytest.mark.parametrize("value", [-1, 2**64])
def test_values_out_of_range(value):
    with pytest.raises(FormatError):
        append_varint(bytearray(), value)
