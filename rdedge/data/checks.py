"""What can be wrong with data before anything is trained on it, each with its figures.

Nothing here raises for bad data: a check says `ok`, `warn` or `stop`, and by a key and values what
it saw; what people read stands with the texts of the report.
"""

from __future__ import annotations

import hashlib
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rdedge.data.sources import Source
from rdedge.types import Array, SampleSpec

Status = Literal["ok", "warn", "stop"]

# Formats that have lost something before we see the samples.
LOSSY = ("jpeg", "webp")
# Normal quantile of a two-sided interval of 90 %, and how near the mean of the bytes must be.
_Z90, WITHIN = 1.645, 0.2
# The least from which a bootstrap, or anything, can be said of a mean.
LEAST_HELD_OUT = 10
# Root mean square of a difference of small views of two samples, in deviations of all of them.
_NEAR = 0.02
# Samples so near another that it is said.
_MANY_NEAR = 0.05
_MOST_COMPARED = 2048
_VIEW = 64
# A row that comes later than so many times the usual step.
_GAP = 1.5
# Steps at 8 x 8 borders, by those elsewhere.
_BLOCKY = 1.15


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. key: of the sentence; values: what it says."""

    name: str
    status: Status
    key: str
    values: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "status": self.status, "key": self.key, "values": self.values}


def needed(samples: Sequence[Array], share: float, least: int) -> tuple[int, int, float]:
    """(samples that a pilot needs, of these held out, the coefficient of variation of their sizes).

    So many held-out samples, a share of all, that the mean size of a packet is known within a fifth
    with 90 % confidence, judged by what zlib makes of each sample; never fewer than ten, and all in
    all never fewer than least, what training takes.
    """
    ones = [one for x in samples for one in x[:: max(1, len(x) // 512)]][:512]
    sizes = np.array([len(zlib.compress(np.ascontiguousarray(one).tobytes(), 6)) for one in ones])
    variation = float(sizes.std() / sizes.mean())
    held_out = max(LEAST_HELD_OUT, math.ceil((_Z90 * variation / WITHIN) ** 2))
    return max(least, math.ceil(held_out / share)), held_out, variation


def count(
    samples: int, apart: int | None, need: tuple[int, int], least: int, variation: float
) -> Check:
    """Whether there are enough: samples in all, or those of two files, apart: of the second. need:
    in all, and of these held out.
    """
    enough = samples >= need[0]
    if apart is not None:
        enough = apart >= need[1] and samples - apart >= least
    values = {
        "samples": samples,
        "needed": need[0],
        "held_out": apart,
        "least_to_train": least,
        "needed_held_out": need[1],
        "within_percent": 100 * WITHIN,
        "variation": variation,
    }
    return (
        Check("count", "ok", "check.enough", values)
        if enough
        else Check("count", "stop", "check.few", values)
    )


def kind(spec: SampleSpec, samples: Sequence[Array]) -> Check:
    """What the samples are; a warning where pictures differ in size."""
    sizes = len({x.shape[1:] for x in samples})
    values = {
        "samples": _count(samples),
        "kind": spec.kind,
        "shape": list(spec.shape),
        "dtype": spec.dtype,
        "sizes": sizes,
    }
    if sizes > 1:
        return Check("kind", "warn", "check.sizes", values)
    return Check("kind", "ok", "check.kind", values)


def constant(spec: SampleSpec, samples: Sequence[Array], columns: Sequence[str]) -> Check:
    """`stop` where no value ever changes, warn where a channel or a whole sample does not."""
    width = spec.shape[-1] if spec.kind == "series" else 1
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    flat = 0
    for x in samples:
        rows = x.reshape(-1, width).astype(np.float64)
        low = np.fmin(low, np.fmin.reduce(rows, axis=0))
        high = np.fmax(high, np.fmax.reduce(rows, axis=0))
        each = x.reshape(len(x), -1).astype(np.float64)
        flat += int((np.fmax.reduce(each, axis=1) <= np.fmin.reduce(each, axis=1)).sum())
    still = ~(high > low)
    names = [columns[c] if columns else str(c + 1) for c in np.flatnonzero(still).tolist()]
    names = names if width > 1 else []
    share = flat / max(1, _count(samples))
    values = {"channels": ", ".join(names) or "-", "count": len(names), "samples": flat}
    values["share"] = share
    if still.all():
        value = float(low[0]) if np.isfinite(low[0]) else None
        return Check("constant", "stop", "check.constant", {**values, "value": value})
    if names:
        return Check("constant", "warn", "check.still-channels", values)
    if share > 0.05:
        return Check("constant", "warn", "check.still-samples", values)
    return Check("constant", "ok", "check.varies", values)


def missing(samples: Sequence[Array]) -> Check:
    """NaN in series."""
    floating = np.issubdtype(samples[0].dtype, np.floating)
    gaps = sum(int(np.isnan(x).sum()) for x in samples) if floating else 0
    share = gaps / sum(x.size for x in samples)
    status: Status = "stop" if share == 1 else "warn" if gaps else "ok"
    key = "check.gaps" if gaps else "check.no-gaps"
    return Check("missing", status, key, {"values": gaps, "share": share})


def times(found: Sequence[Source]) -> Check | None:
    """Rows that are late or not in order, of series with times; None without any."""
    late = rows = wrong = 0
    longest = usual = 0.0
    for source in found:
        if source.times is None or len(source.times) < 3:
            continue
        steps = np.diff(source.times).astype(np.float64) / 1e9
        step = float(np.median(steps))
        rows += len(steps) + 1
        wrong += int((steps <= 0).sum())
        late += int((steps > _GAP * step).sum())
        longest, usual = max(longest, float(steps.max())), max(usual, step)
    if not rows:
        return None
    values = {
        "rows": rows,
        "late": late,
        "share": late / rows,
        "not_later": wrong,
        "usual_s": usual,
        "longest_s": longest,
    }
    if wrong:
        return Check("times", "warn", "check.not-in-order", values)
    if late:
        return Check("times", "warn", "check.late", values)
    return Check("times", "ok", "check.on-time", values)


def compressed(found: Sequence[Source], samples: Sequence[Array]) -> Check:
    """Whether pictures came in a format that loses something, or look as if they once had."""
    formats = [str(source.detail.get("format", source.kind)) for source in found]
    lossy = sum(one in LOSSY for one in formats)
    raw = sum(source.samples.nbytes for source in found)
    values: dict[str, Any] = {
        "files": len(found),
        "lossy": lossy,
        "format": ", ".join(sorted({one for one in formats if one in LOSSY})) or "-",
        "file_bytes": sum(source.source_bytes for source in found),
        "raw_bytes": raw,
        "blockiness": None,
    }
    if lossy:
        return Check("compressed", "warn", "check.compressed", values)
    if samples[0].ndim == 4 and samples[0].dtype == np.uint8:
        seen = [_blockiness(x[0]) for x in samples[:: max(1, len(samples) // 16)]]
        values["blockiness"] = float(np.median(seen))
        if values["blockiness"] > _BLOCKY:
            return Check("compressed", "warn", "check.blocky", values)
    return Check("compressed", "ok", "check.not-compressed", values)


def _blockiness(picture: Array) -> float:
    """Differences across the borders of 8 x 8 blocks by those elsewhere, of (H, W, C); 1 if too
    small to say.
    """
    if min(picture.shape[:2]) < 32:
        return 1.0
    x = picture.astype(np.float64)
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(x, axis=axis))
        each = steps.mean(axis=tuple(a for a in range(3) if a != axis))
        at = np.arange(len(each)) % 8 == 7
        inside = each[~at].mean()
        ratios.append(each[at].mean() / inside if inside > 0 else 1.0)
    return float(np.mean(ratios))


def alike(train: Sequence[Array], held_out: Sequence[Array]) -> list[Check]:
    """Duplicates, exact and near, and which of them lie in both parts.

    Near: small views (means over a grid) differ by less than 2 % of what views of all samples vary
    by. A picture that is another one moved is not found so.
    """
    seen: dict[bytes, int] = {}
    exact = 0
    for x in train:
        for one in x:
            key = _digest(one)
            exact += key in seen
            seen[key] = 1
    shared = again = 0
    held: set[bytes] = set()
    for x in held_out:
        for one in x:
            key = _digest(one)
            shared += key in seen
            again += key in held
            held.add(key)
    total, others = _count(train) + _count(held_out), _count(held_out)
    a, b = _views(train), _views(held_out)
    deviation = np.concatenate([a, b]).std(axis=0)
    a, b = (v[:, deviation > 0] / deviation[deviation > 0] for v in (a, b))
    near_b = _near_share(b, a, same=False)
    near_a = _near_share(a, a, same=True)
    duplicates = {"count": exact + again, "share": (exact + again) / total, "near_share": near_a}
    leaks = {"count": shared, "share": shared / others, "near_share": near_b}
    return [
        _found("duplicates", exact + again, near_a, duplicates, "warn"),
        _found("leakage", shared, near_b, leaks, "stop" if shared == others else "warn"),
    ]


def _found(name: str, exact: int, near: float, values: dict[str, Any], status: Status) -> Check:
    if exact:
        return Check(name, status, f"check.{name}", values)
    if near > _MANY_NEAR:
        return Check(name, "warn", f"check.near-{name}", values)
    return Check(name, "ok", f"check.no-{name}", values)


def _digest(one: Array) -> bytes:
    shape = repr((one.shape, one.dtype.str)).encode()
    return hashlib.sha256(shape + np.ascontiguousarray(one).tobytes()).digest()


def _count(samples: Sequence[Array]) -> int:
    return sum(map(len, samples))


def _views(samples: Sequence[Array]) -> Array:
    """(n, at most 64) float64: means over a grid of each sample; at most 2048 samples, evenly."""
    ones = [one for x in samples for one in x]
    ones = ones[:: max(1, -(-len(ones) // _MOST_COMPARED))]
    return np.stack([_view(one.astype(np.float64)) for one in ones])


def _view(one: Array) -> Array:
    one = np.where(np.isfinite(one), one, 0.0)
    side = round(_VIEW**0.5)
    if one.ndim >= 2 and min(one.shape[:2]) >= side:
        rows = np.array_split(one, side, axis=0)
        found = np.array([[c.mean() for c in np.array_split(r, side, axis=1)] for r in rows])
        return found.reshape(-1)
    flat = one.reshape(-1)
    parts = min(_VIEW, len(flat))
    return np.array([p.mean() for p in np.array_split(flat, parts)])


def _near_share(x: Array, of: Array, *, same: bool) -> float:
    """Of rows x the share with a row of `of` (another, if same) nearer than _NEAR."""
    if x.shape[1] == 0 or len(x) < 2:
        return 0.0
    squares = (of**2).sum(axis=1)
    near = 0
    for i in range(0, len(x), 256):
        block = x[i : i + 256]
        d = (block**2).sum(axis=1)[:, None] - 2.0 * block @ of.T + squares
        if same:
            d[np.arange(len(block)), i + np.arange(len(block))] = np.inf
        near += int((d.min(axis=1) / x.shape[1] < _NEAR**2).sum())
    return near / len(x)
