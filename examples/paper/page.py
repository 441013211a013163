"""The page: what agrees with the paper's claims and what does not, judged from the tables."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from methods import METHODS
from tables import interval, read_csv, shown

_PREFACE = (
    "Written by `reproduce.py` from the tables beside it. Rates are *actual* bits of packets that "
    "decode, everything counted, at the same distortion on held-out data; intervals are 95 % over "
    "seeds (Student's t). *renyi*: arXiv 1312.7381, batches from clusters; *entropy*: a learned "
    "entropy model; *both*: their sum; *ae*, *dae*: a plain and a denoising auto-encoder. Same "
    "sizes, same number of steps for all. Energy: |x - x^|^2 without rounding."
)
_OF_RATES = (
    "*depth*: energy a quarter of the data's spread off it over that on it; *survives*: the share "
    "of such a displacement that the auto-encoder takes back; *noise*: PSNR against the clean "
    "digit where the encoder saw one with Gaussian noise of that many of 255 levels; NMI, ARI: "
    "k-means with 10 clusters on the latents against the labels. The matrix functional's estimate "
    "cannot exceed log2 of the batch."
)
_OF_BATCHES = (
    "*variance* of the gradient of a batch over the squared full gradient; *bias*: distance of the "
    "mean gradient from the full one, relative, to be read against the noise that a mean of so "
    "many has; *balance*: e to the entropy of the sizes of clusters over their number (1: equal)."
)
Rows = list[dict[str, Any]]


def write(folder: Path) -> None:
    """DIR/README.md from the tables in DIR."""
    lines = [
        "# Rate-Distortion Auto-Encoders, reproduced",
        "",
        _PREFACE,
        "",
    ]
    for part in (_claims, _rates, _toys, _outliers, _manifold, _amount, _batches, _machine):
        lines += part(folder)
    (folder / "README.md").write_text("\n".join(lines).rstrip() + "\n")


def _values(rows: Rows, key: str, **of: Any) -> list[float]:
    return [r[key] for r in rows if all(r[k] == v for k, v in of.items()) and r[key] != ""]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _by_method(rows: Rows, keys: dict[str, str], **of: Any) -> list[list[str]]:
    """A row for each method that is in rows, a cell for each key."""
    found = []
    for name in METHODS:
        if _values(rows, "seed", method=name, **of):
            cells = [_values(rows, k, method=name, **of) for k in keys]
            found.append([name, *(shown(c) if c else "" for c in cells)])
    return found


def _less(a: Sequence[float], b: Sequence[float]) -> float:
    """1 where a is below b beyond their intervals, -1 where above, 0 where that cannot be said.

    a and b are pairs where they are equally many: then the interval of their differences counts.
    What is positive is compared by its logarithm: energies differ by orders of magnitude.
    """
    if min(len(a), len(b)) < 2:
        # What was measured once is shown, not judged.
        return math.nan
    if min(*a, *b) > 0.0:
        a, b = [math.log(v) for v in a], [math.log(v) for v in b]
    if len(a) == len(b) > 1:
        mean, half = interval([x - y for x, y in zip(a, b, strict=True)])
        return 0.0 if abs(mean) <= half else -math.copysign(1.0, mean)
    (x, dx), (y, dy) = interval(a), interval(b)
    margin = (0.0 if math.isnan(dx) else dx) + (0.0 if math.isnan(dy) else dy)
    return 0.0 if abs(x - y) <= margin else -math.copysign(1.0, x - y)


def _verdict(signs: Sequence[float]) -> str:
    """From where a claim was tested: 1 it holds, -1 the opposite does, 0 neither can be said."""
    known = [s for s in signs if not math.isnan(s)]
    if not known:
        return "not measured, or once only"
    for_it, against = known.count(1.0), known.count(-1.0)
    if for_it == len(known):
        return "agrees"
    if against == len(known):
        return "does not agree"
    if not for_it and not against:
        return "cannot be said from so few seeds"
    return f"mixed: {for_it} of {len(known)} for it, {against} against it"


def _claims(folder: Path) -> list[str]:
    rates, toys = read_csv(folder / "rates.csv"), read_csv(folder / "toys.csv")
    batches, outliers = read_csv(folder / "batches.csv"), read_csv(folder / "outliers.csv")
    manifold = read_csv(folder / "manifold.csv")
    mlp = [r for r in rates if r["model"] == "mlp"]
    over = [r for r in rates if r["model"] == "overcomplete"]
    sets = sorted({r["data"] for r in toys})
    spaces = sorted({(r["data"], r["rate"]) for r in batches})
    dimensions = sorted({r["d"] for r in manifold})

    def against(rows: Rows, key: str, a: str, b: str, sign: float = 1.0, **of: Any) -> float:
        return sign * _less(_values(rows, key, method=a, **of), _values(rows, key, method=b, **of))

    claims: list[tuple[str, str, str]] = []

    def claim(text: str, where: str, signs: Sequence[float]) -> None:
        claims.append((text, where, _verdict(signs)))

    claim(
        "Bounding the information makes ravines along the data: off the data the energy rises more "
        "steeply than that of a plain auto-encoder",
        "toys, share of a displacement across the data that survives",
        [against(toys, "survives", "renyi", "ae", -1.0, data=d) for d in sets],
    )
    claim(
        "The same with the learned entropy model as the rate",
        "toys",
        [against(toys, "survives", "entropy", "ae", -1.0, data=d) for d in sets],
    )
    claim(
        "The rate-distortion auto-encoder's ravines are deeper than a denoising auto-encoder's",
        "toys, depth",
        [against(toys, "depth", "renyi", "dae", -1.0, data=d) for d in sets],
    )
    claim(
        "On digits as well: more of a displacement off the data survives than with a plain "
        "auto-encoder",
        "digits, mlp and over-complete",
        [
            against(mlp, "survives", "renyi", "ae", -1.0),
            against(over, "survives", "renyi", "ae", -1.0),
        ],
    )
    claim(
        "Over-complete units need no bottleneck: the rate alone keeps the auto-encoder from the "
        "identity",
        "toys and digits, over-complete: more energy on the data than a plain auto-encoder leaves",
        [
            *(against(toys, "energy_on_data", "renyi", "ae", -1.0, data=d) for d in sets),
            against(over, "energy_on_data", "renyi", "ae", -1.0),
        ],
    )
    claim(
        "Batches from clusters serve the matrix functional better than batches by chance",
        "fewer actual bits at the same distortion, "
        + ", ".join(d for d, rate in spaces if rate == "renyi"),
        [
            _less(
                _values(batches, "bits_per_sample", data=d, rate=r, batches="clustered"),
                _values(batches, "bits_per_sample", data=d, rate=r, batches="random"),
            )
            for d, r in spaces
            if r == "renyi"
        ],
    )
    claim(
        "(Not the paper's:) batches from clusters serve the entropy model as well",
        "the same",
        [
            _less(
                _values(batches, "bits_per_sample", data=d, rate=r, batches="clustered"),
                _values(batches, "bits_per_sample", data=d, rate=r, batches="random"),
            )
            for d, r in spaces
            if r == "entropy"
        ],
    )
    claim(
        "(Not the paper's:) the matrix functional is a rate to code by: no more actual bits than "
        "with the learned entropy model",
        "digits, mlp",
        [against(mlp, "bits_per_digit", "renyi", "entropy")],
    )
    claim(
        "(Not the paper's:) it needs fewer bits than a plain auto-encoder quantised afterwards",
        "digits, mlp",
        [against(mlp, "bits_per_digit", "renyi", "ae")],
    )
    claim(
        "(Not the paper's:) added to the entropy model it saves bits",
        "digits, mlp",
        [against(mlp, "bits_per_digit", "both", "entropy")],
    )
    claim(
        "The energy tells what is foreign better than a plain auto-encoder's",
        "area under the ROC curve, " + ", ".join(sorted({r["data"] for r in outliers})),
        [
            against(outliers, "auc", "renyi", "ae", -1.0, data=d, outliers=w)
            if d == "SKAB"
            else against([r for r in outliers if r["data"] == d], "auc", "renyi", "ae", -1.0)
            for d, w in sorted(
                {(r["data"], r["outliers"] if r["data"] == "SKAB" else "") for r in outliers}
            )
        ],
    )
    claim(
        "The rate follows the dimension of the data, not that of the space",
        "manifolds of 1 to 8 dimensions in 64: entropy model, more bits with every dimension",
        [
            _less(
                _values(manifold, "bits_per_sample", method="entropy", d=a),
                _values(manifold, "bits_per_sample", method="entropy", d=b),
            )
            for a, b in itertools.pairwise(dimensions)
        ],
    )
    return ["## Claims", "", *_table(("claim", "where", "verdict"), claims)]


def _section(name: str, title: str, make: Callable[[Rows], list[str]], folder: Path) -> list[str]:
    rows = read_csv(folder / f"{name}.csv")
    return ["## " + title, "", *make(rows)] if rows else []


def _picture(folder: Path, name: str, text: str) -> list[str]:
    return [f"![{text}]({name})", ""] if (folder / name).exists() else []


def _rates(folder: Path) -> list[str]:
    keys = {
        "bits_per_digit": "bits a digit, actual",
        "estimated_bits": "estimate of its own rate",
        "energy_on_data": "energy on the data",
        "depth": "depth",
        "survives": "survives",
        "psnr_noise_25": "PSNR, noise 25",
        "psnr_noise_50": "noise 50",
        "nmi": "NMI",
        "ari": "ARI",
        "seconds": "s to train",
    }

    def make(rows: Rows) -> list[str]:
        lines = [_OF_RATES, ""]
        for model in dict.fromkeys(r["model"] for r in rows):
            lines += [f"`{model}`:", ""]
            lines += _table(("method", *keys.values()), _by_method(rows, keys, model=model))
        for model in ("mlp", "overcomplete"):
            lines += _picture(
                folder,
                f"landscape-digits-{model}.png",
                f"Energy over the plane through three digits, {model}",
            )
        return lines + _picture(folder, "training.png", "Training curves")

    return _section("rates", "Three rates and two baselines on digits", make, folder)


def _toys(folder: Path) -> list[str]:
    keys = {
        "bits_per_sample": "bits a sample, actual",
        "energy_on_data": "energy on the data",
        "energy_across": "energy across",
        "depth": "depth",
        "survives": "survives",
        "width": "width",
    }

    def make(rows: Rows) -> list[str]:
        lines: list[str] = []
        for model, data in dict.fromkeys((r["model"], r["data"]) for r in rows):
            lines += [f"{data}, `{model}`:", ""]
            found = _by_method(rows, keys, data=data, model=model)
            lines += _table(("method", *keys.values()), found)
            lines += _picture(folder, f"landscape-{data}-{model}.png", f"Energy: {data}, {model}")
        return lines

    return _section("toys", "The whole plane", make, folder)


def _outliers(folder: Path) -> list[str]:
    def make(rows: Rows) -> list[str]:
        names = [n for n in METHODS if _values(rows, "auc", method=n)]
        found = [
            [
                f"{d}, {w}",
                *(shown(_values(rows, "auc", data=d, outliers=w, method=n)) for n in names),
            ]
            for d, w in dict.fromkeys((r["data"], r["outliers"]) for r in rows)
        ]
        return _table(("area under the ROC curve", *names), found)

    return _section("outliers", "The energy as an outlier score", make, folder)


def _manifold(folder: Path) -> list[str]:
    def make(rows: Rows) -> list[str]:
        names = [n for n in METHODS if _values(rows, "d", method=n)]
        found = [
            [
                f"{d:g}",
                *(shown(_values(rows, "bits_per_sample", d=d, method=n)) for n in names),
                *(shown(_values(rows, "survives", d=d, method=n)) for n in names),
            ]
            for d in sorted({r["d"] for r in rows})
        ]
        head = ("d", *(f"bits, {n}" for n in names), *(f"survives, {n}" for n in names))
        return [
            *_table(head, found),
            *_picture(folder, "manifold.png", "Rate and energy against d"),
        ]

    return _section("manifold", "A manifold of d dimensions in 64", make, folder)


def _amount(folder: Path) -> list[str]:
    def make(rows: Rows) -> list[str]:
        names = [n for n in METHODS if _values(rows, "samples", method=n)]
        found = [
            [
                f"{n:g}",
                *(shown(_values(rows, "bits_per_digit", samples=n, method=m)) for m in names),
            ]
            for n in sorted({r["samples"] for r in rows})
        ]
        lines = _table(("training samples", *(f"bits a digit, {n}" for n in names)), found)
        return lines + _picture(folder, "amount.png", "Bits against the number of training samples")

    return _section("amount", "How many samples it takes", make, folder)


def _batches(folder: Path) -> list[str]:
    gradients = read_csv(folder / "gradients.csv")

    def make(rows: Rows) -> list[str]:
        spaces = list(dict.fromkeys((r["data"], r["rate"]) for r in rows))
        kinds = ("random", "clustered")
        bits = [
            [
                f"{d}, {rate}",
                *(
                    shown(_values(rows, "bits_per_sample", data=d, rate=rate, batches=k), 4)
                    for k in kinds
                ),
                shown(
                    [
                        c / r
                        for c, r in zip(
                            *(
                                _values(rows, "bits_per_sample", data=d, rate=rate, batches=k)
                                for k in ("clustered", "random")
                            ),
                            strict=True,
                        )
                    ]
                ),
            ]
            for d, rate in spaces
        ]
        lines = _table(("", "bits, random", "bits, clustered", "clustered / random"), bits)
        found = [
            [
                f"{d}, {rate}, {when}",
                *(
                    shown(_values(gradients, key, data=d, rate=rate, when=when, batches=k))
                    for key in ("variance", "bias", "noise_of_the_mean")
                    for k in kinds
                ),
                shown(_values(gradients, "balance", data=d, rate=rate, when=when)),
            ]
            for d, rate in spaces
            for when in ("start", "end")
        ]
        lines += [_OF_BATCHES, ""]
        head = ["", *(f"{w}, {k}" for w in ("variance", "bias", "noise of mean") for k in kinds)]
        lines += _table((*head, "balance"), found)
        return lines + _picture(folder, "batches.png", "Training curves, batches by chance and not")

    return _section("batches", "Batches from clusters", make, folder)


def _machine(folder: Path) -> list[str]:
    found = []
    for path in sorted(folder.glob("*.json")):
        took = json.loads(path.read_text())
        found.append(
            [path.stem, *(str(took[k]) for k in ("setting", "seconds", "machine", "torch"))]
        )
    return [
        "## Made by",
        "",
        *_table(("experiment", "setting", "seconds", "machine", "torch"), found),
    ]
