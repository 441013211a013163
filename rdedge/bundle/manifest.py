"""manifest.json of a bundle, as a dataclass, and the codec identity (FORMAT.md, section 5)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from rdedge import canonical, config
from rdedge.bundle.fallback import MAX_FALLBACKS, Fallback
from rdedge.coding.trellis import Trellis
from rdedge.errors import BundleError, RdedgeError
from rdedge.metrics import Scale
from rdedge.types import Bound, SampleSpec

FORMAT_VERSION = 1
MAX_LEVELS = 256
MAX_PATCH = 256
MAX_RATE_WEIGHT = 1e6
# The largest step of integers' residuals: every whole number up to it is a float32.
MAX_WHOLE_STEP = 1 << 24
# What only a server needs; what a device without it can no longer do: decode, and so measure the
# distortion of what it sends, which keeps its packets from ever being gated (FORMAT.md, section 1).
SERVER_MEMBERS = ("decoder.onnx", "reference/outputs.npy")
CANNOT = ("decode", "measure distortion")
# A bundle may be without; each has its SHA-256 in the identity, by its name without `.bin`.
OPTIONAL = ("contexts.bin", "palette.bin", "counts.bin")
HASH = re.compile(r"[0-9a-f]{64}")


def sha256(data: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Level:
    """One operating point. step: float32, of the quantiser; text in the manifest, to be exact."""

    step: float

    def to_json(self) -> dict[str, str]:
        return {"step": float(np.float32(self.step)).hex()}

    @staticmethod
    def from_json(value: dict[str, str]) -> Level:
        if set(value) != {"step"} or not isinstance(value["step"], str):
            raise ValueError(f"a level {value!r}")
        step = float.fromhex(value["step"])
        if not 1e-37 < step < 1e37 or Level(step).to_json() != value:
            raise ValueError(f"a step of {value['step']!r}")
        return Level(step)


@dataclass(frozen=True)
class Half:
    """What the encoder or the decoder costs. macs: multiply-adds for one sample."""

    parameters: int
    macs: int


@dataclass(frozen=True)
class Member:
    """A member of the bundle: its size and its hash."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All that a device and a server must know of a codec before they open its graphs.

    model: kind of model. columns: names of a series' channels, empty where they have none.
    latents: L, of a row; patch: pixels of an image's side that a row stands for, else 1 (FORMAT.md,
    section 4.5). rounding: of the quantiser, encoder only. rate_weight: what a bit is worth there,
    in squared steps, where symbols are chosen by it (of a palette in squared ranges from the first
    value to the last); 0: they are not. trellis: what quantises SCALED latents (section 4.7), None:
    each by itself. scale: of psnr and nrmse.
    bound: the mean bound that it was trained for. levels: operating points, the one trained for
    first.
    fallbacks: codecs that a run may name in place of the learned one, by position from 1.
    residual: step of residuals (FORMAT.md, section 4.9), float32 in raw units; 0: none. members:
    all others of the whole bundle. absent: those of them that a device's part is without.
    """

    model: str
    sample: SampleSpec
    columns: tuple[str, ...]
    latents: int
    patch: int
    levels: tuple[Level, ...]
    rounding: float
    bound: Bound
    scale: Scale
    encoder: Half
    decoder: Half
    opset: int
    precision: str
    created_by: str
    identity: str
    members: dict[str, Member]
    absent: tuple[str, ...] = ()
    fallbacks: tuple[Fallback, ...] = ()
    rate_weight: float = 0.0
    trellis: Trellis | None = None
    residual: float = 0.0

    @property
    def cannot(self) -> tuple[str, ...]:
        """What nobody can do with this part of the bundle."""
        return CANNOT if self.absent else ()

    @property
    def key(self) -> bytes:
        """The first 4 bytes of the identity: what packets carry."""
        return bytes.fromhex(self.identity)[:4]

    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """How the rows of a sample of this shape lie: (H', W') of an image, () of others."""
        if self.sample.kind != "image":
            return ()
        return tuple(-(-side // self.patch) for side in shape[:2])

    def to_bytes(self) -> bytes:
        part: dict[str, Any] = {}
        if self.absent:
            part = {"absent": list(self.absent), "cannot": list(self.cannot)}
        if self.rate_weight:
            part["rate_weight"] = float(self.rate_weight)
        return canonical.dumps(
            {
                **part,
                **_fallbacks(self),
                **_trellis(self),
                **_residual(self),
                "format": FORMAT_VERSION,
                "model": self.model,
                "sample": _sample(self.sample),
                "columns": list(self.columns),
                "latents": self.latents,
                "patch": self.patch,
                "levels": [level.to_json() for level in self.levels],
                "rounding": float(self.rounding),
                "bound": {"metric": self.bound.metric, "value": float(self.bound.value)},
                "scale": {
                    "peak": float(self.scale.peak),
                    "std": [float(s) for s in self.scale.std],
                },
                "encoder": vars(self.encoder),
                "decoder": vars(self.decoder),
                "opset": self.opset,
                "precision": self.precision,
                "created_by": self.created_by,
                "identity": self.identity,
                "members": {name: vars(member) for name, member in self.members.items()},
            }
        )

    @staticmethod
    def from_bytes(data: bytes) -> Manifest:
        """Parse and check; raises BundleError saying which part is wrong."""
        try:
            value = canonical.loads(data, "manifest.json")
            version = value.pop("format", None) if isinstance(value, dict) else None
            if version != FORMAT_VERSION:
                raise BundleError(
                    f"the bundle is of format {version!r}",
                    expected=str(FORMAT_VERSION),
                    do="read it with the rdedge that wrote it, or a newer one",
                )
            sample = value.pop("sample")
            levels = tuple(Level.from_json(level) for level in value.pop("levels"))
            fallbacks = tuple(Fallback.from_json(one) for one in value.pop("fallbacks", ()))
            members = {
                name: config.build(member, Member, f"members: {name}")
                for name, member in value.pop("members").items()
            }
            spec = SampleSpec(sample["kind"], tuple(sample["shape"]), sample["dtype"])
            residual = _step(value.pop("residual")) if "residual" in value else 0.0
            absent = tuple(value.pop("absent", ()))
            value.pop("cannot", None)
            states = value.pop("trellis", None)
            trellis = None if states is None else Trellis.of(states)
            value.setdefault("rate_weight", 0.0)
            if absent not in ((), SERVER_MEMBERS):
                raise ValueError(f"absent {absent!r:.80}")
            if not all(isinstance(name, str) for name in value["columns"]):
                raise ValueError(f"columns {value['columns']!r:.80}")
            rest = config.build(value, _Rest, "manifest.json")
            manifest = rest.with_parts(spec, levels, fallbacks, members, absent, trellis, residual)
        except BundleError:
            raise
        except (
            RdedgeError,
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            OverflowError,
        ) as error:
            raise BundleError(
                f"manifest.json is wrong: {error}", do="export the bundle again"
            ) from error
        manifest._check()
        # So nothing is passed over: no key of a part, no second way to write a number.
        if manifest.to_bytes() != data:
            raise BundleError(
                "manifest.json holds what this version does not read",
                expected="the keys and numbers of FORMAT.md section 5",
                do="export the bundle again",
            )
        return manifest

    def _check(self) -> None:
        fine = (
            1 <= len(self.levels) <= MAX_LEVELS
            and len(set(self.levels)) == len(self.levels)
            and len(self.fallbacks) <= MAX_FALLBACKS
            and all(fallback.suits(self.sample) for fallback in self.fallbacks)
            and 1 <= self.latents <= 65535
            and 0 < self.rounding <= 0.5
            and 0 <= self.rate_weight <= MAX_RATE_WEIGHT
            and HASH.fullmatch(self.identity)
            and all(type(d) is int for d in self.sample.shape)
            and 1 <= self.patch <= (MAX_PATCH if self.sample.kind == "image" else 1)
            and self._residual_fits()
            and self._columns_fit()
            and self._scale_fits()
            and min(*vars(self.encoder).values(), *vars(self.decoder).values()) >= 0
            and all(HASH.fullmatch(m.sha256) and m.bytes >= 0 for m in self.members.values())
        )
        if not fine:
            raise BundleError(
                "manifest.json holds values out of range",
                expected="what FORMAT.md section 5 allows",
                do="export the bundle again",
            )

    def _residual_fits(self) -> bool:
        """Whether the step of residuals, if there is one, is such a number; of integers whole."""
        step = self.residual
        if np.issubdtype(np.dtype(self.sample.dtype), np.integer):
            return step.is_integer() and 0 <= step <= MAX_WHOLE_STEP
        return step == 0 or 1e-37 < step < 1e37

    def _columns_fit(self) -> bool:
        """Whether the columns are those of a series, each with a name of its own, or none."""
        names, spec = self.columns, self.sample
        if not names:
            return True
        return (
            spec.kind == "series" and len(set(names)) == len(names) == spec.shape[1] and all(names)
        )

    def _scale_fits(self) -> bool:
        spec, std = self.sample, self.scale.std
        channels = spec.shape[1] if spec.kind == "series" else 1
        return len(std) in (1, channels) and min(self.scale.peak, *std) >= 0


@dataclass(frozen=True)
class _Rest:
    """The parts of a manifest that config.build can convert alone."""

    model: str
    columns: tuple[str, ...]
    latents: int
    patch: int
    rounding: float
    bound: Bound
    scale: Scale
    encoder: Half
    decoder: Half
    opset: int
    precision: str
    created_by: str
    identity: str
    rate_weight: float

    def with_parts(
        self,
        sample: SampleSpec,
        levels: tuple[Level, ...],
        fallbacks: tuple[Fallback, ...],
        members: dict[str, Member],
        absent: tuple[str, ...],
        trellis: Trellis | None,
        residual: float,
    ) -> Manifest:
        return Manifest(
            sample=sample,
            levels=levels,
            fallbacks=fallbacks,
            members=members,
            absent=absent,
            trellis=trellis,
            residual=residual,
            **vars(self),
        )


def _fallbacks(manifest: Manifest) -> dict[str, Any]:
    """The key of the manifest and of the identity; a bundle without any has none."""
    found = [fallback.to_json() for fallback in manifest.fallbacks]
    return {"fallbacks": found} if found else {}


def _trellis(manifest: Manifest) -> dict[str, Any]:
    """The same of a trellis."""
    if manifest.trellis is None:
        return {}
    return {"trellis": [list(pair) for pair in manifest.trellis.transitions]}


def _residual(manifest: Manifest) -> dict[str, Any]:
    """The same of the step of residuals."""
    step = float(np.float32(manifest.residual))
    return {"residual": {"step": step.hex()}} if step else {}


def _step(value: dict[str, str]) -> float:
    """Undo _residual. Raises ValueError."""
    if set(value) != {"step"} or not isinstance(value["step"], str):
        raise ValueError(f"a residual {value!r:.80}")
    return float.fromhex(value["step"])


def _sample(spec: SampleSpec) -> dict[str, Any]:
    return {"kind": spec.kind, "shape": list(spec.shape), "dtype": spec.dtype}


def identity_of(manifest: Manifest) -> str:
    """The codec identity: SHA-256, in hex, over all that decoding depends on. A device's part and
    the whole bundle have the same: the manifest of either lists the members of the whole.
    """
    optional = {
        name.removesuffix(".bin"): manifest.members[name].sha256
        for name in OPTIONAL
        if name in manifest.members
    }
    return sha256(
        canonical.dumps(
            {
                **_fallbacks(manifest),
                **_trellis(manifest),
                **_residual(manifest),
                **optional,
                "format": FORMAT_VERSION,
                "sample": _sample(manifest.sample),
                "latents": manifest.latents,
                "patch": manifest.patch,
                "levels": [level.to_json() for level in manifest.levels],
                "tables": manifest.members["tables.bin"].sha256,
                "selection": manifest.members["selection.bin"].sha256,
                "decoder": manifest.members["decoder.onnx"].sha256,
            }
        )
    )
