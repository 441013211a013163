"""What codes a model's latents: classes or contexts, fitted to training latents, the fewer bits.

With contexts symbols are chosen by the bits saved against the error, so the step, the tables and
the symbols hang together: tables are counted first, on symbols rounded with a dead zone or chosen
by simpler tables, and then stay while a step is looked for; at the end they are counted once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rdedge import metrics
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.context import Contexts
from rdedge.coding.counts import Counts
from rdedge.coding.palette import Palette
from rdedge.coding.selection import Selection
from rdedge.coding.tables import Tables
from rdedge.coding.trellis import EIGHT, Trellis
from rdedge.host.classes import Layout
from rdedge.host.contexts import fit_bank, start_contexts, train_contexts, unnamed
from rdedge.host.counts import counts_suit, fit_counts
from rdedge.host.fit import (
    NEAREST,
    Latents,
    Lowering,
    Rounding,
    fit_layout,
    fit_rounding,
    fit_step,
    fit_tables,
    rows_of,
)
from rdedge.host.models.base import Model
from rdedge.host.rates.priors import FactorizedPrior
from rdedge.types import Bound

# How latents are quantised: rounded with a dead zone, for classes; by contexts, lowered or by a
# trellis; auto: what needs the fewest bits of the first and what suits the samples.
QUANTISERS = ("auto", "rounded", "lowered", "trellis")
# What a bit may be worth, in squared steps, and the dead zone that tables are first counted with.
_WEIGHTS = (0.09, 0.12, 0.16)
_START = 0.4
# The step of a trellis for that of each latent by itself, at equal error, to start from; what a bit
# may be worth in its squared steps, and what contexts are learned with (ETTh1, SKAB, iid Gaussian
# values; figures.md).
_TRELLIS_STEP, _TRELLIS_WEIGHTS, _TRELLIS_WEIGHT = 0.6, (0.22, 0.28, 0.36, 0.45), 0.28
# How often tables and the symbols that they make are brought together: each of the first three
# rounds is worth half a percent (iid Gaussian vectors), and takes seconds. Most while weights are
# chosen, which ends where a round is worth less than a share of the bits.
_COUNTS, _MOST_COUNTS, _WORTH = 3, 10, 1e-3
# Of fewer training symbols a network learns the noise.
_LEAST_SYMBOLS = 50_000
_LEAST_FOLLOWING = 64


@dataclass(frozen=True)
class Entropy:
    """Tables, and what selects them. rounding: 0.5 where rate_weight is above 0."""

    selection: Selection
    tables: Tables
    contexts: Contexts | None = None
    rounding: float = NEAREST
    rate_weight: float = 0.0
    trellis: Trellis | None = None
    palette: Palette | None = None
    counts: Counts | None = None

    def codec(self) -> SymbolCodec:
        """Of no bundle yet."""
        return SymbolCodec(
            bytes(4),
            self.tables,
            self.selection,
            contexts=self.contexts,
            trellis=self.trellis,
            palette=self.palette,
            counts=self.counts,
        )

    @property
    def selected_by(self) -> str:
        """What chooses a latent's table."""
        if self.palette is not None:
            return "palette"
        if self.counts is not None:
            return "counts"
        return "classes" if self.contexts is None else "contexts"

    @property
    def trained(self) -> bool:
        """Whether more than frequencies was learned, so that it stays with the run."""
        return self.counted or self.palette is not None

    @property
    def counted(self) -> bool:
        """Whether its frequencies can be counted again on other latents (recounted)."""
        return self.contexts is not None or self.counts is not None

    @property
    def how(self) -> Rounding:
        """How latents are quantised for it."""
        lowers = self.rate_weight or self.trellis is not None
        return Lowering(self.codec(), self.rate_weight) if lowers else self.rounding

    def bits(self, latents: Latents, step: float) -> float:
        """What latents take at this step, by the tables' own word."""
        codec, total = self.codec(), 0.0
        for symbols in latents.symbols(step, self.how):
            flat = symbols.reshape(len(symbols), -1)
            total += float(codec.bits(flat, symbols.shape[1:-1]).sum())
        return total


