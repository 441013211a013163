"""`rdedge check`: a bundle proves itself on this machine, without torch.

Its reference vectors first: what comes after the quantiser must be the same to the bit. Then, for
each backend at hand, what its networks give beside ONNX Runtime's on the CPU, which every machine
has and which made the bundle; and every backend's packets through every other's decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import config, metrics, native
from rdedge.bundle.bundle import Bundle, Reference
from rdedge.bundle.recipe import Recipe
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.codec.preprocess import from_network, prepare
from rdedge.coding.rans import Backend
from rdedge.data import sources
from rdedge.engine import margins
from rdedge.engine.margins import Pair
from rdedge.engine.runner import backends_at_hand, refuse_unknown
from rdedge.engine.safety import refuse_unsafe
from rdedge.errors import (
    BundleError,
    ConfigError,
    OutputError,
    ParityError,
    RdedgeError,
    ShapeError,
)
from rdedge.flows.margin import deviations_of, pairs_of
from rdedge.format.constants import Stream
from rdedge.format.packet import read_packet
from rdedge.types import Array

# Beside which all others are measured.
BASE = "ort-cpu"
# A bundle states its own limits, but not beyond these.
_MOST_LATENT_DIFFERENCE = 1.0
_MOST_SYMBOL_SHARE = 0.05
_MOST_OUTPUT_DIFFERENCE = 0.1
_MOST_EXTRA_BYTES = 0.1
_MOST_SAMPLES = 256


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


@dataclass(frozen=True)
class Report:
    """rows: what was redone. notes: what was not, and why. margin: the largest difference of
    reconstructions between the decoders at hand and the bundle's own, in the units of the data;
    deviations: the largest of pairs in standard deviations of the training data, before the last
    rounding. None in a device's part, which has no decoder. pairs: of decoders, what a gate leaves
    a margin for.
    """

    rows: tuple[Checked, ...]
    notes: tuple[str, ...]
    backends: tuple[str, ...]
    margin: float | None
    deviations: float | None = None
    pairs: tuple[Pair, ...] = ()

    @property
    def fine(self) -> bool:
        return all(row.fine for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        rows = [vars(row) | {"fine": row.fine} for row in self.rows]
        pairs = [vars(pair) for pair in self.pairs]
        return vars(self) | {"fine": self.fine, "rows": rows, "pairs": pairs}


@dataclass(frozen=True)
class _Limits:
    latents: float
    symbols: float
    outputs: float
    bytes: float


@dataclass(frozen=True)
class _Side:
    """A backend at work. y: latents of the samples; outputs: of the reference symbols, floats: the
    same before the last rounding; None in a device's part.
    """

    name: str
    encoder: Encoder
    decoder: Decoder | None
    y: Array
    symbols: Array
    packet: bytes
    outputs: Array | None
    floats: Array | None


def check(bundle: Bundle, x: Array | None = None, backends: Sequence[str] | None = None) -> Report:
    """Redo the reference vectors and compare backends, within the limits of the bundle's recipe.

    x: (N, *shape) to compare backends on, in the source's dtype; None: the reference inputs.
    backends: names of engine.runner.BACKENDS; None: all at hand. Raises BundleError where a part
    cannot be read or a graph holds what it may not; ConfigError for a name that is none;
    MissingError, EngineError for a backend that was asked for by name and cannot run.
    """
    signer = bundle.signature
    notes = ["unsigned" if signer is None else f"signed by the key {signer[:32].hex()}"]
    if not refuse_unsafe(bundle):
        notes.append("graphs: onnx is not installed, so nobody looked inside; their hashes fit")
    if bundle.manifest.absent:
        notes.append(
            f"a device's part, without {' and '.join(bundle.manifest.absent)}: nothing is decoded"
        )
    rows = _reference(bundle)
    at_hand = backends_at_hand()
    for one in at_hand:
        if not one.there and backends is None:
            notes.append(f"{one.backend}: not here: {one.why}")
    names = [one.backend for one in at_hand if one.there] if backends is None else list(backends)
    refuse_unknown(names)
    names = list(dict.fromkeys((BASE, *names)))
    samples = bundle.reference.inputs if x is None else bundle.manifest.sample.check_batch(x)
    sides: list[_Side] = []
    for name in names:
        try:
            sides.append(_run(bundle, name, samples))
        except RdedgeError as error:
            if backends is not None or name == BASE:
                raise
            # At hand, and yet it does not run: no note, a finding.
            rows.append(Checked(f"{name} cannot run: {error}", 1.0, 0.0))
    limits = _limits(bundle)
    rows += _of_base(bundle, sides[0], limits)
    for side in sides[1:]:
        rows += _beside(bundle, sides[0], side, samples, limits)
    rows += _crossed(bundle, sides)
    largest = [m for m in (_margin(bundle.reference, side) for side in sides) if m is not None]
    decoded = [(side.name, side.floats) for side in sides if side.floats is not None]
    pairs = pairs_of(bundle, decoded) if decoded else ()
    return Report(
        tuple(rows),
        tuple(notes),
        tuple(side.name for side in sides),
        max(largest, default=None),
        max((pair.deviations for pair in pairs), default=None),
        pairs,
    )


def keep_margin(bundle: Bundle, report: Report) -> str:
    """Keep how far the decoders lie apart where a gate on this machine finds it, or forget it where
    the check failed. Returns what became of it, for people; it stays unkept where nothing can be
    written.
    """
    identity = bundle.manifest.identity
    try:
        if not report.fine:
            margins.forget(identity)
            return "no margin is kept of a bundle that fails"
        if not report.pairs:
            return "no margin: nothing is decoded"
        return f"the margin is kept in {margins.store(identity, report.pairs)}"
    except (ConfigError, OutputError, OSError) as error:
        return f"the margin is not kept, a gate leaves the recipe's limit: {error}"


def samples_from(path: Path, bundle: Bundle, key: str | None = None) -> Array:
    """The first samples of a file or folder that are alike in shape, at most 256: (N, *shape).

    Raises SourceError, ShapeError.
    """
    manifest = bundle.manifest
    options = sources.ReadOptions(columns=manifest.columns)
    found: list[Array] = []
    skipped: list[sources.Skipped] = []
    for source in sources.read_all([path], skipped, key=key, spec=manifest.sample, options=options):
        try:
            manifest.sample.check_batch(source.samples)
        except ShapeError as error:
            raise ShapeError(
                f"{source.name}: {error.what}", expected=error.expected, do=error.do
            ) from error
        if found and source.samples.shape[1:] != found[0].shape[1:]:
            continue
        found.append(source.samples[: _MOST_SAMPLES - sum(map(len, found))])
        if sum(map(len, found)) >= _MOST_SAMPLES:
            break
    return np.concatenate(found)


def _limits(bundle: Bundle) -> _Limits:
    try:
        recipe = config.build(bundle.recipe, Recipe, "recipe.json")
    except ConfigError as error:
        raise BundleError(f"recipe.json is damaged: {error}", do="export it again") from error
    parity = recipe.parity
    outputs = min(parity.max_output_difference, _MOST_OUTPUT_DIFFERENCE)
    if np.issubdtype(np.dtype(bundle.manifest.sample.dtype), np.integer):
        # An integer that rounds the other way differs by one unit, however close the floats were.
        outputs = max(outputs, float(1.0 / deviations_of(bundle).min()))
    return _Limits(
        min(parity.max_latent_difference, _MOST_LATENT_DIFFERENCE),
        min(parity.max_symbol_share, _MOST_SYMBOL_SHARE),
        outputs,
        min(recipe.quality.max_extra_bytes, _MOST_EXTRA_BYTES),
    )


def _reference(bundle: Bundle) -> list[Checked]:
    """What comes after the quantiser, by every coder at hand."""
    reference = bundle.reference
    coders: list[Backend] = ["c", "numpy"] if native.library() is not None else ["numpy"]
    packet, _ = read_packet(reference.packet)
    grid = bundle.manifest.grid(reference.inputs.shape[1:])
    if packet.sample_count != len(reference.symbols):
        raise BundleError(
            f"the reference packet holds {packet.sample_count} samples",
            expected=f"{len(reference.symbols)}, as many as there are reference inputs",
            do="do not use this bundle; export it again",
        )
    # What the symbols do not say, such as a mask of missing values.
    coded = (Stream.LATENTS, Stream.ESCAPES)
    beside = {kind: data for kind, data in packet.streams.items() if kind not in coded}
    found: list[Checked] = []
    for coder in coders:
        codec = Encoder(bundle, backend=BASE, coder=coder).symbol_codec
        packed = codec.pack(
            reference.symbols.reshape(-1),
            len(reference.symbols),
            grid=grid,
            shape=packet.shape,
            streams=beside,
        )
        differing = float((codec.unpack(packet, grid) != reference.symbols).sum())
        found += [
            Checked(
                f"{coder}: bytes of the reference symbols that differ",
                float(packed != reference.packet),
                0.0,
            ),
            Checked(f"{coder}: symbols of the reference packet that differ", differing, 0.0),
        ]
    return found


def _run(bundle: Bundle, name: str, x: Array) -> _Side:
    manifest, reference = bundle.manifest, bundle.reference
    encoder = Encoder(bundle, backend=name)
    y = encoder.runner.run(prepare(x, encoder.spec, manifest.patch))
    decoder = outputs = floats = None
    if not manifest.absent:
        decoder = Decoder(bundle, backend=name)
        blocks = decoder.outputs(reference.symbols, reference.inputs.shape[1:])
        floats = np.concatenate([block for _, block in blocks])
        outputs = from_network(floats, manifest.sample.dtype)
    symbols, packet = encoder.symbols(x), encoder.encode(x)
    return _Side(encoder.runner.name, encoder, decoder, y, symbols, packet, outputs, floats)


def _of_base(bundle: Bundle, base: _Side, limits: _Limits) -> list[Checked]:
    """The backend that made the bundle, on this machine, beside the bundle's own vectors."""
    reference = bundle.reference
    again = base.encoder.symbols(reference.inputs)
    share = float((again != reference.symbols).mean())
    found = [Checked(f"{base.name}: share of symbols that differ", share, limits.symbols)]
    return found + _outputs(bundle, base, limits)


