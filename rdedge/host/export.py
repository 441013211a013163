"""A finished run -> a bundle: two ONNX graphs, integer tables, reference vectors, scorecard."""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rdedge import canonical, metrics
from rdedge._version import __version__
from rdedge.bundle.bundle import Bundle, npy_bytes
from rdedge.bundle.manifest import Half, Level, Manifest
from rdedge.bundle.recipe import Recipe, load_profile, load_recipe
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.coding.quantiser import dequantise, quantise
from rdedge.coding.selection import Selection
from rdedge.coding.tables import tables_from_counts
from rdedge.data.files import refuse_existing
from rdedge.errors import BoundMissedError, MissingError, ParityError
from rdedge.host.datasets import Basis, Parts, Samples, load_again
from rdedge.host.evaluate import analyse, entropy_model, prepare, synthesise
from rdedge.host.fit import Latents
from rdedge.host.models.base import Model, parameters
from rdedge.host.runs import RunFolder
from rdedge.types import Array, SampleSpec

# Elements that go through a graph at a time.
_BATCH_ELEMENTS = 1 << 20
# Latents whose tables are fitted are never decoded.
_NOTHING: Callable[..., list[Array]] = lambda y_hat, shapes: []  # noqa: E731
# Images that parity is measured on.
_PARITY_BATCHES = 16


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
    force: bool = False,
) -> Bundle:
    """Export the run folder to the bundle `output`.

    target: a profile of devices/, or a .toml. recipe: one of export/, or a .toml; None takes the
    profile's. data, held_out_data: where they are now, if they have moved. allow_missed: export
    even if the bound is not met on held-out data. Raises BoundMissedError where it is not,
    TrainingError for an unfinished or altered run, ParityError where torch and ONNX Runtime differ
    by more than the recipe allows.
    """
    refuse_existing(Path(output), force)
    where = {
        "data": data,
        "key": key,
        "held_out_data": held_out_data,
        "held_out_key": held_out_key,
    }
    draft = Draft.of(Path(run), target=target, recipe=recipe, **where)
    bundle = draft.bundle()
    reached, bound = bundle.scorecard["export"]["distortion"]["value"], draft.basis.bound
    if reached is not None and not bound.met_by(reached) and not allow_missed:
        raise BoundMissedError(
            f"the bundle reaches {bound.metric} {reached:g} on held-out data",
            expected=str(bound),
            do="train with a bound that can be met, or export it all the same with --allow-missed",
        )
    bundle.write(Path(output), force=force)
    return bundle


@dataclass(frozen=True)
class Draft:
    """A finished run with its graphs exported, before its tables are fitted."""

    basis: Basis
    model: Model
    manifest: Manifest
    members: dict[str, bytes]
    card: dict[str, Any]
    recipe: Recipe

    @staticmethod
    def of(
        run: Path, *, target: str = "cpu-host", recipe: str | None = None, **where: str | None
    ) -> Draft:
        """Read a run, export its graphs. where: as load_again takes it. Raises as export does."""
        profile = load_profile(target)
        effective = load_recipe(recipe or profile.recipe)
        folder = RunFolder(run)
        description, card = folder.description(), folder.read_json("scorecard.json")
        with folder.reading("scorecard.json"):
            model = folder.load_model(str(card["model_sha256"]), dict(card["model"]))
        with folder.reading("run.json"):
            basis = load_again(description, **where)
            _refuse_other_model(description["model"], card)
        bound, spec = basis.bound, basis.parts.spec
        with folder.reading("scorecard.json"):
            step, rounding = float(card["step"]), float(card["rounding"])
            if not (1e-37 < step < 1e37 and 0 < rounding <= 0.5):
                raise ValueError(f"its step is {step}, its rounding {rounding}")
            if card["bound"] != {"metric": bound.metric, "value": bound.value}:
                raise ValueError(f"its bound is {card['bound']}, that of run.json is {bound}")
        manifest = Manifest(
            model=model.config.kind,
            sample=spec,
            columns=basis.columns,
            latents=model.config.latents,
            patch=model.config.patch,
            levels=(Level(step),),
            rounding=rounding,
            bound=bound,
            scale=basis.scale,
            encoder=Half(parameters(model.g_a), model.config.encoder_macs),
            decoder=Half(parameters(model.g_s), model.config.decoder_macs),
            opset=effective.graph.opset,
            precision=effective.graph.precision,
            created_by=f"rdedge {__version__}",
            identity="0" * 64,
            members={},
        )
        shapes = _example_shapes(model, spec)
        members = {
            "encoder.onnx": to_onnx(model.g_a, *shapes[0], "x", "y", effective),
            "decoder.onnx": to_onnx(model.g_s, *shapes[1], "y_hat", "x_hat", effective),
            "profile.json": canonical.dumps(profile.to_json()),
            "recipe.json": canonical.dumps(effective.to_json()),
        }
        return Draft(basis, model, manifest, members, card, effective)

    def bundle(self, factor: float = 1.0) -> Bundle:
        """The bundle, its quantiser step multiplied by factor and its tables fitted to that."""
        step = float(np.float32(self.manifest.levels[0].step * factor))
        manifest = replace(self.manifest, levels=(Level(step),))
        parts = self.basis.parts
        return _complete(manifest, self.members, self.model, parts, self.card, self.recipe)


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


