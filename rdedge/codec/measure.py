"""How far reconstructions lie from their samples at worst, whichever decoder makes them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from rdedge import config, metrics
from rdedge.bundle.bundle import Bundle
from rdedge.bundle.recipe import Recipe
from rdedge.codec.decoder import Decoder
from rdedge.codec.digest import write_digest
from rdedge.codec.preprocess import from_network
from rdedge.engine import margins
from rdedge.errors import BundleError, ConfigError
from rdedge.format.constants import Stream
from rdedge.format.measured import write_measured
from rdedge.format.packet import Packet, read_packet
from rdedge.types import Array

# Beside the margin: of a value's own size, since float32 sums round in that proportion.
_OF_VALUE = 2.0**-20
# Below this a deviation is none.
_LEAST_DEVIATION = 1e-30
_MOST_MARGIN = 1.0
# A few samples were measured, and others may differ more; another processor rounds otherwise.
_OF_MEASURED = 4.0
_LEAST_MARGIN = 2.0**-16
# Decibels that half the step gains.
_PSNR_OCTAVE = 20.0 * math.log10(2.0)


@dataclass(frozen=True)
class Margin:
    """What another decoder may make of a value. deviations: in standard deviations of the training
    data; source: where that is from, for people; verified: whether `rdedge check` measured it of
    this decoder on this machine.
    """

    deviations: float
    source: str
    verified: bool


def margin_for(bundle: Bundle, decoder: str) -> Margin:
    """The margin for a decoder (Runner.name): some times what `rdedge check` measured here, else
    the limit of the bundle's recipe. Raises BundleError.
    """
    try:
        limit = config.build(bundle.recipe, Recipe, "recipe.json").parity.max_output_difference
    except ConfigError as error:
        raise BundleError(f"recipe.json is damaged: {error}", do="export it again") from error
    try:
        found = margins.measured(margins.load(bundle.manifest.identity), decoder)
        why = "rdedge check has not measured this decoder on this machine"
    except ConfigError as error:
        found, why = None, f"what rdedge check measured cannot be read: {error}"
    if found is None or _OF_MEASURED * found > _MOST_MARGIN:
        return Margin(limit, f"{why}: the recipe's limit", False)
    # Never more than the recipe allows, unless it was seen to differ by that.
    least = max(min(_OF_MEASURED * found, max(limit, found)), _LEAST_MARGIN)
    return Margin(least, "rdedge check measured it on this machine", True)


class Measure:
    """The declared metric of single samples, and whether each keeps the bound.

    margin: in standard deviations, see margin_for.
    """

    def __init__(self, decoder: Decoder, margin: float) -> None:
        manifest = decoder.manifest
        self.decoder, self.bound, self.scale = decoder, manifest.bound, manifest.scale
        std = np.asarray(manifest.scale.std)
        self._margin = (margin * np.where(std > _LEAST_DEVIATION, std, 1.0)).astype(np.float64)
        self.margin = margin

    def slack(self, x_hat: Array) -> Array:
        """What another decoder may make of each value, raw units; x_hat: (n, *shape) float64."""
        found: Array = self._margin + np.abs(x_hat) * _OF_VALUE
        return found

    def with_digest(self, data: bytes, x: Array) -> bytes:
        """A packet of x (N, *shape), and with it what this machine decodes it to and how far that
        lies from x at worst.
        """
        packet, _ = read_packet(data)
        x_hat, worst = self.decoded(packet, x)
        slack = self.slack(np.nan_to_num(x_hat.astype(np.float64)))
        digest = write_digest(x_hat, self.scale, slack)
        more = {Stream.DIGEST: digest, Stream.MEASURED: write_measured(worst)}
        return replace(packet, streams={**packet.streams, **more}).to_bytes()

    def decoded(self, packet: Packet, x: Array) -> tuple[Array, float]:
        """What this machine decodes a packet of x (N, *shape) to, and how far that is at worst."""
        x_hat = self.decoder.decode_packet(packet)
        each = self.exactly(x, x_hat)
        worst = float(each.min() if self.bound.is_minimum else each.max())
        # No number: two infinities were compared, which is as far as can be.
        return x_hat, worst if worst >= 0.0 else 0.0 if self.bound.is_minimum else math.inf

    def keeps(self, values: Array) -> Array:
        """Which distortions (n,) keep the bound; NaN never does."""
        kept: Array = (
            values >= self.bound.value if self.bound.is_minimum else (values <= self.bound.value)
        )
        return kept

    def octaves(self, values: Array) -> Array:
        """By how many octaves of the step distortions (n,) are from the bound, roughly."""
        bound = self.bound
        with np.errstate(all="ignore"):
            if bound.metric == "psnr":
                return (values - bound.value) / _PSNR_OCTAVE
            found: Array = np.log2(bound.value / values)
            return found / 2.0 if bound.metric == "mse" else found

    def exactly(self, x: Array, x_hat: Array) -> Array:
        """Distortions (n,) of x_hat, which every machine decodes alike."""
        with np.errstate(all="ignore"):
            return metrics.per_sample(self.bound.metric, x, x_hat, self.scale)

    def learned(self, x: Array, symbols: Array, levels: Array) -> Array:
        """Distortions (n,), the worst within the margin; x: (n, *shape), NaN where missing.

        Of every value the reconstruction within the margin that errs most, after rounding to the
        dtype of the source: all metrics grow with each value's error.
        """
        found = np.empty(len(x), np.float64)
        for at, low, high, good in self.ends(symbols, levels, x.shape[1:]):
            some = x[at]
            with np.errstate(all="ignore"):
                upper = metrics.differences(some, high)
                worst = np.where(np.abs(upper) >= np.abs(metrics.differences(some, low)), high, low)
                values = self.exactly(some, worst)
            found[at] = np.where(good, values, np.nan)
        return found

    def ends(
        self, symbols: Array, levels: Array, shape: tuple[int, ...]
    ) -> Iterator[tuple[slice, Array, Array, Array]]:
        """What decoders may make of symbols, block by block: which samples, the lowest and the
        highest of each value (n, *shape) in the dtype of the source, and (n,) whether the
        reconstruction is numbers: what is not counts as none.
        """
        dtype = self.decoder.spec.dtype
        for i, block in self.decoder.outputs(symbols, shape, levels):
            with np.errstate(all="ignore"):
                wide = block.astype(np.float64)
                slack = self.slack(wide)
                low, high = (
                    from_network(end.astype(np.float32), dtype)
                    for end in (wide - slack, wide + slack)
                )
            good: Array = np.all(np.isfinite(block).reshape(len(block), -1), axis=1)
            yield slice(i, i + len(block)), low, high, good
