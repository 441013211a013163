"""What a container saved: bytes, quality on the originals, and what classical codecs would need."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rdedge import canonical, metrics
from rdedge.bundle.manifest import Manifest
from rdedge.classical.search import Found
from rdedge.codec.decoder import Decoder
from rdedge.codec.files import restore
from rdedge.data import sources
from rdedge.errors import ConfigError, MismatchError
from rdedge.flows.ledger import LedgerSavings, savings_of_ledger
from rdedge.flows.rivals import rivals
from rdedge.format.container import Container
from rdedge.ledger.account import Account, account
from rdedge.report.pictures import comparison_png
from rdedge.types import Array, Bound

__all__ = [
    "LedgerSavings",
    "Quality",
    "Savings",
    "comparison",
    "originals",
    "savings",
    "savings_of_ledger",
]


@dataclass(frozen=True)
class Quality:
    """Distortions of samples against their originals, in the bound's metric and raw units.

    mean: what a mean bound is held against. p95: of samples, the value that 95 % of them keep.
    """

    metric: str
    mean: float
    p95: float
    worst: float


@dataclass(frozen=True)
class Savings:
    """All of `rdedge savings`. quality and classical: None where no originals were given."""

    account: Account
    bound: Bound
    quality: Quality | None
    classical: list[Found] | None

    def to_json(self) -> dict[str, Any]:
        a = self.account
        result: dict[str, Any] = {
            "samples": a.samples,
            "elements": a.elements,
            "raw_bytes": a.raw_bytes,
            "payload_bytes": a.payload_bytes,
            "beside_bytes": a.beside_bytes,
            "container_bytes": a.container_bytes,
            "ratio": a.ratio,
            "bits_per_element": a.bits_per_element.to_json(),
            "bound": {"metric": self.bound.metric, "value": self.bound.value},
            "sources": [vars(source) for source in a.sources],
        }
        if self.quality is not None:
            values = {
                k: canonical.finite(v) for k, v in vars(self.quality).items() if k != "metric"
            }
            result["distortion"] = {"metric": self.quality.metric, **values}
        if self.classical is not None:
            result["classical"] = [
                {
                    "codec": found.codec,
                    "setting": found.setting,
                    "bytes": found.size_bytes,
                    "distortion": canonical.finite(found.distortion.value),
                    "encode_s": found.encode_s.to_json(),
                    "container_share": a.container_bytes / found.size_bytes,
                }
                for found in self.classical
            ]
        return result


def savings(
    container: Container,
    decoder: Decoder,
    originals: list[Array] | None = None,
    *,
    classical: bool = True,
    thorough: bool = True,
) -> tuple[Savings, list[Array]]:
    """Account for a container; returns the savings and the samples of each source in it.

    originals: one array (n, *shape) for each source, in the container's order; without them
    quality is unknown.
    classical: also search what each classical codec at hand needs for the originals at the bound
    that the bundle was trained for, or at what the container reaches where it misses that (all of
    them in one file, whole files counted).
    """
    found = account(container, decoder.spec)
    if not found.elements:
        raise ConfigError("the container holds no sample", expected="at least one")
    x_hat = [restored.samples for restored in restore(decoder, container)]
    bound, scale = decoder.manifest.bound, decoder.manifest.scale
    if originals is None:
        return Savings(found, bound, None, None), x_hat
    x = [decoder.spec.check_batch(part) for part in originals]
    if [part.shape for part in x] != [part.shape for part in x_hat]:
        given, held = sum(map(len, x)), sum(map(len, x_hat))
        sources_given = f"{given} originals" + (f" of {len(x)} files" if given == held else "")
        raise MismatchError(
            f"{sources_given} for {held} samples of {len(x_hat)} sources in the container",
            expected="the files that were compressed, in their order",
        )
    each = np.concatenate(
        [metrics.per_sample(bound.metric, a, b, scale) for a, b in zip(x, x_hat, strict=True)]
    )
    quality = Quality(
        metric=bound.metric,
        mean=metrics.mean(bound.metric, x, x_hat, scale),
        p95=_kept_by_most(each, bound),
        worst=float(each.min() if bound.is_minimum else each.max()),
    )
    others = None
    if classical:
        spec = decoder.spec
        together = x if spec.kind == "image" else [np.concatenate(x)]
        # Codecs are compared at equal distortion, also where these samples miss the bound.
        missed = not bound.met_by(quality.mean) and 0.0 < quality.mean < np.inf
        equal = Bound(bound.metric, quality.mean) if missed else bound
        # Images are files of their own for the classical codecs; all else is one stream, as here.
        others = rivals(
            spec, together, equal, scale, packetised=spec.kind == "image", thorough=thorough
        )
    return Savings(found, bound, quality, others), x_hat


def _kept_by_most(each: Array, bound: Bound) -> float:
    """What 95 % of the samples keep; each: (n,), infinite where psnr has no error to measure."""
    share, method = (0.05, "lower") if bound.is_minimum else (0.95, "higher")
    if not np.isfinite(each).all():
        return float(np.quantile(each, share, method=method))  # type: ignore[call-overload]
    return float(np.quantile(each, share))


def originals(paths: list[Path], manifest: Manifest, key: str | None = None) -> list[Array]:
    """The samples of files and folders in their order, as compress reads them."""
    options = sources.ReadOptions(columns=manifest.columns)
    found = sources.read_all(paths, [], key=key, spec=manifest.sample, options=options)
    return [source.samples for source in found]


def comparison(manifest: Manifest, x: list[Array], x_hat: list[Array]) -> bytes:
    """A PNG of originals, reconstructions and errors; x, x_hat: (n, *shape) for each source."""
    metric = manifest.bound.metric
    each = [metrics.per_sample(metric, a, b, manifest.scale) for a, b in zip(x, x_hat, strict=True)]
    return comparison_png(x, x_hat, manifest.sample, each, metric, manifest.bound.is_minimum)
