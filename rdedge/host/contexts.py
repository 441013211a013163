"""Trains contexts (FORMAT.md 4.8): a network in float32 whose loss is bits, rounded to integers.

The network makes the parameters of a latent's distribution (shapes.py) of what is decoded before;
in the bundle each is one of a few levels, and every combination that is used is a table, counted
anew on the training symbols. Trained on louder and quieter copies too, so that it holds at other
levels and where the data has changed its loudness.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from rdedge.coding.context import HEADS, MAGNITUDE, MEAN, PHASES, WEIGHT_MAX, Contexts, Tap
from rdedge.coding.context_model import ContextModel
from rdedge.coding.means import Moving
from rdedge.coding.quantiser import EXACT, PREDICTED, SCALED
from rdedge.coding.rows import Rows
from rdedge.coding.selection import Group, Selection
from rdedge.coding.tables import Tables, tables_from_counts
from rdedge.coding.trellis import Trellis
from rdedge.host.classes import Layout, cut, shape_of
from rdedge.host.copies import COPIES, MOST_EXAMPLES, coded_copies, even_choice, means_of
from rdedge.host.fit import NEAREST, Latents, Rounding, rows_of, symbols_of
from rdedge.host.shapes import LEAST_ZERO, NARROWEST, REACH, SIZES, WIDTHS, ZEROS, blended, mass
from rdedge.host.spans import LEFT, Inputs, image_spans, lag_of, series_spans, vector_spans
from rdedge.host.taps import fit_taps
from rdedge.types import Array

HIDDEN = 16
_BATCH = 24_576
_RATE, _LAST_RATE = 4e-3, 2e-5
# How often all examples are seen, within so many steps.
_PASSES, _STEPS = 30, (150, 900)
# A combination of levels that fewer training symbols select shares a table. Rows to look at.
_LEAST_COUNT, _SOME_ROWS = 40.0, 60_000
# Times as many symbols are looked at for spans and taps as are learned from.
_TO_LOOK_AT = 4


@dataclass(frozen=True)
class Examples:
    """Symbols to learn from. x: (M, F) int16; k, away: (M,) int32, as they are coded and how far
    their means are from zero; latent: (M,) int64; weight: (M,).
    """

    x: Array
    k: Array
    away: Array
    latent: Array
    weight: Array


class ContextNet(nn.Module):
    """Inputs and a latent's place -> log2 of the width, tail, zero; (n, 3).

    places: (L, P), what is known of a latent before anything is decoded.
    """

    places: Tensor

    def __init__(self, inputs: int, places: Array, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.register_buffer("places", torch.from_numpy(places.astype(np.float32)))
        self.seen = nn.Linear(inputs, hidden)
        self.placed = nn.Linear(places.shape[1], hidden, bias=False)
        self.out = nn.Linear(hidden, HEADS)
        self.placed_out = nn.Linear(places.shape[1], HEADS, bias=False)
        with torch.no_grad():
            self.out.weight.mul_(0.3)
            self.out.bias.copy_(torch.tensor([-0.5, 1.0, 0.0]))
            self.placed.weight.mul_(0.3)
            self.placed_out.weight.zero_()

    def forward(self, x: Tensor, latent: Tensor) -> Tensor:
        by_place = self.placed(self.places), self.placed_out(self.places)
        hidden = torch.relu(self.seen(x) + by_place[0][latent])
        found: Tensor = self.out(hidden) + by_place[1][latent]
        return found


def train_contexts(
    layout: Layout,
    train: Latents,
    step: float,
    rounding: Rounding,
    *,
    trellis: Trellis | None = None,
    share: float = 1.0,
    seed: int = 0,
) -> Contexts:
    """Contexts for training latents at this step and rounding, whose bank names a table for every
    combination of levels. layout: with a trellis, the unbound one. share: of the usual steps.
    """
    torch.manual_seed(seed)
    # As many as there are statistics to take from; of a large part not all at once.
    total = sum(y.size for y in train.y)
    some = even_choice(train.y, total // _TO_LOOK_AT)
    symbols = [symbols_of(y, step, rounding, layout.quantisers) for y in some]
    spans = _spans(layout, rows_of(symbols)[:_SOME_ROWS], symbols[0].ndim > 2)
    taps: tuple[tuple[Tap, ...], ...] = tuple(() for _ in spans)
    tapped = np.array([s is not None for s in spans])
    if symbols[0].ndim == 2:
        # What foretells a coefficient of a window does so for a while (ETTh1 took 5 % more).
        tapped &= layout.quantisers == EXACT
    elif trellis is not None:
        # What moves its state has no mean.
        tapped[:] = False
    of_means = means_of(layout)
    tapped[of_means] = False
    if tapped.any():
        taps = fit_taps(symbols, tapped)
    blank = _blank(spans, taps, of_means)
    examples = _examples(layout, blank, train, step, rounding, trellis, seed)
    net = ContextNet(examples.x.shape[1], _places(layout, rows_of(symbols)[:_SOME_ROWS]))
    descend(net, examples, moving_of(layout, trellis), share, seed)
    return to_integers(net, blank)


def start_contexts(layout: Layout, train: Latents, step: float) -> Contexts:
    """Contexts that see nothing but a latent's place: what the first search with a trellis takes.

    Arguments as for train_contexts; the step is that of the trellis.
    """
    rows = rows_of([y[:: -(-sum(map(len, train.y)) // _SOME_ROWS)] for y in train.y])
    symbols = symbols_of(rows, 2.0 * step, NEAREST, layout.quantisers)
    blank = _blank(_spans(layout, symbols, train.y[0].ndim > 2), (), means_of(layout))
    size = np.sqrt(np.square(rows / step, dtype=np.float64).mean(axis=0))
    wide = (np.log2(size + 2.0**NARROWEST) - NARROWEST) * WIDTHS
    levels = np.stack([wide, np.ones_like(wide), np.full_like(wide, -LEAST_ZERO * ZEROS)])
    out = np.rint(2048.0 * levels.T).clip(0, 2.0**20).astype(np.int32)
    out[~blank.contextual] = 0
    return replace(blank, out_biases=out, bank=np.arange(blank.places, dtype=np.uint16))


def _spans(layout: Layout, rows: Array, in_grid: bool) -> tuple[Inputs | None, ...]:
    """What latents look at, given symbols (n, L); rows in a grid are patches of images."""
    if in_grid:
        return image_spans(rows)
    if not layout.bands:
        return vector_spans(rows)
    return series_spans(layout, lag_of(layout, rows) if layout.timed else 0)


def moving_of(layout: Layout, trellis: Trellis | None) -> Moving | None:
    """What moves its state."""
    return None if trellis is None else Moving(trellis, layout.quantisers == SCALED)


def descend(
    net: ContextNet, examples: Examples, moving: Moving | None, share: float, seed: int
) -> None:
    """Train, in more steps where there is more to learn from."""
    optimiser = torch.optim.Adam(net.parameters(), _RATE)
    rng = np.random.default_rng(seed)
    x, k = torch.from_numpy(examples.x), torch.from_numpy(examples.k.astype(np.int64))
    away = torch.from_numpy(examples.away.astype(np.int64))
    latent, weight = torch.from_numpy(examples.latent), torch.from_numpy(examples.weight)
    moves = None if moving is None else torch.from_numpy(moving.latents)[latent]
    steps = int(share * np.clip(len(k) * _PASSES / _BATCH, *_STEPS))
    for i in range(steps):
        which = torch.from_numpy(rng.integers(0, len(k), min(_BATCH, len(k))))
        for group in optimiser.param_groups:
            group["lr"] = _LAST_RATE + 0.5 * _RATE * (1.0 + math.cos(math.pi * i / steps))
        found = net(x[which].float() / 16.0, latent[which])
        moved = None if moves is None else moves[which]
        bits = -torch.log2(mass(k[which], away[which], found, moved).clamp_min(1e-9))
        loss = (bits * weight[which]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def to_integers(net: ContextNet, blank: Contexts) -> Contexts:
    """The network in integers, its bank naming a table for every combination of levels."""
    scale = np.array([WIDTHS, 1.0, ZEROS])
    origin = np.array([NARROWEST, 0.0, LEAST_ZERO])
    with torch.no_grad():
        biases = (net.seen.bias + net.placed(net.places)).double().numpy()
        out_biases = (net.out.bias + net.placed_out(net.places)).double().numpy()
        weights = net.seen.weight.double().numpy()
        out_weights = net.out.weight.double().numpy() * scale[:, None]
    fixed = ~blank.contextual
    biases[fixed] = 0.0
    out = 2048.0 * (out_biases - origin) * scale
    out[fixed] = 0.0
    limit = float(WEIGHT_MAX)
    return replace(
        blank,
        weights=np.rint(128.0 * weights).clip(-limit, limit).astype(np.int16),
        biases=np.rint(2048.0 * biases).clip(-(2.0**24), 2.0**24).astype(np.int32),
        out_weights=np.rint(128.0 * out_weights).clip(-limit, limit).astype(np.int16),
        out_biases=np.rint(out).clip(-(2.0**28), 2.0**28).astype(np.int32),
        bank=np.arange(blank.places, dtype=np.uint16),
    )


def unnamed(contexts: Contexts) -> Contexts:
    """Contexts whose bank names a table for every combination of levels again."""
    return replace(contexts, bank=np.arange(contexts.bank.size, dtype=np.uint16))


def fit_bank(
    layout: Layout,
    contexts: Contexts,
    train: Latents,
    step: float,
    rounding: Rounding,
    trellis: Trellis | None = None,
    seed: int = 0,
) -> tuple[Selection, Tables, Contexts]:
    """The tables of the bank, counted on training symbols and their louder and quieter copies, and
    those of latents without contexts; the contexts that name them. What is never used is left out.
    """
    entries = contexts.places
    counts = np.zeros((entries, 2 * REACH + 3))
    fixed = np.zeros(contexts.latents, np.uint16)
    moving = moving_of(layout, trellis)
    every = ContextModel(contexts, fixed, _placeholders(entries), moving=moving)
    own = []
    for coded in coded_copies(layout, train, step, rounding, seed):
        if coded.weight == 1.0 and not coded.follows:
            own.append(coded.symbols)
        ordered = coded.rows.to_coded(coded.symbols.reshape(-1), contexts.latents)
        residuals, index = every.select(ordered, coded.rows)
        chosen = _ordered(contexts, coded.rows)
        at = residuals[chosen].clip(-REACH - 1, REACH + 1).astype(np.int64) + REACH + 1
        places = index[chosen].astype(np.int64) * counts.shape[1] + at
        counts += coded.weight * np.bincount(places, minlength=counts.size).reshape(counts.shape)
    seen = counts.sum(axis=1)
    used = np.flatnonzero(seen >= min(_LEAST_COUNT, seen.max()))
    # What is rarely used is counted with the nearest that is not.
    nearest = _nearest(used, entries)
    merged = np.zeros((len(used), counts.shape[1]))
    np.add.at(merged, nearest, counts)
    shapes = [
        cut(*blended(row, int(entry), trellis is not None))
        for row, entry in zip(merged, used, strict=True)
    ]
    bank = nearest[contexts.bank.astype(np.int64)]
    groups: list[Group] = []
    start = 0
    for group in layout.groups:
        tables = np.zeros((1, len(group.bands)), np.uint16)
        for k, band in enumerate(group.bands):
            if contexts.spans[start + k] is None or contexts.following[start + k]:
                tables[0, k] = len(shapes)
                column = np.concatenate([one[:, start + k] for one in own])
                shapes.append(shape_of(column, layout.bands[int(band)]))
        # Taps foretell what neighbours predict otherwise.
        kinds = group.quantisers.astype(np.uint8) & ~np.uint8(PREDICTED)
        groups.append(Group(tables, kinds))
        start += len(group.bands)
    minima, weights = zip(*shapes, strict=True)
    named = replace(contexts, bank=bank.astype(np.uint16))
    return Selection(tuple(groups)), tables_from_counts(list(minima), list(weights)), named


def _examples(
    layout: Layout,
    blank: Contexts,
    train: Latents,
    step: float,
    rounding: Rounding,
    trellis: Trellis | None,
    seed: int,
) -> Examples:
    """What the network learns from, at most some millions of symbols."""
    latents, moving = blank.latents, moving_of(layout, trellis)
    model = ContextModel(blank, np.zeros(latents, np.uint16), _placeholders(1), moving=moving)
    rng = np.random.default_rng(seed)
    looks = (COPIES + 1) * (1 + layout.linked)
    share = min(1.0, MOST_EXAMPLES / (looks * sum(y.size for y in train.y)))
    parts: list[tuple[Array, ...]] = []
    for coded in coded_copies(layout, train, step, rounding, seed):
        ordered = coded.rows.to_coded(coded.symbols.reshape(-1), latents)
        chosen = _ordered(blank, coded.rows) & (rng.random(ordered.size) < share)
        which = np.tile(np.arange(latents, dtype=np.int32), len(coded.rows.base))
        k, away, x = (a[chosen] for a in model.inputs(ordered, coded.rows))
        latent = coded.rows.to_coded(which, latents)[chosen].astype(np.int64)
        parts.append((x, k, away, latent, np.full(len(x), coded.weight, np.float32)))
    return Examples(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _ordered(contexts: Contexts, rows: Rows) -> Array:
    """Which symbols in the order of coding have a table by contexts."""
    alone = np.empty(len(rows.base), bool)
    alone[rows.natural] = rows.neighbours[0] < 0
    every = contexts.contextual & ~(contexts.following & alone[:, None])
    return rows.to_coded(every.astype(np.int32).reshape(-1), contexts.latents).astype(bool)


def _blank(
    spans: tuple[Inputs | None, ...], taps: tuple[tuple[Tap, ...], ...], of_means: Array
) -> Contexts:
    """Contexts that only look. taps: () for none. of_means: latents that follow those of the window
    before.
    """
    latents = len(spans)
    following = np.zeros(latents, np.bool_)
    following[of_means] = True
    linked = [((LEFT, k, 256),) if follows else () for k, follows in enumerate(following.tolist())]
    taps = tuple(map(tuple.__add__, taps or ((),) * latents, linked))
    inputs = next(len(s) for s in spans if s is not None)
    kinds = np.full(inputs, MAGNITUDE, np.uint8)
    kinds[-1] = MEAN
    return Contexts(
        kinds,
        spans,
        taps,
        np.zeros((1, inputs), np.int16),
        np.zeros((latents, 1), np.int32),
        np.zeros((HEADS, 1), np.int16),
        np.zeros((latents, HEADS), np.int32),
        SIZES,
        np.zeros(2 * PHASES * math.prod(SIZES), np.uint16),
        following,
    )


@cache
def _placeholders(count: int) -> Tables:
    """Tables to name, of no use for coding."""
    one = tables_from_counts([0], [np.ones(2)]).frequencies[0]
    return Tables(np.zeros(count, np.int32), (one,) * count)


def _places(layout: Layout, rows: Array) -> Array:
    """What is known of a latent before anything is decoded, (L, P); rows: (R, L) symbols."""
    loud = np.log2(1.0 / 16 + np.abs(rows.astype(np.float64)).mean(axis=0))
    columns = [loud]
    lengths = [len(group.bands) for group in layout.groups]
    place = np.concatenate([np.arange(n) for n in lengths])
    of_group = np.repeat(np.arange(len(lengths)), lengths)
    columns += [np.log2(place + 1.0), (place + 1.0) ** -0.5, place / max(lengths)]
    if len(lengths) > 1:
        columns += [np.where(of_group == g, 1.0, 0.0) for g in range(len(lengths))]
    return np.stack(columns, axis=1)


def _nearest(used: Array, entries: int) -> Array:
    """For each combination of levels and phase the place among those used of the one most like
    it, of the same phase where there is one.
    """
    levels = np.stack(np.unravel_index(np.arange(entries), (*SIZES, 2 * PHASES)), axis=1)
    found = np.empty(entries, np.int64)
    for phase in range(2 * PHASES):
        which = np.flatnonzero(levels[:, 3] == phase)
        among = np.flatnonzero(levels[used, 3] == phase)
        if not among.size:
            among = np.arange(len(used))
        apart = np.abs(levels[which, None, :3] - levels[None, used[among], :3])
        found[which] = among[(apart * np.array([1.0, 1.0, 0.7])).sum(axis=2).argmin(axis=1)]
    return found
