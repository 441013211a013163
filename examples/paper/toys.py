"""The whole plane: mixture, ring and spiral, with a small network and with over-complete units."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from methods import METHODS, fit, parts_of
from rates import draw
from settings import Setting
from tables import rounded, write_csv

from rdedge.data import builtin
from rdedge.flows.landscape import Options
from rdedge.host.landscape import ravine
from rdedge.types import Bound

SETS = ("mixture", "ring", "spiral")
COMPARED = ("renyi", "entropy", "ae", "dae")
# The bound, as a share of the variance.
SHARE = 0.04
MODELS = ("mlp", "overcomplete")
SIZES: dict[str, dict[str, Any]] = {
    "mlp": {"latents": 2, "width": 2.0},
    "overcomplete": {"latents": 64, "width": 1.0},
}


def run(setting: Setting, out: Path) -> None:
    rows = []
    for data in SETS:
        x = builtin.load(data).samples
        train, held_out = x[: setting.toy_samples], x[3000 : 3000 + setting.toy_samples]
        bound = Bound("mse", SHARE * float(train.var(axis=0).mean()))
        parts = parts_of(train, held_out)
        for model in MODELS:
            firsts = {}
            for name, seed in itertools.product(COMPARED, range(setting.toy_seeds)):
                budget = replace(setting.toys, model=model, **SIZES[model])
                fitted = fit(parts, METHODS[name], bound, budget, seed)
                valley = ravine(fitted.model, held_out, (), np.random.default_rng(seed))
                across = valley.step("normal")
                assert across is not None
                rows.append(
                    {
                        "data": data,
                        "model": model,
                        "method": name,
                        "seed": seed,
                        "units": fitted.model.config.latents,
                        "bits_per_sample": rounded(fitted.bits),
                        "kind": "actual",
                        "mse": rounded(fitted.card["distortion"]),
                        **fitted.course,
                        "energy_on_data": rounded(valley.energy_mean),
                        "distance": rounded(across.distance),
                        "energy_across": rounded(across.energy),
                        "depth": rounded(across.depth),
                        "survives": rounded(across.survives),
                        "width": rounded(valley.width_normal),
                        "seconds": rounded(fitted.seconds, 3),
                    }
                )
                if seed == 0:
                    firsts[name] = fitted
            write_csv(out / "toys.csv", rows)
            path = out / f"landscape-{data}-{model}.png"
            draw(firsts, held_out, Options(size=setting.grid), data, path)
