"""What codes a model's latents: classes or contexts, fitted to training latents, the fewer bits.

With contexts symbols are lowered where the bits saved are worth the error, so the step, the tables
and the symbols hang together: tables are counted first, on symbols lowered with tables counted on
symbols rounded with a dead zone, and then stay, while a step is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rdedge import metrics
from rdedge.codec.symbols import SymbolCodec
from rdedge.coding.context import Contexts
from rdedge.coding.selection import Selection
from rdedge.coding.tables import Tables
from rdedge.host.classes import Layout
from rdedge.host.contexts import fit_bank, train_contexts, unnamed
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

# What a bit may be worth, in squared steps, and the dead zone that tables are first counted with.
_WEIGHTS = (0.09, 0.12, 0.16)
_DEAD_ZONE = 0.4
# Of fewer training symbols a network learns the noise.
_LEAST_SYMBOLS = 30_000


@dataclass(frozen=True)
class Entropy:
    """Tables, and what selects them. rounding: 0.5 where rate_weight is above 0."""

    selection: Selection
    tables: Tables
    contexts: Contexts | None = None
    rounding: float = NEAREST
    rate_weight: float = 0.0

    def codec(self) -> SymbolCodec:
        """Of no bundle yet."""
        return SymbolCodec(bytes(4), self.tables, self.selection, contexts=self.contexts)

    @property
    def how(self) -> Rounding:
        """How latents are quantised for it."""
        return Lowering(self.codec(), self.rate_weight) if self.rate_weight else self.rounding

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
) -> Entropy:
    """What takes the fewest bits on validation samples at the bound; classes where none meets it.

    Of classes only the rounding is settled: they are fitted again at the step that is taken.
    """

    def classes(step: float, rounding: float) -> tuple[Selection, Tables]:
        found = fit_entropy(model, train, validation, step, rounding)
        return found.selection, found.tables

    rounding, step, bits = fit_rounding(classes, validation, bound, scale, near=near)
    best = fit_entropy(model, train, validation, step, rounding)
    layout = model.layout
    if layout is None or not np.isfinite(bits) or sum(y.size for y in train.y) < _LEAST_SYMBOLS:
        return best
    contexts = train_contexts(layout, train, step, rounding)
    first = _counted(layout, contexts, train, step, _DEAD_ZONE)
    # What gathers around values is as good as on them: nothing is won by lowering it.
    for weight in (0.0,) if layout.timed else _WEIGHTS:
        tried = replace(first, rate_weight=weight)
        fitted = fit_step(validation, bound, scale, tried.how, near=True, start=step)
        if fitted is None:
            continue
        bits_then = tried.bits(validation, fitted[0])
        if bits_then < bits:
            best, bits, step = tried, bits_then, fitted[0]
    if best.contexts is None:
        return best
    # What validation samples have decided they may teach too.
    again = _counted(layout, contexts, train.joined(validation), step, best.how)
    return replace(again, rate_weight=best.rate_weight)


def with_contexts(
    layout: Layout, contexts: Contexts, train: Latents, step: float, weight: float
) -> Entropy:
    """Tables of contexts, counted on training latents at this step."""
    first = _counted(layout, contexts, train, step, _DEAD_ZONE)
    again = _counted(layout, contexts, train, step, replace(first, rate_weight=weight).how)
    return replace(again, rate_weight=weight)


def _counted(
    layout: Layout, contexts: Contexts, train: Latents, step: float, how: Rounding
) -> Entropy:
    selection, tables, named = fit_bank(layout, unnamed(contexts), train, step, how)
    return Entropy(selection, tables, named)


def coded_entropy(members: dict[str, bytes], rounding: float, rate_weight: float) -> Entropy:
    """What the members of a bundle or a run say. Raises FormatError."""
    contexts = members.get("contexts.bin")
    return Entropy(
        Selection.from_bytes(members["selection.bin"]),
        Tables.from_bytes(members["tables.bin"]),
        None if contexts is None else Contexts.from_bytes(contexts),
        rounding,
        rate_weight,
    )


def members_of(entropy: Entropy) -> dict[str, bytes]:
    """The members of a bundle."""
    found = {
        "tables.bin": entropy.tables.to_bytes(),
        "selection.bin": entropy.selection.to_bytes(),
    }
    if entropy.contexts is not None:
        found["contexts.bin"] = entropy.contexts.to_bytes()
    return found