def fit_entropy(
    model: Model, train: Latents, validation: Latents, step: float, rounding: float
) -> Entropy:
    """Classes, or one table for each latent, at this step and rounding."""
    if model.layout is not None:
        selection, tables = fit_layout(model.layout, train, step, rounding)
    else:
        assert isinstance(model.prior, FactorizedPrior)
        symbols = [rows_of(part.symbols(step, rounding)) for part in (train, validation)]
        selection, tables = fit_tables(symbols[0], symbols[1], model.prior, step)
    return Entropy(selection, tables, rounding=rounding)


def choose_entropy(
    model: Model,
    train: Latents,
    validation: Latents,
    bound: Bound,
    scale: metrics.Scale,
    *,
    near: bool,
    quantiser: str = "auto",
) -> Entropy:
    """What takes the fewest bits on validation samples at the bound; classes where none meets it.

    Of classes only the rounding is settled: they are fitted again at the step that is taken.
    quantiser: one of QUANTISERS; one that is asked for is taken if it meets the bound at all.
    """

    def classes(step: float, rounding: float) -> tuple[Selection, Tables]:
        found = fit_entropy(model, train, validation, step, rounding)
        return found.selection, found.tables

    def fit(found: Entropy, start: float) -> tuple[float, float]:
        at = fit_step(validation, bound, scale, found.how, near=True, start=start)
        return (np.inf, start) if at is None else (found.bits(validation, at[0]), at[0])

    rounding, step, bits = fit_rounding(classes, validation, bound, scale, near=near)
    best = fit_entropy(model, train, validation, step, rounding)
    layout = layout_of(model)
    if not np.isfinite(bits):
        return best
    least, asked = np.inf, quantiser != "auto"
    weights: tuple[float, ...] = _TRELLIS_WEIGHTS if quantiser == "trellis" else _WEIGHTS
    if not asked:
        least = bits
        # In the time domain all latents are alike: half as many do.
        if sum(y.size for y in train.y) * (1 + layout.timed) < _LEAST_SYMBOLS:
            quantiser = "rounded"
        elif layout.timed:
            # What gathers around values is as good as on them: nothing is won by lowering it.
            weights = (0.0,)
        elif train.y[0].ndim == 2:
            # Not of images, whose rows lie in a grid: there taps save more.
            quantiser, weights = "trellis", _TRELLIS_WEIGHTS
    tries: Iterable[Entropy] = ()
    if quantiser == "trellis":
        layout = layout.unbound(_follow(layout, train))
        step *= _TRELLIS_STEP
        tries = weighed(layout, _with_trellis(layout, train, step), train, weights, fit, step)
    elif quantiser != "rounded":
        first = _counted(layout, train_contexts(layout, train, step, rounding), train, step, _START)
        tries = [replace(first, rate_weight=weight) for weight in weights]
    if not asked and counts_suit(layout):
        tries = [*tries, _with_counts(layout, train, step)]
    start = step
    for tried in tries:
        bits, at = fit(tried, start)
        if bits < least:
            best, least, step = tried, bits, at
    if not best.trained:
        return best
    # What validation samples have decided they may teach too.
    return recounted(layout, best, train.joined(validation), step)


def weighed(
    layout: Layout,
    found: Entropy,
    train: Latents,
    weights: Sequence[float],
    fit: Callable[[Entropy, float], tuple[float, float]],
    step: float,
) -> Iterator[Entropy]:
    """With each weight in turn, the tables counted again on what they make at the step that fits,
    as long as that is worth it: they were counted with less weight, for symbols further out. fit:
    the bits at the bound and the step, from a step to start from.
    """
    for weight in weights:
        found = replace(found, rate_weight=weight)
        bits, step = fit(found, step)
        for _ in range(_MOST_COUNTS):
            if not np.isfinite(bits):
                break
            before = bits
            found = recounted(layout, found, train, step, 1)
            bits, step = fit(found, step)
            if bits > (1.0 - _WORTH) * before:
                break
        yield found


