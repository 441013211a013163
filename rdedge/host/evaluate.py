"""What a model does to samples, measured: the scorecard."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from rdedge import canonical, metrics
from rdedge.codec.preprocess import from_network, prepare
from rdedge.codec.symbols import SymbolCodec
from rdedge.format.constants import Stream
from rdedge.format.mask import write_mask
from rdedge.host.datasets import Parts, Samples
from rdedge.host.entropy import Entropy, choose_entropy, fit_entropy
from rdedge.host.fit import NEAREST, Latents, cross_fit, fit_step
from rdedge.host.models.base import Model
from rdedge.host.models.palette import PaletteCodec
from rdedge.host.options import TrainingOptions
from rdedge.host.palettes import fit_palette, held_to
from rdedge.types import Array, Bound, SampleSpec

# Above this many elements of held-out data a step is looked for near 1 only.
_SCAN_ELEMENTS = 1 << 20
_BATCH_ELEMENTS = 1 << 21


@torch.no_grad()
def analyse(model: Model, samples: Samples, spec: SampleSpec) -> list[Array]:
    """g_a of samples: one array (n, *grid, L) float32 for each batch."""
    device = _device(model)
    model.eval()
    found = []
    for x in samples:
        step = max(1, _BATCH_ELEMENTS // max(1, math.prod(x.shape[1:])))
        parts = [
            model.g_a(
                torch.from_numpy(prepare(x[i : i + step], spec, model.config.patch)).to(device)
            )
            for i in range(0, len(x), step)
        ]
        found.append(np.concatenate([p.float().cpu().numpy() for p in parts]))
    return found


@torch.no_grad()
def synthesise(
    model: Model, y_hat: list[Array], shapes: list[tuple[int, ...]], dtype: str
) -> list[Array]:
    """g_s of y_hat: (n, *grid, L) each -> x_hat (n, *shape) each, in the dtype of the source."""
    device = _device(model)
    model.eval()
    found = []
    for y, shape in zip(y_hat, shapes, strict=True):
        step = max(1, _BATCH_ELEMENTS // max(1, math.prod(shape)))
        parts = []
        for i in range(0, len(y), step):
            x_hat = model.g_s(torch.from_numpy(y[i : i + step]).to(device)).float().cpu().numpy()
            if model.config.patch > 1:
                x_hat = x_hat[:, : shape[0], : shape[1]]
            parts.append(from_network(x_hat.reshape(-1, *shape), dtype))
        found.append(np.concatenate(parts))
    return found


def _device(model: Model) -> torch.device:
    tensors = [*model.parameters(), *model.buffers()]
    return tensors[0].device


def latents_of(
    model: Model, samples: Samples, spec: SampleSpec, before: Array | None = None
) -> Latents:
    """The latents of samples, ready to be fitted; before: as in Latents."""

    def synthesis(y_hat: list[Array], shapes: list[tuple[int, ...]]) -> list[Array]:
        return synthesise(model, y_hat, shapes, spec.dtype)

    quantisers = None if model.layout is None else model.layout.quantisers
    return Latents(analyse(model, samples, spec), samples, synthesis, quantisers, before)


def packets(
    codec: SymbolCodec, samples: Samples, symbols: list[Array], spec: SampleSpec, *, alone: bool
) -> list[bytes]:
    """What is sent: every sample a packet of its own, or all of a batch in one.

    symbols: (n, *grid, L) int32 for each batch (n, *shape) of samples.
    """
    made = []
    for x, s in zip(samples, symbols, strict=True):
        shape = None if x.shape[1:] == spec.shape else x.shape[1:]
        step = 1 if alone else len(x)
        for i in range(0, len(x), step):
            streams = {}
            if spec.kind == "series" and np.isnan(x[i : i + step]).any():
                streams[Stream.MASK] = write_mask(np.isnan(x[i : i + step]))
            some = s[i : i + step]
            grid = some.shape[1:-1]
            made.append(
                codec.pack(some.reshape(-1), len(some), grid=grid, shape=shape, streams=streams)
            )
    return made


def seam_ratio(samples: Samples, decoded: Samples, patch: int) -> float | None:
    """Squared error of pixels on the border of a patch by that of all others: 1 for no seam.

    None where the others are without error.
    """
    sums = np.zeros((2, 2))
    for x, x_hat in zip(samples, decoded, strict=True):
        error = np.square(x.astype(np.float64) - x_hat).mean(axis=(0, 3))
        on_border = [np.isin(np.arange(side) % patch, (0, patch - 1)) for side in error.shape]
        border = on_border[0][:, None] | on_border[1][None, :]
        for row, where in enumerate((border, ~border)):
            sums[row] += error[where].sum(), where.sum()
    if not sums[1, 0] or not sums[0, 1]:
        return None
    return float(sums[0, 0] / sums[0, 1] / (sums[1, 0] / sums[1, 1]))


def evaluate(
    model: Model,
    parts: Parts,
    bound: Bound,
    scale: metrics.Scale,
    options: TrainingOptions | None = None,
) -> tuple[dict[str, Any], Entropy]:
    """The scorecard: step and rounding, distortion on held-out data, its rate in actual bytes; and
    what codes.

    A window or an image is a packet of its own, as a device sends it; vectors share one.
    options: the quantiser; of a palette, which is trained here, all.
    """
    spec, held_out = parts.spec, parts.held_out
    elements = sum(x.size for x in held_out)
    near = spec.kind == "image" or elements > _SCAN_ELEMENTS
    before = parts.before or (None, None)
    train = latents_of(model, parts.train, spec, before[0])
    validation = latents_of(model, parts.validation, spec, before[1])
    latents = latents_of(model, held_out, spec)
    if isinstance(model, PaletteCodec):
        assert options is not None
        entropy = fit_palette(model, train, validation, bound, scale, options)
        entropy, met, crossed = held_to(entropy, latents, bound, scale)
        return _card(model, parts, bound, scale, entropy, latents, 1.0, met, crossed), entropy
    quantiser = "auto" if options is None else options.quantiser
    entropy = choose_entropy(model, train, validation, bound, scale, near=near, quantiser=quantiser)
    fitted = fit_step(latents, bound, scale, entropy.how, near)
    if fitted is None:
        # To the nearest, which errs least, before it is given up.
        entropy = fit_entropy(model, train, validation, 1.0, NEAREST)
        fitted = fit_step(latents, bound, scale, NEAREST, near)
    step = 1.0 / 64 if fitted is None else fitted[0]
    if not entropy.trained:
        entropy = fit_entropy(model, train, validation, step, entropy.rounding)
    crossed = cross_fit(latents, bound, scale, entropy.how, near)
    card = _card(model, parts, bound, scale, entropy, latents, step, fitted is not None, crossed)
    return card, entropy


def _card(
    model: Model,
    parts: Parts,
    bound: Bound,
    scale: metrics.Scale,
    entropy: Entropy,
    latents: Latents,
    step: float,
    met: bool,
    crossed: list[float],
) -> dict[str, Any]:
    """The scorecard of held-out latents. crossed: distortions with the step fitted elsewhere."""
    spec, held_out, how = parts.spec, parts.held_out, entropy.how
    elements = sum(x.size for x in held_out)
    symbols, x_hat = latents.symbols(step, how), latents.decoded(step, how)
    distortion = metrics.mean(bound.metric, held_out, x_hat, scale)
    reached = metrics.reached(bound, held_out, x_hat, scale)
    spread = np.concatenate(
        [metrics.per_sample("mse", a, b, scale) for a, b in zip(held_out, x_hat, strict=True)]
    )
    codec = entropy.codec()
    alone = spec.kind != "vector"
    sent = packets(codec, held_out, symbols, spec, alone=alone)
    together = packets(codec, held_out, symbols, spec, alone=False) if alone else sent
    size = sum(map(len, sent))
    patch = model.config.patch
    seam = seam_ratio(held_out, x_hat, patch) if spec.kind == "image" and patch > 1 else None
    return {
        "met": met,
        "bound": bound.to_json(),
        "step": float(np.float32(step)),
        "rounding": entropy.rounding,
        "rate_weight": entropy.rate_weight,
        "trellis": None if entropy.trellis is None else entropy.trellis.transitions,
        "selected_by": entropy.selected_by,
        "samples": sum(map(len, held_out)),
        "distortion": canonical.finite(distortion),
        "reached": canonical.finite(reached),
        "share_within": metrics.share_within(bound, held_out, x_hat, scale),
        "distortion_cross_fitted": [canonical.finite(v) for v in crossed],
        "mse": float(spread.mean()),
        "mse_standard_error": float(spread.std() / np.sqrt(len(spread))),
        "bits_per_element": {"value": 8.0 * size / elements, "kind": "actual"},
        "seam_ratio": seam,
        "packets": len(sent),
        "packet_bytes": size,
        "one_packet_bytes": sum(map(len, together)),
        "model": {
            **model.config.to_json(),
            "encoder_macs": model.config.encoder_macs,
            "decoder_macs": model.config.decoder_macs,
        },
    }
