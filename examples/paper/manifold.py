"""Data on a manifold of d dimensions in 64: rate against d, and against the space around it."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from methods import METHODS, Fitted, fit, parts_of
from settings import Setting
from tables import by_method, rounded, save, write_csv

from rdedge.host.landscape import Decoded, energy
from rdedge.types import Array, Bound

COMPARED = ("renyi", "entropy", "ae", "dae")
ELEMENTS, FEATURES, NOISE = 64, 64, 0.02
SHARE = 0.05
# What lies in spaces of other sizes.
PLANE = 2


def embedding(d: int, seed: int, elements: int = ELEMENTS) -> tuple[Array, Array, Array]:
    """A smooth map from the cube of d dimensions into so many: random Fourier features, of which
    most turn once or twice across the cube. Returns frequencies (d, F), phases (F,), mixture
    (F, elements).
    """
    rng = np.random.default_rng(seed)
    frequencies = rng.normal(0.0, 2.0 / np.sqrt(d), (d, FEATURES))
    phases = rng.uniform(0.0, 2.0 * np.pi, FEATURES)
    mixture = rng.normal(0.0, np.sqrt(2.0 / FEATURES), (FEATURES, elements))
    return frequencies, phases, mixture


def samples(d: int, count: int, seed: int, elements: int = ELEMENTS) -> Array:
    """(N, elements) float32 on the manifold, with isotropic noise of 0.02; d also seeds the map."""
    frequencies, phases, mixture = embedding(d, d, elements)
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1.0, 1.0, (count, d))
    x = np.cos(z @ frequencies + phases) @ mixture + rng.normal(0.0, NOISE, (count, elements))
    return x.astype(np.float32)


def run(setting: Setting, out: Path) -> None:
    rows: list[dict[str, object]] = []
    spaces: list[tuple[int, int, tuple[str, ...]]]
    spaces = [(d, ELEMENTS, COMPARED) for d in setting.manifold_dimensions]
    spaces += [(PLANE, elements, ("entropy",)) for elements in setting.manifold_elements]
    for d, elements, names in spaces:
        train = samples(d, setting.manifold_samples, 1, elements)
        held_out = samples(d, 2000, 2, elements)
        bound = Bound("mse", SHARE * float(train.var(axis=0).mean()))
        for name in names:
            for seed in range(setting.seeds):
                fitted = fit(
                    parts_of(train, held_out), METHODS[name], bound, setting.manifold, seed
                )
                rows.append(_row(d, elements, name, seed, fitted, held_out))
                print(rows[-1], file=sys.stderr, flush=True)
        write_csv(out / "manifold.csv", rows)
    of_64 = [r for r in rows if r["elements"] == ELEMENTS]
    _draw(of_64, setting.manifold_dimensions, out / "manifold.png")


def _row(
    d: int, elements: int, name: str, seed: int, fitted: Fitted, held_out: Array
) -> dict[str, object]:
    model = Decoded(fitted.model, str(held_out.dtype))
    on = energy(model, held_out).mean()
    rng = np.random.default_rng(seed)
    # Off it: as far as a sample is from its reconstruction, eight times.
    r = 8.0 * np.sqrt(fitted.bound.value * elements)
    u = rng.normal(size=held_out.shape)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    off = energy(model, held_out + r * u).mean()
    return {
        "d": d,
        "elements": elements,
        "method": name,
        "seed": seed,
        "bits_per_sample": rounded(fitted.bits),
        "kind": "actual",
        "mse": rounded(fitted.card["distortion"]),
        **fitted.course,
        "energy_on": rounded(on),
        "energy_off": rounded(off),
        "survives": rounded((off - on) / r**2),
        "latents": fitted.model.config.latents,
        "seconds": rounded(fitted.seconds, 3),
    }


def _draw(rows: list[dict[str, object]], dimensions: tuple[int, ...], path: Path) -> None:
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    for axis, key, label in zip(
        axes,
        ("bits_per_sample", "energy_on"),
        ("actual bits a sample", "energy on the data"),
        strict=True,
    ):
        by_method(axis, rows, COMPARED, "d", key, dimensions)
        axis.set_xlabel("dimensions of the manifold, in 64")
        axis.set_ylabel(label)
    axes[1].set_yscale("log")
    axes[0].legend(fontsize=7)
    save(figure, path)
    plt.close(figure)
