"""Three rates, a plain and a denoising auto-encoder: bits, energies, robustness, classes."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from methods import METHODS, OF_THE_PAPER, Fitted, fit, latents, noisy_psnr, parts_of
from settings import Digits, Setting
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from tables import COLOURS, rounded, save, shrink, write_csv

from rdedge.flows.landscape import Options, Subject, landscape_of
from rdedge.host.landscape import Decoded, ravine
from rdedge.report.landscape_png import landscape_png
from rdedge.types import Array, SampleSpec

NOISES = (25.0, 50.0)


def run(setting: Setting, digits: Digits, out: Path) -> None:
    bound = digits.bound
    parts = parts_of(digits.x, digits.held_out)
    rows, shown = [], {}
    for model in ("mlp", "overcomplete", "overcomplete-tied"):
        budget = setting.digits if model == "mlp" else setting.overcomplete
        budget = type(budget)(budget.steps, budget.batch, budget.width, model)
        names = METHODS if model == "mlp" else dict.fromkeys(OF_THE_PAPER)
        for seed in range(setting.seeds if model == "mlp" else 1):
            for name in names:
                fitted = fit(parts, METHODS[name], bound, budget, seed)
                rows.append(_row(model, name, seed, fitted, digits))
                write_csv(out / "rates.csv", rows)
                print(rows[-1], file=sys.stderr, flush=True)
                if seed == 0:
                    shown[model, name] = fitted
    for model in ("mlp", "overcomplete"):
        _landscapes({n: shown[model, n] for n in OF_THE_PAPER}, digits, setting, out, model)
    _curves({n: shown["mlp", n] for n in METHODS}, out)


def _row(model: str, name: str, seed: int, fitted: Fitted, digits: Digits) -> dict[str, object]:
    x = digits.held_out
    valley = ravine(Decoded(fitted.model, str(x.dtype)), x, (), np.random.default_rng(seed))
    step = valley.step("random")
    assert step is not None
    found = KMeans(10, n_init=4, random_state=seed).fit_predict(latents(fitted.model, x))
    # Noises are given for 255 levels.
    unit = digits.top / 255.0
    return {
        "data": digits.name,
        "model": model,
        "method": name,
        "seed": seed,
        "bits_per_digit": rounded(fitted.bits, 5),
        "kind": "actual",
        "estimated_bits": "" if METHODS[name].rate == "none" else rounded(fitted.estimate),
        "distortion": rounded(fitted.card["distortion"], 5),
        **fitted.course,
        "step": rounded(fitted.card["step"]),
        "energy_on_data": rounded(valley.energy_mean),
        "distance": rounded(step.distance),
        "energy_off_data": rounded(step.energy),
        "depth": rounded(step.depth),
        "survives": rounded(step.survives),
        "width": rounded(valley.width_random),
        **{
            f"psnr_noise_{sigma:g}": rounded(noisy_psnr(fitted, x, sigma * unit, seed))
            for sigma in NOISES
        },
        "nmi": rounded(normalized_mutual_info_score(digits.held_out_labels, found)),
        "ari": rounded(adjusted_rand_score(digits.held_out_labels, found)),
        "seconds": rounded(fitted.seconds, 3),
        "latents": fitted.model.config.latents,
        "encoder_macs": fitted.model.config.encoder_macs,
    }


def _landscapes(
    fitted: dict[str, Fitted], digits: Digits, setting: Setting, out: Path, model: str
) -> None:
    """The plane through three digits of the held-out part: the first 3, 5 and 8."""
    firsts = [int(np.flatnonzero(digits.held_out_labels == k)[0]) for k in (3, 5, 8)]
    options = Options(through=tuple(firsts), size=setting.grid)
    path = out / f"landscape-digits-{model}.png"
    draw(fitted, digits.held_out, options, digits.name, path)


def draw(
    fitted: dict[str, Fitted], held_out: Array, options: Options, data: str, path: Path
) -> None:
    """Landscapes side by side, as rdedge landscape draws them."""
    spec = SampleSpec("vector", held_out.shape[1:], str(held_out.dtype))
    subjects = [Subject(n, METHODS[n].label, f.model) for n, f in fitted.items()]
    found = landscape_of(subjects, spec, held_out, options, data)
    path.write_bytes(landscape_png(found))
    shrink(path)


def _curves(fitted: dict[str, Fitted], out: Path) -> None:
    """Validation distortion against the estimate, epoch by epoch."""
    figure, axis = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    for name, one in fitted.items():
        epochs, _, distortions = zip(*one.curve, strict=True)
        axis.plot(
            epochs, distortions, color=COLOURS[name], label=METHODS[name].label, linewidth=1.2
        )
    axis.set_xlabel("epoch")
    axis.set_ylabel("distortion on validation")
    axis.legend(fontsize=7)
    save(figure, out / "training.png")
    plt.close(figure)
