"""The network of a `palette`: trained in float, turned into integers, its tables counted.

It is trained on pixels whose neighbours are not all alike; those whose are count with how often
they occur. Tables are counted with the integers that the codec computes (coding/palette.py).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from rdedge.coding.palette import (
    BIAS_MAX,
    PLACE_BIAS_MAX,
    POSITION_MAX,
    WEIGHT_MAX,
    Offset,
    Palette,
)
from rdedge.coding.palette_model import PaletteModel
from rdedge.coding.tables import Tables, tables_from_counts
from rdedge.types import Array

RATE = 4e-3
# How far a pixel looks: the nearest of these.
_REACH = 15
# Logits that tables are told apart by: from, eighths, how many.
_LOWEST, _PER_UNIT, _LEVELS = -12.0, 8.0, 192
# Of a pixel's code: its value from -64 to 64 is from -1 to 1 to the network in float.
_CODE = 64
_ACTIVATION_BITS, _ACTIVATION = 7, 31.99
_MOST_BITS = 12
_BATCH = 4096
# Pixels of the pictures that are looked at before others are drawn.
_POOL_PIXELS = 1 << 23
# What a level's own probability counts beside what was seen, in pixels.
_PRIOR = 4.0


def nearest_offsets(count: int) -> tuple[Offset, ...]:
    """The count pixels before one that are nearest to it, line by line."""
    places = [
        (up, right) for up in range(_REACH + 1) for right in range(-_REACH, _REACH + 1 if up else 0)
    ]
    places.sort(key=lambda p: (p[0] ** 2 + p[1] ** 2, p))
    return tuple(sorted(places[:count], key=lambda p: (-p[0], p[1])))


@dataclass(frozen=True)
class Examples:
    """Pictures as the network sees them. planes: (bytes,) int8, all of them with what lies outside;
    at: (n,) int64, where in them pixels are whose neighbours are not all alike; deltas: (F,) int64,
    from there to the neighbours; places: (n, 2) int64, line and column, of pictures of one size.
    alike: (P, 256, K) counts of the symbols of all other pixels, by place (P is 1 for pictures of
    their own size) and the code of their neighbours.
    """

    planes: Array
    at: Array
    deltas: Array
    places: Array
    alike: Array


class PixelNet(nn.Module):
    """x (n, F) from -1 to 1, places (n, 2) -> logits of the decisions (n, K - 1)."""

    def __init__(
        self, inputs: int, hidden: tuple[int, int], decisions: int, size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden[0])
        self.second = nn.Linear(hidden[0], hidden[1])
        self.out = nn.Linear(hidden[1], decisions)
        self.size = size
        self.of_lines = nn.Parameter(torch.zeros(size[0], hidden[0]))
        self.of_columns = nn.Parameter(torch.zeros(size[1], hidden[0]))

    def forward(self, x: Tensor, places: Tensor) -> Tensor:
        first = self.first(x)
        if self.size != (0, 0):
            first = first + self.of_lines[places[:, 0]] + self.of_columns[places[:, 1]]
        seen = first.clamp(0.0, _ACTIVATION)
        logits: Tensor = self.out(self.second(seen).clamp(0.0, _ACTIVATION))
        return logits


def codes_of(positions: Array, outside: int) -> Array:
    """What the network sees of each value, and of what lies outside: as the value `outside`."""
    codes = np.rint(2.0 * _CODE * positions - _CODE).clip(-127, 127).astype(np.int8)
    return np.append(codes, codes[outside])


def examples_of(
    pictures: list[Array], codes: Array, offsets: tuple[Offset, ...], size: tuple[int, int]
) -> Examples:
    """pictures: symbols (n, H, W) each."""
    rights = [right for _, right in offsets]
    top, left, right = max(up for up, _ in offsets), -min(rights), max(0, *rights)
    values = len(codes) - 1
    stride = left + right + max(p.shape[2] for p in pictures)
    deltas = np.array([r - up * stride for up, r in offsets], np.int64)
    fixed = size != (0, 0)
    counts = np.zeros((size[0] * size[1] if fixed else 1, 256, values), np.int64)
    planes, found, where, done = [], [], [], 0
    for picture in pictures:
        n, height, width = picture.shape
        plane = np.full((n, top + height, stride), codes[-1], np.int8)
        plane[:, top:, left : left + width] = codes[picture]
        views = [plane[:, top - u :, left + r :][:, :height, :width] for u, r in offsets]
        differ = np.zeros(picture.shape, np.int8)
        for view in views[1:]:
            differ |= view ^ views[0]
        of, line, column = np.nonzero(differ)
        found.append(done + (of * (top + height) + top + line) * stride + left + column)
        if fixed:
            where.append(np.stack([line, column], 1))
        of, line, column = np.nonzero(differ == 0)
        place = line * width + column if fixed else 0 * line
        code = views[0][of, line, column].astype(np.int64) & 255
        flat = (place * 256 + code) * values + picture[of, line, column]
        counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)
        planes.append(plane.reshape(-1))
        done += plane.size
    places = np.concatenate(where) if fixed else np.zeros((0, 2), np.int64)
    return Examples(np.concatenate(planes), np.concatenate(found), deltas, places, counts)


class _Alike:
    """Contexts that are all alike, each with how often which symbol follows."""

    def __init__(self, examples: Examples, size: tuple[int, int]) -> None:
        place, code = np.nonzero(examples.alike.sum(axis=2))
        seen = code.astype(np.uint8).view(np.int8).astype(np.float32) / _CODE
        self.x = torch.from_numpy(np.repeat(seen[:, None], len(examples.deltas), axis=1))
        width = max(size[1], 1)
        self.places = torch.from_numpy(np.stack([place // width, place % width], 1))
        self.counts = torch.from_numpy(examples.alike[place, code].astype(np.float32))


def _nats(logits: Tensor, symbols: Tensor) -> Tensor:
    """Of decisions, added up. logits: (n, K - 1); symbols: (n,)."""
    d = torch.arange(logits.shape[1])
    signs = torch.where(symbols[:, None] > d, -1.0, 1.0)
    asked = (symbols[:, None] >= d).float()
    return (nn.functional.softplus(signs * logits) * asked).sum()


def _nats_of_counts(logits: Tensor, counts: Tensor) -> Tensor:
    above = counts.flip(1).cumsum(1).flip(1)
    yes, no = above[:, 1:], counts[:, :-1]
    softplus = nn.functional.softplus
    return (yes * softplus(-logits) + no * softplus(logits)).sum()


class Pool:
    """Some training pictures at a time, each turned and mirrored anew where that is asked for."""

    def __init__(
        self,
        pictures: list[Array],
        codes: Array,
        offsets: tuple[Offset, ...],
        size: tuple[int, int],
        turned: bool,
        seed: int,
    ) -> None:
        self.pictures, self.codes, self.offsets, self.size = pictures, codes, offsets, size
        self.turned, self.rng = turned, np.random.default_rng(seed)

    def draw(self) -> Examples:
        if len(self.pictures) == 1:
            (every,) = self.pictures
            some = max(1, _POOL_PIXELS // every[0].size)
            chosen = self.rng.choice(len(every), min(some, len(every)), replace=False)
            drawn = [every[chosen]]
        else:
            pixels = int(np.mean([p.size for p in self.pictures]))
            some = min(len(self.pictures), max(8, _POOL_PIXELS // pixels))
            chosen = self.rng.choice(len(self.pictures), some, replace=False)
            drawn = [self._turned(self.pictures[i]) for i in chosen]
        return examples_of(drawn, self.codes, self.offsets, self.size)

    def _turned(self, picture: Array) -> Array:
        if self.turned:
            picture = np.rot90(picture, int(self.rng.integers(4)), (1, 2))
            if self.rng.integers(2):
                picture = picture[:, :, ::-1]
        return picture


def train_network(
    net: PixelNet, pool: Pool, steps: int, seconds: float = math.inf, rate: float = RATE
) -> int:
    """Adam for so many steps or seconds, the rate falling to nothing; returns how many steps."""
    started, step = time.monotonic(), 0
    optimiser = torch.optim.Adam(net.parameters(), lr=rate, betas=(0.9, 0.99))
    share = 0.0
    while share < 1.0 or not step:
        examples = pool.draw()
        alike = _Alike(examples, net.size)
        n = len(examples.at)
        total = float(n) + float(alike.counts.sum())
        symbols_of = np.zeros(256, np.int64)
        for k in range(len(pool.codes) - 2, -1, -1):
            symbols_of[int(pool.codes[k]) & 255] = k
        order = pool.rng.permutation(n)
        for i in range(0, max(n, 1), _BATCH):
            share = max((time.monotonic() - started) / seconds, step / steps)
            if share >= 1.0 and step:
                break
            for group in optimiser.param_groups:
                group["lr"] = rate * min(1.0, (step + 1) / 50) * (1.0 - min(share, 1.0)) ** 0.8
            which = order[i : i + _BATCH]
            at = examples.at[which]
            x = torch.from_numpy(examples.planes[at[:, None] + examples.deltas].astype(np.float32))
            symbols = torch.from_numpy(symbols_of[examples.planes[at].astype(np.int64) & 255])
            places = torch.from_numpy(examples.places[which] if len(examples.places) else at)
            loss = _nats(net(x * (1.0 / _CODE), places), symbols) * (n / max(len(which), 1))
            loss = loss + _nats_of_counts(net(alike.x, alike.places), alike.counts)
            optimiser.zero_grad()
            (loss / total).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            step += 1
    return step


def to_integers(
    net: PixelNet,
    positions: Array,
    outside: int,
    offsets: tuple[Offset, ...],
) -> Palette:
    """The network in integers."""
    with torch.no_grad():
        w = [layer.weight.double().numpy() for layer in (net.first, net.second, net.out)]
        b = [layer.bias.double().numpy() for layer in (net.first, net.second, net.out)]
        lines, columns = net.of_lines.double().numpy(), net.of_columns.double().numpy()
    bits = [_bits(weights) for weights in w]
    ones = [_CODE * 2.0 ** bits[0], *(2.0 ** (_ACTIVATION_BITS + e) for e in bits[1:])]
    b[2] = b[2] - _LOWEST
    weights = [
        np.rint(one * 2.0**e).clip(-WEIGHT_MAX, WEIGHT_MAX).astype(np.int16)
        for one, e in zip(w, bits, strict=True)
    ]
    biases = [_rounded(one * unit, BIAS_MAX) for one, unit in zip(b, ones, strict=True)]
    per_unit = int(np.log2(_PER_UNIT))
    return Palette(
        size=net.size,
        codes=codes_of(positions, outside),
        positions=tuple(np.rint(positions * POSITION_MAX).astype(int).tolist()),
        offsets=offsets,
        levels=_LEVELS,
        shifts=(
            int(np.log2(_CODE)) + bits[0] - _ACTIVATION_BITS,
            bits[1],
            _ACTIVATION_BITS + bits[2] - per_unit,
        ),
        weights=weights[0],
        biases=biases[0],
        of_lines=_rounded(lines * ones[0], PLACE_BIAS_MAX),
        of_columns=_rounded(columns * ones[0], PLACE_BIAS_MAX),
        weights_2=weights[1],
        biases_2=biases[1],
        out_weights=weights[2],
        out_biases=biases[2],
    )


def _bits(weights: Array) -> int:
    """Binary places of weights that keep the largest in range; at least 1."""
    largest = max(float(np.abs(weights).max(initial=0.0)), 2.0**-20)
    return int(np.clip(np.floor(np.log2(WEIGHT_MAX / largest)), 1, _MOST_BITS))


def _rounded(values: Array, most: int) -> Array:
    return np.rint(values).clip(-most, most).astype(np.int32)


def level_tables(decisions: int, counts: Array | None = None) -> Tables:
    """Tables of all decisions and levels; counts: (T, 2) of what was seen with each, none: what
    the levels say.
    """
    middle = (np.arange(_LEVELS) + 0.5) / _PER_UNIT + _LOWEST
    yes = np.tile(1.0 / (1.0 + np.exp(-middle)), decisions)
    weights = np.stack([1.0 - yes, yes], axis=1) * _PRIOR
    if counts is not None:
        weights = weights + counts
    weights = np.concatenate([weights, np.zeros((len(weights), 1))], axis=1)
    return tables_from_counts([0] * len(weights), list(weights))


def counted(palette: Palette, pictures: list[Array]) -> Tables:
    """Tables counted on pictures, symbols (n, H, W) each."""
    model = PaletteModel(palette, level_tables(palette.decisions))
    counts = np.zeros((palette.tables_needed, 2))
    for picture in pictures:
        flat = np.ascontiguousarray(picture.reshape(-1), np.int32)
        decisions, index = model.select(flat, picture.shape[1:])
        places = 2 * index.astype(np.int64) + decisions
        counts += np.bincount(places, minlength=counts.size).reshape(counts.shape)
    return level_tables(palette.decisions, counts)
