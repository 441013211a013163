"""FORMAT.md 4.2 and 4.3 once more, word for word in Python integers: the oracle of the tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rdedge import native
from rdedge.coding.tables import Tables

BACKENDS = [
    pytest.param("c", marks=pytest.mark.skipif(native.library() is None, reason="no C library")),
    "numpy",
]


def encode(
    tables: Tables, index: Sequence[int], symbols: Sequence[int], lanes: int
) -> tuple[bytes, bytes]:
    """The streams latents and escapes."""
    lower = 1 << 31
    states = [lower if lanes > 1 else 0] * lanes
    words: list[bytes] = []
    escapes: list[bytes] = []
    for i in range(len(symbols) - 1, -1, -1):
        t = index[i % len(index)]
        minimum = int(tables.minimum[t])
        frequencies = [int(f) for f in tables.frequencies[t]]
        n = len(frequencies) - 1
        entry = symbols[i] - minimum
        if not 0 <= entry < n:
            away = symbols[i] - (minimum + n)
            escapes.append(varint(2 * away if away >= 0 else 2 * (minimum - 1 - symbols[i]) + 1))
            entry = n
        f, c = frequencies[entry], sum(frequencies[:entry])
        x = states[i % lanes]
        if lanes == 1 and x < f:
            likeliest = sum(frequencies[: frequencies.index(max(frequencies))])
            slots = ((int(f"{y:016b}"[::-1], 2) + likeliest) % 2**16 for y in range(2**16))
            states[0] = [y for y, slot in enumerate(slots) if c <= slot < c + f][x]
            continue
        if x >= f << 47:
            words.append((x % 2**32).to_bytes(4, "little"))
            x >>= 32
        states[i % lanes] = ((x // f) << 16) + c + x % f
    body = b"".join(reversed(words))
    if lanes > 1:
        head = b"".join(x.to_bytes(8, "little") for x in states)
    else:
        size = 0
        while states[0] >> (8 * size):
            size += 1
        head = states[0].to_bytes(max(size, 5 if body else 0), "little")
    return head + body, b"".join(reversed(escapes))


def varint(value: int) -> bytes:
    out = []
    while value > 127:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def gaussian_tables(stds: Sequence[float]) -> Tables:
    """One table per standard deviation, 4 of them wide; the rest escapes."""
    from rdedge.coding.tables import tables_from_counts

    minimum, weights = [], []
    for std in stds:
        reach = int(4 * std) + 1
        k = np.arange(-reach, reach + 1)
        minimum.append(-reach)
        weights.append(np.append(np.exp(-0.5 * (k / std) ** 2), 1e-4))
    return tables_from_counts(minimum, weights)
