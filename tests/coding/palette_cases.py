"""Palettes of random sizes and weights, with tables and pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdedge.coding.palette import Palette
from rdedge.coding.tables import Tables


@dataclass(frozen=True)
class Case:
    """symbols: (count * lines * columns,) int32; scaled: the same, somewhere near in float32."""

    palette: Palette
    tables: Tables
    count: int
    size: tuple[int, int]
    symbols: NDArray[np.int32]
    scaled: NDArray[np.float32]

    @property
    def grid(self) -> tuple[int, ...]:
        return self.size if self.palette.size == (0, 0) else ()


def two_answers(frequencies: NDArray[np.integer]) -> Tables:
    """Tables of the symbols 0 and 1; frequencies: of 1, from 1 to 65534."""
    return Tables(
        np.zeros(len(frequencies), np.int32),
        tuple(np.array([65535 - f, f, 1]) for f in frequencies.tolist()),
    )


def palette_of(rng: np.random.Generator, values: int, size: tuple[int, int]) -> Palette:
    def some(shape: tuple[int, ...], most: int, dtype: type = np.int32) -> NDArray[np.int32]:
        return rng.integers(-most, most + 1, shape).astype(dtype)

    reach = int(rng.integers(1, 10))
    every = [(up, right) for up in range(4) for right in range(-reach, reach + 1 if up else 0)]
    count = int(rng.integers(1, min(len(every), 30) + 1))
    chosen = [every[i] for i in rng.choice(len(every), count, replace=False)]
    offsets = tuple(sorted(chosen, key=lambda one: (-one[0], one[1])))
    first, second = (int(n) for n in rng.integers(1, 20, 2))
    large = bool(rng.random() < 0.2)
    most = 4095 if large else 300
    inner = sorted(rng.choice(np.arange(1, 65535), values - 2, replace=False).tolist())
    return Palette(
        size=size,
        codes=some((values + 1,), 127, np.int8),
        positions=(0, *inner, 65535),
        offsets=offsets,
        levels=int(rng.integers(1, 50)),
        shifts=(int(rng.integers(0, 10)), int(rng.integers(0, 12)), int(rng.integers(6, 16))),
        weights=some((first, count), most, np.int16),
        biases=some((first,), 1 << 28 if large else 4000),
        of_lines=some((size[0], first), 1 << 26 if large else 2000),
        of_columns=some((size[1], first), 1 << 26 if large else 2000),
        weights_2=some((second, first), most, np.int16),
        biases_2=some((second,), 1 << 28 if large else 4000),
        out_weights=some((values - 1, second), most, np.int16),
        out_biases=some((values - 1,), 1 << 28 if large else 60000),
    )


def case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    values, count = int(rng.integers(2, 9)), int(rng.integers(1, 4))
    size = (int(rng.integers(1, 9)), int(rng.integers(1, 13)))
    palette = palette_of(rng, values, size if rng.random() < 0.5 else (0, 0))
    tables = two_answers(rng.integers(1, 65535, palette.tables_needed))
    pixels = count * size[0] * size[1]
    flat = rng.random(pixels) < rng.random()
    symbols = np.where(flat, 0, rng.integers(0, values, pixels)).astype(np.int32)
    scaled = (symbols + rng.uniform(-0.5, 0.5, pixels)).astype(np.float32)
    return Case(palette, tables, count, size, symbols, scaled)
