"""`rdedge check`: a bundle proves itself on this machine, without torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rdedge import config, native
from rdedge.bundle.bundle import Bundle
from rdedge.bundle.recipe import Recipe
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.coding.rans import Backend
from rdedge.errors import BundleError, ConfigError, ParityError
from rdedge.format.constants import Stream
from rdedge.format.packet import read_packet

# A bundle states its own limits, but not beyond these.
_MOST_SYMBOL_SHARE = 0.05
_MOST_OUTPUT_DIFFERENCE = 0.1


@dataclass(frozen=True)
class Checked:
    """One thing that was redone. value and limit: as the line says; fine: within the limit."""

    what: str
    value: float
    limit: float

    @property
    def fine(self) -> bool:
        return self.value <= self.limit

    def require(self) -> None:
        """Raise ParityError unless fine."""
        if not self.fine:
            raise ParityError(
                f"{self.what}: {self.value:g}",
                expected=f"at most {self.limit:g}",
                do="run rdedge doctor; do not use this bundle on this machine",
            )


def check(bundle: Bundle) -> list[Checked]:
    """Redo the reference vectors with every coder at hand and compare with what the bundle says.

    Symbols and bytes after the quantiser must be the same to the bit; what the networks give,
    within the limits of the bundle's own recipe. Raises BundleError where a part cannot be read.
    """
    reference, manifest = bundle.reference, bundle.manifest
    try:
        limits = config.build(bundle.recipe, Recipe, "recipe.json").parity
    except ConfigError as error:
        raise BundleError(f"recipe.json is damaged: {error}", do="export it again") from error
    coders: list[Backend] = ["c", "numpy"] if native.library() is not None else ["numpy"]
    found: list[Checked] = []
    packet, _ = read_packet(reference.packet)
    shape = reference.inputs.shape[1:]
    grid = manifest.grid(shape)
    # What the symbols do not say, such as a mask of missing values.
    coded = (Stream.LATENTS, Stream.ESCAPES)
    beside = {kind: data for kind, data in packet.streams.items() if kind not in coded}
    for coder in coders:
        encoder, decoder = Encoder(bundle, coder=coder), Decoder(bundle, coder=coder)
        packed = encoder.symbol_codec.pack(
            reference.symbols.reshape(-1),
            len(reference.symbols),
            grid=grid,
            shape=packet.shape,
            streams=beside,
        )
        decoded = decoder.symbol_codec.unpack(packet, grid)
        found += [
            Checked(
                f"{coder}: bytes of the reference symbols that differ",
                float(packed != reference.packet),
                0.0,
            ),
            Checked(
                f"{coder}: symbols of the reference packet that differ",
                float((decoded != reference.symbols).sum()),
                0.0,
            ),
        ]
    symbols = encoder.symbols(reference.inputs)
    differing = float((symbols != reference.symbols).mean())
    outputs = decoder.reconstruct(reference.symbols, shape).astype(np.float64)
    deviation = np.asarray(manifest.scale.std)
    # Missing values are no outputs of the graph.
    difference = float(np.nanmax(np.abs(outputs - reference.outputs) / deviation))
    # An integer that rounds the other way differs by one unit, however close the floats were.
    unit = 1.0 if np.issubdtype(reference.outputs.dtype, np.integer) else 0.0
    output_limit = max(
        min(limits.max_output_difference, _MOST_OUTPUT_DIFFERENCE), unit / float(deviation.min())
    )
    return [
        *found,
        Checked(
            f"{encoder.runner.name}: share of symbols that differ",
            differing,
            min(limits.max_symbol_share, _MOST_SYMBOL_SHARE),
        ),
        Checked(
            f"{decoder.runner.name}: largest difference of reconstructions, in standard deviations",
            difference,
            output_limit,
        ),
    ]
