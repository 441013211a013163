"""The page: claims and verdicts, then a section for each table and its figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from judge import ELEMENTS, Rows, by, claims, matching, met, values
from methods import METHODS
from tables import interval, read_csv, shown

_PREFACE = (
    "Written by `reproduce.py` from the tables beside it. Rates are *actual* bits of packets that "
    "decode, everything counted, at the same bound on the distortion of held-out data; intervals "
    "are 95 % over seeds (Student's t). *renyi*: arXiv 1312.7381; *entropy*: a learned entropy "
    "model; *both*: their sum; *ae*, *dae*: a plain and a denoising auto-encoder. Same sizes, same "
    "number of steps for all; but *renyi* is trained on batches from clusters, as the paper does, "
    "the others on batches by chance: [Batches from clusters](#batches-from-clusters) has each "
    "rate on both. Energy: |x - x^|^2 without rounding. "
    "`*`: not every run behind the figure met its bound."
)
_OF_CLAIMS = (
    "Runs are paired by seed, and a comparison is decided where the 95 % interval of the "
    "differences leaves out zero; it is not corrected for the number of comparisons. Pairs in "
    "which a bound was not met count as not measured. *depth* divides by the energy on the data, "
    "so it rewards a model whose energy there is tiny, which one close to the identity has; "
    "*survives* does not, and is near 0 for such a model."
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
    "mean gradient from the full one, relative, to be read against *noise*: "
    "sqrt(noise_of_the_mean^2 + noise_of_the_full^2), what chance alone makes of it; *balance*: e "
    "to the entropy of the sizes of clusters over their number (1: equal). The full gradient of "
    "*entropy* and *both* is that of all samples by batches by chance; of *renyi*, where it is not "
    "the mean of those of batches, that of two large batches (4096 samples each, or all there "
    "are): its bias is also that of small batches against large ones."
)
_SAMPLES = "samples given, an eighth of which validates"


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


def _cell(rows: Rows, key: str, digits: int = 3, **of: Any) -> str:
    """`12.3 ± 0.4`, with a `*` where one of the runs did not meet its bound; blank for none."""
    found = values(rows, key, **of)
    if not found:
        return ""
    return shown(found, digits) + ("" if all(map(met, matching(rows, **of))) else "*")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def _by_method(rows: Rows, keys: dict[str, str], **of: Any) -> list[list[str]]:
    """A row for each method that is in rows, a cell for each key."""
    return [
        [name, *(_cell(rows, key, method=name, **of) for key in keys)]
        for name in METHODS
        if matching(rows, method=name, **of)
    ]


def _claims(folder: Path) -> list[str]:
    found = claims(folder)
    return ["## Claims", "", *_table(("claim", "where", "verdict"), found), _OF_CLAIMS, ""]


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
        for model in dict.fromkeys(r["model"] for r in rows):
            if model == "overcomplete":
                lines += _dear(rows)
            for data in dict.fromkeys(r["data"] for r in rows if r["model"] == model):
                lines += [f"{data}, `{model}`:", ""]
                found = _by_method(rows, keys, data=data, model=model)
                lines += _table(("method", *keys.values()), found)
                name = f"landscape-{data}-{model}.png"
                lines += _picture(folder, name, f"Energy: {data}, {model}")
        return lines

    return _section("toys", "The whole plane", make, folder)


def _dear(rows: Rows) -> list[str]:
    """What over-complete units cost without an entropy model, over what they cost with one."""
    found = []
    for name in ("renyi", "ae", "dae"):
        ratios = []
        for data in dict.fromkeys(r["data"] for r in rows):
            bits, least = (
                values(rows, "bits_per_sample", data=data, model="overcomplete", method=m)
                for m in (name, "entropy")
            )
            if bits and least:
                ratios.append(interval(bits)[0] / interval(least)[0])
        if ratios:
            found.append(f"*{name}* {min(ratios):.2g} to {max(ratios):.2g} times")
    text = (
        "Over-complete units without an entropy model are dear in bits where nothing makes a unit "
        "cheap that is not needed: every unit is coded. Actual bits over those with the entropy "
        f"model: {', '.join(found)}."
    )
    return [text, ""] if found else []


def _outliers(folder: Path) -> list[str]:
    def make(rows: Rows) -> list[str]:
        names = [n for n in METHODS if matching(rows, method=n)]
        found = [
            [f"{d}, {w}", *(_cell(rows, "auc", data=d, outliers=w, method=n) for n in names)]
            for d, w in dict.fromkeys((r["data"], r["outliers"]) for r in rows)
        ]
        return _table(("area under the ROC curve", *names), found)

    return _section("outliers", "The energy as an outlier score", make, folder)


def _manifold(folder: Path) -> list[str]:
    def make(rows: Rows) -> list[str]:
        rows = [{"elements": ELEMENTS, **r} for r in rows]
        names = [n for n in METHODS if matching(rows, method=n)]
        of_64 = matching(rows, elements=ELEMENTS)
        found = [
            [
                f"{d:g}",
                *(
                    _cell(of_64, k, d=d, method=n)
                    for k in ("bits_per_sample", "survives")
                    for n in names
                ),
            ]
            for d in sorted({r["d"] for r in of_64})
        ]
        head = ("d", *(f"bits, {n}" for n in names), *(f"survives, {n}" for n in names))
        lines = _table(head, found)
        for d in sorted({r["d"] for r in rows if r["elements"] != ELEMENTS}):
            sizes = sorted({r["elements"] for r in matching(rows, d=d, method="entropy")})
            lines += _table(
                (f"elements, d = {d:g}", *(f"{size:g}" for size in sizes)),
                [
                    [
                        "bits, entropy",
                        *(
                            _cell(rows, "bits_per_sample", d=d, method="entropy", elements=s)
                            for s in sizes
                        ),
                    ]
                ],
            )
        return lines + _picture(folder, "manifold.png", "Rate and energy against d")

    return _section("manifold", "A manifold of d dimensions in 64", make, folder)


def _amount(folder: Path) -> list[str]:
    def make(rows: Rows) -> list[str]:
        names = [n for n in METHODS if matching(rows, method=n)]
        found = [
            [f"{n:g}", *(_cell(rows, "bits_per_digit", samples=n, method=m) for m in names)]
            for n in sorted({r["samples"] for r in rows})
        ]
        lines = _table((_SAMPLES, *(f"bits a digit, {n}" for n in names)), found)
        return lines + _picture(folder, "amount.png", "Bits against the number of samples given")

    return _section("amount", "How many samples it takes", make, folder)


def _batches(folder: Path) -> list[str]:
    gradients = read_csv(folder / "gradients.csv")
    for row in gradients:
        row["noise"] = math.hypot(row["noise_of_the_mean"], row.get("noise_of_the_full") or 0.0)

    def ratio(rows: Rows, data: str, rate: str) -> str:
        clustered, random = (
            by(rows, "bits_per_sample", data=data, rate=rate, batches=k)
            for k in ("clustered", "random")
        )
        pairs = [clustered[seed] / random[seed] for seed in clustered if seed in random]
        return shown(pairs) if pairs else ""

    def make(rows: Rows) -> list[str]:
        spaces = list(dict.fromkeys((r["data"], r["rate"]) for r in rows))
        kinds = ("random", "clustered")
        bits = [
            [
                f"{d}, {rate}",
                *(_cell(rows, "bits_per_sample", 4, data=d, rate=rate, batches=k) for k in kinds),
                ratio(rows, d, rate),
            ]
            for d, rate in spaces
        ]
        lines = _table(("", "bits, random", "bits, clustered", "clustered / random"), bits)
        measures = ("variance", "bias", "noise")
        found = [
            [
                f"{d}, {rate}, {when}",
                *(
                    _cell(gradients, key, data=d, rate=rate, when=when, batches=k)
                    for key in measures
                    for k in kinds
                ),
                _cell(gradients, "balance", data=d, rate=rate, when=when),
            ]
            for d, rate in spaces
            for when in ("start", "end")
        ]
        lines += [_OF_BATCHES, ""]
        lines += _table(("", *(f"{m}, {k}" for m in measures for k in kinds), "balance"), found)
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
