"""A finished run -> a bundle: two ONNX graphs, integer tables, reference vectors, scorecard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import canonical
from rdedge._version import __version__
from rdedge.bundle.bundle import Bundle, npy_bytes
from rdedge.bundle.manifest import MAX_RATE_WEIGHT, OPTIONAL, Half, Level, Manifest
from rdedge.bundle.recipe import Recipe, load_profile, load_recipe
from rdedge.bundle.signature import private_key
from rdedge.coding.selection import Selection
from rdedge.coding.tables import tables_from_counts
from rdedge.data.files import refuse_existing, refuse_unwritable
from rdedge.engine.safety import refuse_unsafe
from rdedge.errors import BoundMissedError, ConfigError, FormatError
from rdedge.host.datasets import Basis, load_again
from rdedge.host.entropy import (
    Entropy,
    coded_entropy,
    fit_entropy,
    layout_of,
    members_of,
    recounted,
)
from rdedge.host.fit import Latents
from rdedge.host.graphs import to_onnx
from rdedge.host.levels import fallbacks, ladder, residual_step
from rdedge.host.lower import lower, refuse_cost, refuse_precision, refuse_shapes
from rdedge.host.models.base import Model, parameters
from rdedge.host.proof import coders, latents_of_graph, measure, parity
from rdedge.host.runs import RunFolder
from rdedge.types import Array, Bound, SampleSpec

# Members that are not known yet.
_UNKNOWN = dict.fromkeys(
    (
        "scorecard.json",
        "reference/inputs.npy",
        "reference/symbols.npy",
        "reference/packet.bin",
        "reference/outputs.npy",
    ),
    b"",
)
# Latents whose tables are fitted are never decoded.
_NOTHING: Callable[..., list[Array]] = lambda y_hat, shapes: []  # noqa: E731


def export(
    run: str | PathLike[str],
    output: str | PathLike[str],
    *,
    target: str = "cpu-host",
    recipe: str | None = None,
    data: str | None = None,
    key: str | None = None,
    held_out_data: str | None = None,
    held_out_key: str | None = None,
    allow_missed: bool = False,
    device_only: bool = False,
    sign: Path | None = None,
    force: bool = False,
) -> Bundle:
    """Export the run folder to the bundle `output`.

    target: a profile of devices/, or a .toml. recipe: one of export/, or a .toml; None takes the
    profile's. data, held_out_data: where they are now, if they have moved. allow_missed: export
    even if the bound is not met on held-out data. device_only: without what only a server needs;
    the codec stays the same. sign: a private key (bundle.signature). Raises BoundMissedError where
    the bound is not met, TrainingError for an unfinished or altered run, ParityError where torch
    and ONNX Runtime differ by more than the recipe allows, or a lower precision costs more.
    """
    refuse_existing(Path(output), force)
    refuse_unwritable(Path(output))
    if sign is not None:
        # Before minutes of work, not after.
        private_key(sign)
    where = {
        "data": data,
        "key": key,
        "held_out_data": held_out_data,
        "held_out_key": held_out_key,
    }
    draft = Draft.of(Path(run), target=target, recipe=recipe, **where)
    if device_only and draft.recipe.gate.mode == "always":
        raise ConfigError(
            "gate = always for a device's part, which has no decoder to measure with",
            expected="the whole bundle on the device, or gate = never",
            do="leave out --device-only, or take a --recipe whose [gate] mode is never",
        )
    bundle = draft.bundle()
    reached, bound = bundle.scorecard["export"]["distortion"]["value"], draft.basis.bound
    if reached is not None and not bound.met_by(reached) and not allow_missed:
        raise BoundMissedError(
            f"the bundle reaches {bound.metric} {reached:g} on held-out data",
            expected=str(bound),
            do="train with a bound that can be met, or export it all the same with --allow-missed",
        )
    refuse_unsafe(bundle)
    if device_only:
        bundle = bundle.device_part()
    if sign is not None:
        bundle = bundle.signed(sign)
    bundle.write(Path(output), force=force)
    return bundle


@dataclass(frozen=True)
class Draft:
    """A finished run with its graphs exported in fp32, before its tables are fitted."""

    basis: Basis
    model: Model
    manifest: Manifest
    members: dict[str, bytes]
    card: dict[str, Any]
    recipe: Recipe
    entropy: Entropy | None = None

    @staticmethod
    def of(
        run: Path, *, target: str = "cpu-host", recipe: str | None = None, **where: str | None
    ) -> Draft:
        """Read a run, export its graphs. where: as load_again takes it. Raises as export does."""
        profile = load_profile(target)
        effective = load_recipe(profile.recipe if recipe is None else recipe)
        refuse_precision(effective, profile)
        folder = RunFolder(run)
        description, card = folder.description(), folder.read_json("scorecard.json")
        with folder.reading("scorecard.json"):
            model = folder.load_model(str(card["model_sha256"]), dict(card["model"]))
        with folder.reading("run.json"):
            basis = load_again(description, **where)
            _refuse_other_model(description["model"], card)
        bound, spec = basis.bound, basis.parts.spec
        if bound.share and recipe is None:
            # Trained for every sample; a recipe that was asked for says itself what it wants.
            effective = replace(effective, gate=replace(effective.gate, mode="always"))
        refuse_shapes(effective, spec)
        with folder.reading("scorecard.json"):
            step, rounding = float(card["step"]), float(card["rounding"])
            if not (1e-37 < step < 1e37 and 0 < rounding <= 0.5):
                raise ValueError(f"its step is {step}, its rounding {rounding}")
            entropy = _entropy_of(folder, card)
            if card["bound"] != bound.to_json():
                raise ValueError(f"its bound is {card['bound']}, that of run.json is {bound}")
        manifest = Manifest(
            model=model.config.kind,
            sample=spec,
            columns=basis.columns,
            latents=model.config.latents,
            patch=model.config.patch,
            levels=(Level(step),),
            rounding=rounding,
            bound=replace(bound, share=0.0),
            scale=basis.scale,
            encoder=Half(parameters(model.g_a), model.config.encoder_macs),
            decoder=Half(parameters(model.g_s), model.config.decoder_macs),
            opset=effective.graph.opset,
            precision="fp32",
            created_by=f"rdedge {__version__}",
            identity="0" * 64,
            members={},
        )
        shapes, opset = _example_shapes(model, spec), effective.graph.opset
        members = {
            "encoder.onnx": to_onnx(model.g_a, *shapes[0], "x", "y", opset),
            "decoder.onnx": to_onnx(model.g_s, *shapes[1], "y_hat", "x_hat", opset),
            "profile.json": canonical.dumps(profile.to_json()),
            "recipe.json": canonical.dumps(effective.to_json()),
        }
        return Draft(basis, model, manifest, members, card, effective, entropy)

    def promising(self, bound: Bound) -> Draft:
        """The same for a bundle whose gate holds this bound for every sample."""
        bound = replace(bound, share=0.0)
        recipe = replace(self.recipe, gate=replace(self.recipe.gate, mode="always"))
        return replace(
            self,
            basis=replace(self.basis, bound=bound),
            manifest=replace(self.manifest, bound=bound),
            members=self.members | {"recipe.json": canonical.dumps(recipe.to_json())},
            recipe=recipe,
        )

    def bundle(self, factor: float = 1.0) -> Bundle:
        """The bundle, its quantiser step multiplied by factor and its tables fitted to that; of a
        palette, which has no step, what a bit is worth is multiplied by the factor's square. In a
        lower precision the step that gives the distortion of the fp32 graphs, unless there is no
        layer to convert.

        Raises ParityError where a limit of the recipe is crossed.
        """
        step = float(np.float32(self.manifest.levels[0].step * factor))
        manifest = replace(self.manifest, levels=(Level(step),))
        # The encoder of a palette has no layer to convert.
        palette = self.entropy is not None and self.entropy.palette is not None
        entropy = self.entropy
        if palette and entropy is not None and factor != 1.0:
            weight = min(entropy.rate_weight * factor**2, MAX_RATE_WEIGHT)
            entropy = replace(entropy, rate_weight=weight)
            manifest = replace(manifest, levels=self.manifest.levels)
        plain = self._complete(manifest, self.members, entropy)
        if palette or set(self.recipe.graph.of_halves.values()) == {"fp32"}:
            return plain
        lowered = lower(plain, self.recipe, self.basis.parts, _unfitted, self._refitted)
        if lowered is None:
            return plain
        manifest, graphs, facts, entropy = lowered
        more = {"parity": plain.scorecard["parity"], "precision": facts}
        found = self._complete(manifest, self.members | graphs, entropy, more)
        refuse_cost(self.recipe, facts["fp32"], found.scorecard["export"])
        return found

    def _refitted(self, made: Bundle) -> Entropy | None:
        """Contexts or counts, counted on what the encoder of this bundle gives; None where classes
        select tables.
        """
        if self.entropy is None or not self.entropy.counted:
            return None
        encoder, _ = coders(made)
        layout, parts = layout_of(self.model), self.basis.parts
        y = latents_of_graph(encoder, parts.train)
        before = None if parts.before is None else parts.before[0]
        train = Latents(y, parts.train, _NOTHING, layout.quantisers, before)
        return recounted(layout, self.entropy, train, made.manifest.levels[0].step)

    def _complete(
        self,
        manifest: Manifest,
        members: dict[str, bytes],
        entropy: Entropy | None,
        more: dict[str, Any] | None = None,
    ) -> Bundle:
        """Add tables, reference vectors and scorecard.

        entropy: None to fit classes on what the exported encoder gives. more: of
        the scorecard, in place of the parity with torch.
        """
        model, parts, recipe = self.model, self.basis.parts, self.recipe
        spec, bound, scale = manifest.sample, manifest.bound, manifest.scale
        manifest = replace(
            manifest,
            # The values of a palette are what they are.
            levels=ladder(manifest.levels[0].step, recipe.gate)
            if entropy is None or entropy.palette is None
            else manifest.levels,
            fallbacks=fallbacks(spec, bound, scale, parts.train, recipe.gate),
            residual=residual_step(spec, bound),
        )
        if entropy is None:
            encoder, _ = coders(_unfitted(manifest, members))
            quantisers = None if model.layout is None else model.layout.quantisers
            train, validation = (
                Latents(latents_of_graph(encoder, samples), samples, _NOTHING, quantisers)
                for samples in (parts.train, parts.validation)
            )
            step = manifest.levels[0].step
            entropy = fit_entropy(model, train, validation, step, manifest.rounding)
        manifest = replace(
            manifest,
            rounding=entropy.rounding,
            rate_weight=entropy.rate_weight,
            trellis=entropy.trellis,
        )
        members = members | members_of(entropy)
        encoder, decoder = coders(Bundle.make(manifest, members | _UNKNOWN))
        if more is None:
            more = {"parity": parity(model, encoder, decoder, parts.held_out, recipe)}
        scorecard = {
            "training": self.card,
            "export": measure(encoder, decoder, parts.held_out),
            **more,
        }
        inputs = np.ascontiguousarray(parts.held_out[0][: recipe.reference.samples])
        packet = encoder.encode(inputs)
        symbols = encoder.symbols(inputs)
        return Bundle.make(
            manifest,
            members
            | {
                "scorecard.json": canonical.dumps(scorecard),
                "reference/inputs.npy": npy_bytes(inputs),
                "reference/symbols.npy": npy_bytes(symbols),
                "reference/packet.bin": packet,
                "reference/outputs.npy": npy_bytes(decoder.decode(packet)),
            },
        )


def _entropy_of(folder: RunFolder, card: dict[str, Any]) -> Entropy | None:
    """What selects tables by what is decoded before, where the run has that. Raises ValueError."""
    weight = float(card.get("rate_weight", 0.0))
    if not 0 <= weight <= MAX_RATE_WEIGHT:
        raise ValueError(f"its rate_weight is {weight}")
    if "entropy_sha256" not in card:
        if weight:
            raise ValueError("it has a rate_weight and no entropy_sha256")
        return None
    members = folder.load_entropy(str(card["entropy_sha256"]))
    try:
        return coded_entropy(members, float(card["rounding"]), weight, card.get("trellis"))
    except FormatError as error:
        raise ValueError(str(error)) from error


def _refuse_other_model(planned: dict[str, Any], card: dict[str, Any]) -> None:
    """Raise ValueError unless the scorecard has the planned model, or what that started from."""
    model, kept = card["model"], card.get("kept")
    sizes = {key: value for key, value in model.items() if not key.endswith("_macs")}
    if sizes == planned:
        return
    if model["kind"] == planned["kind"] or kept != f"start: {model['kind']}":
        raise ValueError(f"its model is {planned}, that of scorecard.json is {sizes}")


def _example_shapes(
    model: Model, spec: SampleSpec
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]:
    """For both graphs: the shape of an example input, and which of its axes are free."""
    latents, patch = model.config.latents, model.config.patch
    if spec.kind != "image":
        return ((4, *spec.shape), (0,)), ((4, latents), (0,))
    image = (2, 3 * patch, 4 * patch, spec.shape[2])
    return (image, (0, 1, 2)), ((2, 3, 4, latents), (0, 1, 2))


def _unfitted(manifest: Manifest, members: dict[str, bytes]) -> Bundle:
    """A bundle whose networks run; its tables stand in until training data has been seen."""
    tables = tables_from_counts([0] * manifest.latents, [np.ones(2)] * manifest.latents)
    plain = {
        "tables.bin": tables.to_bytes(),
        "selection.bin": Selection.plain(manifest.latents).to_bytes(),
    }
    members = {name: data for name, data in members.items() if name not in OPTIONAL}
    manifest = replace(manifest, rate_weight=0.0, trellis=None)
    return Bundle.make(manifest, members | plain | _UNKNOWN)
