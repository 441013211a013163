"""What the tables say for and against each claim: pairs of runs, their intervals, verdicts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tables import interval, read_csv

Rows = list[dict[str, Any]]
# Where the data's dimension is varied; twice the elements may cost so much more, where bits that
# followed the space would double.
ELEMENTS, ALLOWED = 64.0, 1.15


def matching(rows: Rows, **of: Any) -> Rows:
    return [r for r in rows if all(r.get(k) == v for k, v in of.items())]


def values(rows: Rows, key: str, **of: Any) -> list[float]:
    """Those that are not blank."""
    return [r[key] for r in matching(rows, **of) if r.get(key, "") != ""]


def met(row: dict[str, Any]) -> bool:
    """Whether the bound was met on held-out data; tables without the column say nothing else."""
    return str(row.get("met", True)) != "False"


def by(rows: Rows, key: str, pair: str = "seed", **of: Any) -> dict[Any, float]:
    """A value for each seed (or whatever else makes pairs), of runs that met their bound."""
    found = matching(rows, **of)
    return {r[pair]: r[key] for r in found if r.get(key, "") != "" and met(r)}


def less(a: Mapping[Any, float], b: Mapping[Any, float]) -> float | None:
    """1 where a is below b, -1 where above, 0 where the 95 % interval of the differences of pairs
    (what has the same key) holds zero. NaN: fewer than two pairs; None: nothing at all.

    What is positive is compared by its logarithm: energies differ by orders of magnitude.
    """
    if not a or not b:
        return None
    pairs = [(a[k], b[k]) for k in a if k in b]
    if len(pairs) < 2:
        return math.nan
    if min(min(p) for p in pairs) > 0.0:
        pairs = [(math.log(x), math.log(y)) for x, y in pairs]
    mean, half = interval([x - y for x, y in pairs])
    return 0.0 if abs(mean) <= half else -math.copysign(1.0, mean)


def verdict(signs: Sequence[float | None]) -> str:
    """From where a claim was tested: 1 it holds, -1 the opposite does, 0 neither can be said."""
    measured = [s for s in signs if s is not None]
    known = [s for s in measured if not math.isnan(s)]
    if not measured:
        return "not measured"
    if not known:
        return "measured once: not judged"
    for_it, against = known.count(1.0), known.count(-1.0)
    if for_it == len(known):
        text = "agrees"
    elif against == len(known):
        text = "does not agree"
    elif not for_it and not against:
        text = "cannot be said: differences lie within their intervals"
    else:
        text = f"mixed: {for_it} of {len(known)} for it, {against} against it"
    once = len(measured) - len(known)
    return text + (f" ({once} of {len(measured)} measured once: not judged)" if once else "")


def _row(text: str, where: str, signs: Sequence[float | None]) -> tuple[str, str, str]:
    count = sum(s is not None for s in signs)
    return text, where + (f"; {count} comparisons" if count > 1 else ""), verdict(signs)


def _against(rows: Rows, key: str, a: str, b: str, pair: str = "seed", **of: Any) -> float | None:
    """As less, of two methods."""
    return less(by(rows, key, pair, method=a, **of), by(rows, key, pair, method=b, **of))


def _more(rows: Rows, key: str, a: str, b: str, pair: str = "seed", **of: Any) -> float | None:
    return _against(rows, key, b, a, pair, **of)


def claims(folder: Path) -> list[tuple[str, str, str]]:
    """(claim, where it was tested and how often, verdict) of each."""
    return [
        *_of_toys(read_csv(folder / "toys.csv"), read_csv(folder / "rates.csv")),
        *_of_batches(read_csv(folder / "batches.csv")),
        *_of_rates(read_csv(folder / "rates.csv")),
        _of_outliers(read_csv(folder / "outliers.csv")),
        _of_manifolds(read_csv(folder / "manifold.csv")),
    ]


def _of_toys(toys: Rows, rates: Rows) -> list[tuple[str, str, str]]:
    spaces = sorted({(r["data"], r["model"]) for r in toys})
    over = [(d, m) for d, m in spaces if m == "overcomplete"]
    models = [m for m in ("mlp", "overcomplete") if matching(rates, model=m)]

    def each(key: str, a: str, b: str, of: Sequence[tuple[str, str]]) -> list[float | None]:
        return [_more(toys, key, a, b, data=d, model=m) for d, m in of]

    means = [
        interval(found)[0]
        for d, m in over
        if (found := values(toys, "survives", method="renyi", data=d, model=m))
    ]
    reached = f" (its own: {min(means):.2g} to {max(means):.2g})" if means else ""
    return [
        _row(
            "Bounding the information makes ravines along the data: off the data the energy rises "
            "more steeply than that of a plain auto-encoder",
            "toys, each model: share of a displacement across the data that survives",
            each("survives", "renyi", "ae", spaces),
        ),
        _row(
            "The same with the learned entropy model as the rate",
            "the same",
            each("survives", "entropy", "ae", spaces),
        ),
        _row(
            "The rate-distortion auto-encoder's ravines are deeper than a denoising auto-encoder's",
            "toys, each model: depth",
            each("depth", "renyi", "dae", spaces),
        ),
        _row(
            "They rise more steeply across the data than a denoising auto-encoder's",
            "toys, each model: share of a displacement across the data that survives",
            each("survives", "renyi", "dae", spaces),
        ),
        _row(
            "On digits as well: more of a displacement off the data survives than with a plain "
            "auto-encoder",
            "digits, " + " and ".join(models),
            [_more(rates, "survives", "renyi", "ae", model=m) for m in models],
        ),
        _row(
            "Over-complete units need no bottleneck: the rate alone keeps the auto-encoder from "
            "the identity",
            "toys, over-complete: more of a displacement across the data survives than with a "
            f"plain auto-encoder{reached}; with an identity nothing does",
            each("survives", "renyi", "ae", over),
        ),
    ]


def _of_batches(batches: Rows) -> list[tuple[str, str, str]]:
    def fewer(rate: str) -> tuple[str, list[float | None]]:
        sets = sorted({r["data"] for r in batches if r["rate"] == rate})
        bits = [
            [by(batches, "bits_per_sample", data=d, rate=rate, batches=k) for d in sets]
            for k in ("clustered", "random")
        ]
        signs = [less(a, b) for a, b in zip(*bits, strict=True)]
        where = "fewer actual bits at the same bound"
        return ": ".join([where, ", ".join(sets)] if sets else [where]), signs

    return [
        _row(
            "Batches from clusters serve the matrix functional better than batches by chance",
            *fewer("renyi"),
        ),
        _row(
            "(Not the paper's:) batches from clusters serve the entropy model as well",
            *fewer("entropy"),
        ),
    ]


def _of_rates(rates: Rows) -> list[tuple[str, str, str]]:
    def fewer(a: str, b: str) -> list[float | None]:
        return [_against(rates, "bits_per_digit", a, b, model="mlp")]

    return [
        _row(
            "(Not the paper's:) the matrix functional is a rate to code by: no more actual bits "
            "than with the learned entropy model",
            "digits, mlp",
            fewer("renyi", "entropy"),
        ),
        _row(
            "(Not the paper's:) it needs fewer bits than a plain auto-encoder quantised afterwards",
            "digits, mlp",
            fewer("renyi", "ae"),
        ),
        _row(
            "(Not the paper's:) added to the entropy model it saves bits",
            "digits, mlp",
            fewer("both", "entropy"),
        ),
    ]


def _of_outliers(outliers: Rows) -> tuple[str, str, str]:
    sets = list(dict.fromkeys(r["data"] for r in outliers))
    signs, where = [], ["area under the ROC curve"]
    for data in sets:
        if data == "SKAB":
            # The area over all files is of the same scores, and does not count again.
            rows = matching(outliers, data=data, outliers="within a file, mean")
            signs.append(_more(rows, "auc", "renyi", "ae"))
            where.append("SKAB within files, paired by seed")
        else:
            rows = matching(outliers, data=data)
            signs.append(_more(rows, "auc", "renyi", "ae", "outliers"))
            where.append(f"{data}, paired by the class left out")
    text = "The energy tells what is foreign better than a plain auto-encoder's"
    return _row(text, "; ".join(where), signs)


def _of_manifolds(manifold: Rows) -> tuple[str, str, str]:
    rows = [{"elements": ELEMENTS, **r} for r in matching(manifold, method="entropy")]
    dimensions = sorted({r["d"] for r in matching(rows, elements=ELEMENTS)})

    def bits(d: float, elements: float = ELEMENTS) -> dict[Any, float]:
        return by(rows, "bits_per_sample", d=d, elements=elements)

    signs = [less(bits(a), bits(b)) for a, b in itertools.pairwise(dimensions)]
    where = "entropy model"
    if dimensions:
        where += f": more bits with each step from {dimensions[0]:g} to {dimensions[-1]:g} "
        where += f"dimensions in {ELEMENTS:g} elements"
    # Those of other sizes are all of one dimension.
    varied = sorted({r["d"] for r in rows if r["elements"] != ELEMENTS})
    text = "The rate rises with the dimension of the data"
    for d in varied:
        text = "The rate follows the dimension of the data, not that of the space"
        sizes = sorted({r["elements"] for r in matching(rows, d=d)})
        for a, b in itertools.pairwise(sizes):
            most = ALLOWED ** math.log2(b / a)
            signs.append(less(bits(d, b), {k: most * v for k, v in bits(d, a).items()}))
        where += f"; {d:g} dimensions in {sizes[0]:g} to {sizes[-1]:g} elements: less than "
        where += f"{ALLOWED - 1.0:.0%} more at each doubling, where bits that follow the space "
        where += "would double"
    return _row(text, where, signs)
