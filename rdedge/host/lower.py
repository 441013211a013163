"""The fp32 graphs of a bundle -> those of its recipe's precision, at the same distortion.

Judged by what matters: bytes at equal distortion on held-out data, before and after.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from rdedge.bundle.bundle import Bundle
from rdedge.bundle.manifest import Level, Manifest
from rdedge.bundle.profile import Profile
from rdedge.bundle.recipe import Recipe
from rdedge.codec.encoder import Encoder
from rdedge.codec.preprocess import prepare
from rdedge.errors import ConfigError, ParityError
from rdedge.host.datasets import Parts, Samples
from rdedge.host.entropy import Entropy
from rdedge.host.fit import Latents, Rounding, fit_step
from rdedge.host.precision import convert, int8_share
from rdedge.host.proof import coders, decoded, latents_of_graph, rounded
from rdedge.types import Array, Bound, SampleSpec

# Elements that int8 is calibrated on, at most, and samples of a batch.
_ELEMENTS, _BATCH = 1 << 24, 64


def refuse_precision(recipe: Recipe, profile: Profile) -> None:
    """Raise ConfigError where the profile's machine does not run the encoder's precision."""
    if recipe.graph.precision not in profile.precisions:
        raise ConfigError(
            f"precision {recipe.graph.precision!r} for {profile.name}",
            expected=f"what it runs: {', '.join(profile.precisions)}",
            do="name another recipe with --recipe, or another target",
        )


def refuse_shapes(recipe: Recipe, spec: SampleSpec) -> None:
    """Raise ConfigError where the recipe gives a size to samples that have none."""
    if spec.kind != "image" and (recipe.shapes.height or recipe.shapes.width):
        raise ConfigError(
            f"the recipe gives height or width to samples of kind {spec.kind}",
            expected="batch alone",
            do="take height and width out of [shapes]",
        )


def lower(
    plain: Bundle,
    recipe: Recipe,
    parts: Parts,
    unfitted: Callable[[Manifest, dict[str, bytes]], Bundle],
    refitted: Callable[[Bundle], Entropy | None],
) -> tuple[Manifest, dict[str, bytes], dict[str, Any], Entropy | None] | None:
    """Manifest with the step that gives the distortion of the plain bundle's graphs; both graphs;
    what the scorecard says of them; what codes. None where there is no layer to convert.

    unfitted: a bundle whose networks run. refitted: what codes with such a bundle, None for classes
    that are fitted later. Raises ParityError where no step does it, and where too
    little of the encoder is int8.
    """
    quantisers = plain.selection.quantisers
    encoder, _ = coders(plain)
    batches = _some(encoder, parts.train, recipe.calibration.samples)
    y_hat = rounded([encoder.runner.run(x) for x in batches], plain.manifest, quantisers)[1]
    graphs = {}
    for half, seen in (("encoder", batches), ("decoder", y_hat)):
        kept = tuple(e for e in recipe.exceptions if e.half == half)
        name, precision = f"{half}.onnx", recipe.graph.of_halves[half]
        graphs[name] = convert(plain.members[name], precision, seen, recipe.calibration, kept)
    share = int8_share(graphs["encoder.onnx"], batches[0][:1])
    if recipe.graph.precision == "int8" and share < recipe.quality.min_int8_macs:
        raise ParityError(
            f"{100 * share:.1f} % of the encoder's multiply-adds are int8",
            expected=f"at least {100 * recipe.quality.min_int8_macs:g} %, by the recipe",
            do="take layers out of [[exceptions]], or lower min_int8_macs on purpose",
        )
    if all(plain.members[name] == graph for name, graph in graphs.items()):
        return None
    manifest = replace(
        plain.manifest, precision=recipe.graph.precision, rate_weight=0.0, trellis=None
    )
    before, step = plain.scorecard["export"], manifest.levels[0].step
    made = unfitted(manifest, plain.members | graphs)
    entropy = refitted(made)
    how = manifest.rounding if entropy is None else entropy.how
    fitted = _step(made, parts.held_out, before, quantisers, how, _words(recipe))
    facts = {
        **recipe.graph.of_halves,
        "int8_macs": share,
        "fp32": {"step": step, **before},
    }
    return replace(manifest, levels=(Level(fitted),)), graphs, facts, entropy


def _words(recipe: Recipe) -> str:
    """What the recipe made of the graphs, for errors."""
    lower = [f"{one} {half}" for half, one in recipe.graph.of_halves.items() if one != "fp32"]
    return " and ".join(lower)


def _step(
    bundle: Bundle,
    held_out: Samples,
    before: dict[str, Any],
    quantisers: Array,
    how: Rounding,
    what: str,
) -> float:
    """The largest step at which the bundle's graphs reach the distortion before. how: latents are
    quantised. what: of them is in a lower precision.
    """
    encoder, decoder = coders(bundle)
    manifest = bundle.manifest

    def synthesis(y_hat: list[Array], shapes: list[tuple[int, ...]]) -> list[Array]:
        return decoded(decoder, y_hat, shapes, manifest.sample.dtype)

    latents = Latents(latents_of_graph(encoder, held_out), held_out, synthesis, quantisers)
    reached = before["distortion"]["value"]
    if not reached:
        raise ParityError(
            f"the fp32 graphs give every held-out sample back exactly, which leaves no room for "
            f"the {what}",
            expected="a distortion above 0",
            do="take the recipe default, or train with a bound that saves more",
        )
    target = Bound(manifest.bound.metric, reached)
    start = manifest.levels[0].step
    fitted = fit_step(latents, target, manifest.scale, how, near=True, start=start)
    if fitted is None:
        raise ParityError(
            f"the {what} reaches the distortion of the fp32 graphs at no quantiser step",
            expected=str(target),
            do="name the worst layers under [[exceptions]] in the recipe, or take fp16",
        )
    return fitted[0]


def refuse_cost(recipe: Recipe, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Raise ParityError where bytes at equal distortion grew by more than the recipe allows."""
    extra = after["packet_bytes"] / before["packet_bytes"] - 1.0
    if extra > recipe.quality.max_extra_bytes:
        raise ParityError(
            f"the {_words(recipe)} needs {100 * extra:.2f} % more bytes at equal "
            f"distortion: {after['packet_bytes']:,} after {before['packet_bytes']:,}",
            expected=f"at most {100 * recipe.quality.max_extra_bytes:g} %, by the recipe",
            do="try another method of calibration, name the worst layers under [[exceptions]], or "
            "raise max_extra_bytes on purpose",
        )


def _some(encoder: Encoder, samples: Samples, count: int) -> list[Array]:
    """So many training samples, evenly spread, as the graph takes them: (n, ...) float32 each."""
    of = [(batch, i) for batch, x in enumerate(samples) for i in range(len(x))]
    elements = max(1, math.prod(samples[0].shape[1:]))
    count = max(1, min(count, len(of), _ELEMENTS // elements))
    chosen = [of[i] for i in np.linspace(0, len(of) - 1, count).astype(np.int64)]
    found: list[Array] = []
    for batch in dict.fromkeys(batch for batch, _ in chosen):
        rows = [i for b, i in chosen if b == batch]
        for i in range(0, len(rows), _BATCH):
            some = samples[batch][rows[i : i + _BATCH]]
            found.append(prepare(some, encoder.spec, encoder.manifest.patch))
    return found
