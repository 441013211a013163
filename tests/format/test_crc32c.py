from __future__ import annotations

import numpy as np
import pytest

from rdedge import native
from rdedge.format import crc32c as module
from rdedge.format.crc32c import crc32c


@pytest.fixture(params=["c", "numpy"], autouse=True)
def backend(request, monkeypatch):
    if request.param == "numpy":
        monkeypatch.setenv("RDEDGE_NATIVE", "0")
    elif native.library() is None:
        pytest.skip("no C library")


# RFC 3720, appendix B.4, and the check value of the catalogue of CRCs.
VECTORS = [
    (b"", 0),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(range(31, -1, -1)), 0x113FDB5C),
    (
        bytes.fromhex(
            "01c00000000000000000000000000000"
            "14000000000004000000001400000018"
            "28000000000000000200000000000000"
        ),
        0xD9963A56,
    ),
]


@pytest.mark.parametrize(("data", "expected"), VECTORS)
def test_published_vectors(data, expected):
    assert crc32c(data) == expected
    assert crc32c(memoryview(data)) == expected
    assert crc32c(bytearray(data)) == expected


def slowly(data: bytes) -> int:
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ 0x82F63B78 * (register & 1)
    return register ^ 0xFFFFFFFF


@pytest.mark.parametrize("length", [1, 7, 8, 9, 63, 64, 65, 511, 512, 513, 576, 1024, 4099, 20_000])
def test_all_ways_agree_with_the_definition(length):
    data = np.random.default_rng(length).bytes(length)
    assert crc32c(data) == slowly(data)


@pytest.mark.parametrize("length", [0, 7, 8, 65, 4099])
def test_c_without_the_instruction_agrees(length, monkeypatch):
    monkeypatch.delenv("RDEDGE_NATIVE", raising=False)
    library = native.library()
    assert library is not None, "the tests need the C library: install a compiler, then make test"
    data = np.random.default_rng(length).bytes(length)
    assert library.crc32c_by_tables(module._native_tables().address, data, length) == slowly(data)