def _follow(layout: Layout, train: Latents) -> bool:
    """Whether windows of a series follow others, enough of them to learn from."""
    return bool(
        layout.bands
        and not layout.timed
        and train.before is not None
        and (train.before >= 0).sum() >= _LEAST_FOLLOWING
    )


def layout_of(model: Model) -> Layout:
    """How contexts group its latents."""
    return Layout.plain(model.config.latents) if model.layout is None else model.layout


def recounted(
    layout: Layout, entropy: Entropy, train: Latents, step: float, times: int = _COUNTS
) -> Entropy:
    """The same contexts or counts, counted on training latents as it quantises them at this step;
    times over with a trellis, for the tables say how latents are quantised.
    """
    if entropy.counts is not None:
        return _with_counts(layout, train, step)
    assert entropy.contexts is not None
    weight, trellis = entropy.rate_weight, entropy.trellis
    for _ in range(1 if trellis is None else times):
        again = _counted(layout, entropy.contexts, train, step, entropy.how, trellis)
        entropy = replace(again, rate_weight=weight)
    return entropy


def _with_counts(layout: Layout, train: Latents, step: float) -> Entropy:
    """Counts, for values to the nearest: they are as good on what they gather around."""
    selection, tables, counts = fit_counts(layout, rows_of(train.symbols(step, NEAREST)))
    return Entropy(selection, tables, counts=counts)


def _with_trellis(layout: Layout, train: Latents, step: float) -> Entropy:
    """Contexts of what a trellis makes of training latents at this step: of what it makes with
    tables by place alone, and again of what it makes with those, which is worth half a percent.
    """
    start = start_contexts(layout, train, step)
    found = _counted(layout, start, train, 2.0 * step, NEAREST, EIGHT)
    for share in (0.4, 1.0):
        found = recounted(layout, replace(found, rate_weight=_TRELLIS_WEIGHT), train, step)
        contexts = train_contexts(layout, train, step, found.how, trellis=EIGHT, share=share)
        found = _counted(layout, contexts, train, step, found.how, EIGHT)
    return recounted(layout, replace(found, rate_weight=_TRELLIS_WEIGHT), train, step)


def _counted(
    layout: Layout,
    contexts: Contexts,
    train: Latents,
    step: float,
    how: Rounding,
    trellis: Trellis | None = None,
) -> Entropy:
    if trellis is not None:
        layout = layout.unbound(bool(contexts.following.any()))
    contexts = unnamed(contexts)
    selection, tables, named = fit_bank(layout, contexts, train, step, how, trellis)
    return Entropy(selection, tables, named, trellis=trellis)


def coded_entropy(
    members: dict[str, bytes], rounding: float, rate_weight: float, trellis: object
) -> Entropy:
    """What the members of a bundle or a run say, and its pairs of states or None. Raises
    FormatError.
    """
    contexts, palette = members.get("contexts.bin"), members.get("palette.bin")
    counts = members.get("counts.bin")
    return Entropy(
        Selection.from_bytes(members["selection.bin"]),
        Tables.from_bytes(members["tables.bin"]),
        None if contexts is None else Contexts.from_bytes(contexts),
        rounding,
        rate_weight,
        None if trellis is None else Trellis.of(trellis),
        None if palette is None else Palette.from_bytes(palette),
        None if counts is None else Counts.from_bytes(counts),
    )


def members_of(entropy: Entropy) -> dict[str, bytes]:
    """The members of a bundle."""
    found = {
        "tables.bin": entropy.tables.to_bytes(),
        "selection.bin": entropy.selection.to_bytes(),
    }
    if entropy.contexts is not None:
        found["contexts.bin"] = entropy.contexts.to_bytes()
    if entropy.palette is not None:
        found["palette.bin"] = entropy.palette.to_bytes()
    if entropy.counts is not None:
        found["counts.bin"] = entropy.counts.to_bytes()
    return found