def _outputs(bundle: Bundle, side: _Side, limits: _Limits) -> list[Checked]:
    expected = bundle.reference.outputs
    if side.outputs is None or expected is None:
        return []
    # Missing values are no outputs of the graph.
    difference = np.abs(side.outputs.astype(np.float64) - expected)
    value = float(np.nanmax(difference / deviations_of(bundle)))
    what = f"{side.name}: largest difference of reconstructions, in standard deviations"
    return [Checked(what, value, limits.outputs)]


def _beside(bundle: Bundle, base: _Side, side: _Side, x: Array, limits: _Limits) -> list[Checked]:
    """A backend beside the base: networks within tolerances, and what that costs."""
    manifest = bundle.manifest
    step = manifest.levels[0].step
    found = [
        Checked(
            f"{side.name}: largest latent difference, in quantiser steps",
            float(np.abs(side.y - base.y).max()) / step,
            limits.latents,
        ),
        Checked(
            f"{side.name}: share of symbols that differ",
            float((side.symbols != base.symbols).mean()),
            limits.symbols,
        ),
        Checked(
            f"{side.name}: more bytes than {base.name}, as a share",
            len(side.packet) / len(base.packet) - 1.0,
            limits.bytes,
        ),
    ]
    if base.decoder is not None and side.decoder is not None:
        metric = manifest.bound.metric
        ours, theirs = (
            metrics.mean(metric, [x], [one.decoder.decode(one.packet)], manifest.scale)
            for one in (base, side)
            if one.decoder is not None
        )
        worse = ours - theirs if manifest.bound.is_minimum else theirs - ours
        what = f"{side.name}: {metric} worse than {base.name}'s {ours:.4g}, as a share"
        found.append(Checked(what, worse / max(abs(ours), 1e-12), limits.bytes))
    return found + _outputs(bundle, side, limits)


def _crossed(bundle: Bundle, sides: list[_Side]) -> list[Checked]:
    """Every backend's packet by every other's decoder: the symbols that its encoder meant."""
    found = []
    for sender in sides:
        packet, _ = read_packet(sender.packet)
        shape = packet.shape or bundle.manifest.sample.shape
        for receiver in sides:
            unpacked = receiver.encoder.symbol_codec.unpack(packet, bundle.manifest.grid(shape))
            what = f"{sender.name} -> {receiver.name}: symbols that differ"
            found.append(Checked(what, float((unpacked != sender.symbols).sum()), 0.0))
    return found


def _margin(reference: Reference, side: _Side) -> float | None:
    """The largest difference of reconstructions, in the units of the data."""
    if side.outputs is None or reference.outputs is None:
        return None
    return float(np.nanmax(np.abs(side.outputs.astype(np.float64) - reference.outputs)))
