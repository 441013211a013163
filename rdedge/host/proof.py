"""The exported graphs at work: against torch, and on held-out data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rdedge import canonical, metrics
from rdedge.bundle.bundle import Bundle
from rdedge.bundle.manifest import Manifest
from rdedge.bundle.recipe import Recipe
from rdedge.codec.decoder import Decoder
from rdedge.codec.encoder import Encoder
from rdedge.codec.preprocess import from_network, prepare
from rdedge.coding.quantiser import dequantise, quantise
from rdedge.errors import ParityError
from rdedge.host.datasets import Samples
from rdedge.host.evaluate import analyse, synthesise
from rdedge.host.models.base import Model
from rdedge.types import Array

# What is measured at export must be the same on every host.
_BACKEND = "ort-cpu"
# Elements that go through a graph at a time.
_BATCH_ELEMENTS = 1 << 20
# Images that parity is measured on.
_PARITY_BATCHES = 16


def coders(bundle: Bundle) -> tuple[Encoder, Decoder]:
    return Encoder(bundle, backend=_BACKEND), Decoder(bundle, backend=_BACKEND)


def rounded(
    latents: list[Array], manifest: Manifest, quantisers: Array
) -> tuple[list[Array], list[Array]]:
    """Latents -> symbols and y_hat, at the manifest's first level."""
    step = manifest.levels[0].step
    symbols = [
        quantise(y.reshape(-1), step, manifest.rounding, quantisers=quantisers).reshape(y.shape)
        for y in latents
    ]
    return symbols, [dequantise(s, step, quantisers) for s in symbols]


def decoded(
    decoder: Decoder, y_hat: list[Array], shapes: list[tuple[int, ...]], dtype: str
) -> list[Array]:
    """What the exported decoder makes of y_hat: (n, *shape) each, in this dtype."""
    found = []
    for y, shape in zip(y_hat, shapes, strict=True):
        rows = max(1, _BATCH_ELEMENTS // math.prod(shape))
        parts = []
        for i in range(0, len(y), rows):
            block = decoder.runner.run(np.ascontiguousarray(y[i : i + rows]))
            if decoder.manifest.grid(shape):
                block = block[:, : shape[0], : shape[1]]
            parts.append(from_network(block.reshape(-1, *shape), dtype))
        found.append(np.concatenate(parts))
    return found


def latents_of_graph(encoder: Encoder, samples: Samples) -> list[Array]:
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
    theirs = latents_of_graph(encoder, samples)
    symbols, y_hat = rounded(ours, manifest, quantisers)
    other = rounded(theirs, manifest, quantisers)[0]
    shapes = [x.shape[1:] for x in samples]
    std = np.asarray(manifest.scale.std)
    worst = max(
        float(np.abs((a - b) / std).max())
        for a, b in zip(
            synthesise(model, y_hat, shapes, "float32"),
            decoded(decoder, y_hat, shapes, "float32"),
            strict=True,
        )
    )
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
        "share_within": metrics.share_within(manifest.bound, samples, x_hat, manifest.scale),
    }