def _complete(
    manifest: Manifest,
    members: dict[str, bytes],
    model: Model,
    parts: Parts,
    card: dict[str, Any],
    recipe: Recipe,
) -> Bundle:
    """Fit the tables on what the exported encoder gives, measure parity, add reference vectors."""
    # The tables are needed to open an Encoder; these stand in until it has seen the training data.
    draft = dict.fromkeys(
        (
            "scorecard.json",
            "reference/inputs.npy",
            "reference/symbols.npy",
            "reference/packet.bin",
            "reference/outputs.npy",
        ),
        b"",
    )
    tables = tables_from_counts([0] * manifest.latents, [np.ones(2)] * manifest.latents)
    plain = {
        "tables.bin": tables.to_bytes(),
        "selection.bin": Selection.plain(manifest.latents).to_bytes(),
    }
    encoder = Encoder(Bundle.make(manifest, members | draft | plain))
    step, layout = manifest.levels[0].step, model.layout
    train, validation = (
        Latents(_latents(encoder, p), p, _NOTHING, None if layout is None else layout.quantisers)
        for p in (parts.train, parts.validation)
    )
    selection, tables = entropy_model(model, train, validation, step, manifest.rounding)
    members = members | {"tables.bin": tables.to_bytes(), "selection.bin": selection.to_bytes()}
    bundle = Bundle.make(manifest, members | draft)
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    scorecard = {
        "training": card,
        "parity": parity(model, encoder, decoder, parts.held_out, recipe),
        "export": measure(encoder, decoder, parts.held_out),
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


def _latents(encoder: Encoder, samples: Samples) -> list[Array]:
    """What the exported encoder makes of samples: (n, *grid, L) float32 for each batch."""
    manifest = encoder.manifest
    found = []
    for x in samples:
        step = max(1, _BATCH_ELEMENTS // max(1, math.prod(x.shape[1:])))
        parts = [
            encoder.runner.run(prepare(x[i : i + step], encoder.spec, manifest.patch))
            for i in range(0, len(x), step)
        ]
        found.append(np.concatenate(parts))
    return found


def to_onnx(
    half: nn.Module,
    shape: tuple[int, ...],
    free: tuple[int, ...],
    input_name: str,
    output_name: str,
    recipe: Recipe,
) -> bytes:
    """One half as a self-contained ONNX graph with free axes; the same half, the same bytes.

    shape: of an example input, (batch, ...); free: which of its axes may have any size.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  torch.onnx needs it
    except ImportError as error:
        raise MissingError(
            f"{error.name} is not installed", do="pip install 'rdedge[export]'"
        ) from error
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # The exporter warns of its own internals; what it made is checked below and by parity.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            half.eval(),
            (torch.zeros(shape),),
            dynamo=True,
            opset_version=recipe.graph.opset,
            input_names=[input_name],
            output_names=[output_name],
            verbose=False,
            dynamic_shapes=(dict.fromkeys(free, torch.export.Dim.DYNAMIC),),
        )
    assert program is not None
    model = onnx.load_from_string(program.model_proto.SerializeToString())
    _strip(model)
    onnx.checker.check_model(model, full_check=True)
    buffer = io.BytesIO()
    onnx.save_model(model, buffer)
    return buffer.getvalue()


def _strip(model: Any) -> None:
    """Remove what the exporter notes of the machine it ran on: paths, stack traces, versions."""
    model.doc_string = model.producer_version = ""
    model.producer_name = "rdedge"
    del model.metadata_props[:]
    for function in model.functions:
        function.doc_string = ""
    graph = model.graph
    graph.name, graph.doc_string = "rdedge", ""
    del graph.metadata_props[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]


def parity(
    model: Model, encoder: Encoder, decoder: Decoder, samples: Samples, recipe: Recipe
) -> dict[str, Any]:
    """Torch against ONNX Runtime on samples, in batches (n, *shape).

    Latents in quantiser steps, symbols as a share, reconstructions in standard deviations of the
    training data. Raises ParityError where a limit of the recipe is crossed.
    """
    manifest, spec = encoder.manifest, encoder.spec
    step, quantisers = manifest.levels[0].step, encoder.bundle.selection.quantisers
    samples = samples[:_PARITY_BATCHES]
    ours = analyse(model, samples, spec)
    theirs = _latents(encoder, samples)
    symbols, other = (
        [
            quantise(y.reshape(-1), step, manifest.rounding, quantisers=quantisers).reshape(y.shape)
            for y in latents
        ]
        for latents in (ours, theirs)
    )
    y_hat = [dequantise(s, step, quantisers) for s in symbols]
    shapes = [x.shape[1:] for x in samples]
    outputs = synthesise(model, y_hat, shapes, "float32")
    grids = [manifest.grid(shape) for shape in shapes]
    worst = 0.0
    for y, x_hat, grid, shape in zip(y_hat, outputs, grids, shapes, strict=True):
        rows = max(1, _BATCH_ELEMENTS // math.prod(shape))
        for i in range(0, len(y), rows):
            block = decoder.runner.run(np.ascontiguousarray(y[i : i + rows]))
            block = block[:, : shape[0], : shape[1]] if grid else block
            difference = x_hat[i : i + rows] - block.reshape(-1, *shape)
            worst = max(worst, float(np.abs(difference / np.asarray(manifest.scale.std)).max()))
    count = sum(s.size for s in symbols)
    differ = sum(int((a != b).sum()) for a, b in zip(symbols, other, strict=True))
    pairs = zip(ours, theirs, strict=True)
    found = {
        "max_latent_difference": max(float(np.abs(a - b).max()) for a, b in pairs) / step,
        "max_symbol_share": differ / count,
        "max_output_difference": worst,
    }
    for name, value in found.items():
        limit = getattr(recipe.parity, name)
        if not value <= limit:
            raise ParityError(
                f"torch and {encoder.runner.name} differ: {name.removeprefix('max_')} is {value:g}",
                expected=f"at most {limit:g}, by the recipe",
                do="look for saturated weights, or raise the limit in the recipe on purpose",
            )
    tested = sum(map(len, samples))
    return {"backends": ["torch", encoder.runner.name], "samples": tested, **found}


def measure(encoder: Encoder, decoder: Decoder, samples: Samples) -> dict[str, Any]:
    """What the bundle itself does on held-out samples: actual bytes and distortion.

    A window or an image is a packet of its own; vectors share one.
    """
    manifest = encoder.manifest
    sent: list[bytes] = []
    x_hat: list[Array] = []
    for x in samples:
        rows = len(x) if manifest.sample.kind == "vector" else 1
        made = [
            encoder.encode(np.ascontiguousarray(x[i : i + rows])) for i in range(0, len(x), rows)
        ]
        sent += made
        x_hat.append(np.concatenate([decoder.decode(packet) for packet in made]))
    distortion = metrics.mean(manifest.bound.metric, samples, x_hat, manifest.scale)
    size, elements = sum(map(len, sent)), sum(x.size for x in samples)
    return {
        "samples": sum(map(len, samples)),
        "packets": len(sent),
        "packet_bytes": size,
        "bits_per_element": {"value": 8.0 * size / elements, "kind": "actual"},
        "distortion": {"metric": manifest.bound.metric, "value": canonical.finite(distortion)},
    }
