"""A finished run -> a bundle: two ONNX graphs, integer tables, reference vectors, scorecard."""

from __future__ import annotations

import io
import logging
import warnings
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
from rdedge.coding.quantiser import dequantise
from rdedge.coding.tables import tables_from_counts
from rdedge.data.files import refuse_existing
from rdedge.errors import BoundMissedError, MissingError, ParityError
from rdedge.host.datasets import load_again
from rdedge.host.fit import ROUNDING, fit_tables, symbols_of
from rdedge.host.models import Mlp
from rdedge.host.runs import RunFolder
from rdedge.host.training import latents, reconstructions
from rdedge.types import Array, SampleSpec


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
    profile = load_profile(target)
    effective = load_recipe(recipe or profile.recipe)
    folder = RunFolder(Path(run))
    description, card = folder.description(), folder.read_json("scorecard.json")
    model = folder.load_model(str(card.get("model_sha256")))
    with folder.reading("run.json"):
        basis = load_again(
            description,
            data=data,
            key=key,
            held_out_data=held_out_data,
            held_out_key=held_out_key,
        )
        dtype = str(description["data"]["dtype"])
    bound = basis.bound
    with folder.reading("scorecard.json"):
        level = Level(float(card["step"]))
        if card["bound"] != {"metric": bound.metric, "value": bound.value}:
            raise ValueError(f"its bound is {card['bound']}, that of run.json is {bound}")
    manifest = Manifest(
        model="mlp",
        sample=SampleSpec("vector", model.config.shape, dtype),
        latents=model.config.latents,
        levels=(level,),
        rounding=ROUNDING,
        bound=bound,
        scale=basis.scale,
        encoder=Half(_parameters(model.g_a), model.config.encoder_macs),
        decoder=Half(_parameters(model.g_s), model.config.decoder_macs),
        opset=effective.graph.opset,
        precision=effective.graph.precision,
        created_by=f"rdedge {__version__}",
        identity="0" * 64,
        members={},
    )
    members = {
        "encoder.onnx": to_onnx(model.g_a, (4, *model.config.shape), "x", "y", effective),
        "decoder.onnx": to_onnx(model.g_s, (4, model.config.latents), "y_hat", "x_hat", effective),
        "profile.json": canonical.dumps(profile.to_json()),
        "recipe.json": canonical.dumps(effective.to_json()),
    }
    bundle = _complete(manifest, members, model, basis.parts, card, effective)
    reached = bundle.scorecard["export"]["distortion"]["value"]
    if reached is not None and not bound.met_by(reached) and not allow_missed:
        raise BoundMissedError(
            f"the bundle reaches {bound.metric} {reached:g} on held-out data",
            expected=str(bound),
            do="train with a bound that can be met, or export it all the same with --allow-missed",
        )
    bundle.write(Path(output), force=force)
    return bundle


def _complete(
    manifest: Manifest,
    members: dict[str, bytes],
    model: Mlp,
    parts: tuple[Array, Array, Array],
    card: dict[str, Any],
    recipe: Recipe,
) -> Bundle:
    """Fit the tables on what the exported encoder gives, measure parity, add reference vectors."""
    train, validation, held_out = parts
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
    step = manifest.levels[0].step
    tables = tables_from_counts([0] * manifest.latents, [np.ones(2)] * manifest.latents)
    bundle = Bundle.make(manifest, members | draft | {"tables.bin": tables.to_bytes()})
    encoder = Encoder(bundle)
    tables = fit_tables(_symbols(encoder, train), _symbols(encoder, validation), model.prior, step)
    members = members | {"tables.bin": tables.to_bytes()}
    bundle = Bundle.make(manifest, members | draft)
    encoder, decoder = Encoder(bundle), Decoder(bundle)
    scorecard = {
        "training": card,
        "parity": parity(model, encoder, decoder, held_out, recipe),
        "export": measure(encoder, decoder, held_out),
    }
    inputs = np.ascontiguousarray(held_out[: recipe.reference.samples])
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


def _symbols(encoder: Encoder, x: Array, batch: int = 4096) -> Array:
    return np.concatenate([encoder.symbols(x[i : i + batch]) for i in range(0, len(x), batch)])


def _parameters(half: nn.Module) -> int:
    return sum(p.numel() for p in half.parameters()) + sum(b.numel() for b in half.buffers())


def to_onnx(
    half: nn.Module, shape: tuple[int, ...], input_name: str, output_name: str, recipe: Recipe
) -> bytes:
    """One half as a self-contained ONNX graph with a dynamic batch; the same half, the same bytes.

    shape: of an example input, (batch, ...).
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
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1 << 24)},),
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
    model: Mlp, encoder: Encoder, decoder: Decoder, x: Array, recipe: Recipe
) -> dict[str, Any]:
    """Torch against ONNX Runtime on x: (N, *shape).

    Latents in quantiser steps, symbols as a share, reconstructions in standard deviations of the
    training data. Raises ParityError where a limit of the recipe is crossed.
    """
    step = encoder.manifest.levels[0].step
    y = latents(model, x)
    theirs = np.concatenate(
        [encoder.runner.run(x[i : i + 4096].astype(np.float32)) for i in range(0, len(x), 4096)]
    )
    symbols, symbols_theirs = symbols_of(y, step), symbols_of(theirs, step)
    y_hat = dequantise(symbols, step)
    ours = reconstructions(model, y_hat, "float32")
    outputs = np.concatenate(
        [decoder.runner.run(y_hat[i : i + 4096]) for i in range(0, len(x), 4096)]
    )
    found = {
        "max_latent_difference": float(np.abs(y - theirs).max()) / step,
        "max_symbol_share": float((symbols != symbols_theirs).mean()),
        "max_output_difference": float(np.abs(ours - outputs).max()) / encoder.manifest.scale.std,
    }
    for name, value in found.items():
        limit = getattr(recipe.parity, name)
        if not value <= limit:
            raise ParityError(
                f"torch and {encoder.runner.name} differ: {name.removeprefix('max_')} is {value:g}",
                expected=f"at most {limit:g}, by the recipe",
                do="look for saturated weights, or raise the limit in the recipe on purpose",
            )
    return {"backends": ["torch", encoder.runner.name], "samples": len(x), **found}


def measure(encoder: Encoder, decoder: Decoder, x: Array) -> dict[str, Any]:
    """What the bundle itself does on held-out x: (N, *shape): actual bytes and distortion."""
    packet = encoder.encode(np.ascontiguousarray(x))
    x_hat = decoder.decode(packet)
    manifest = encoder.manifest
    distortion = metrics.mean(manifest.bound.metric, x, x_hat, manifest.scale)
    return {
        "samples": len(x),
        "packet_bytes": len(packet),
        "bits_per_element": {"value": 8.0 * len(packet) / x.size, "kind": "actual"},
        "distortion": {"metric": manifest.bound.metric, "value": canonical.finite(distortion)},
    }
