"""What crosses the border of a room, as frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import ConfigError, ShapeError

Array = NDArray[Any]

# "vector": any shape. "series": a window (T, C), time first; NaN is a missing value.
# "image": (H, W, C) with C 1 or 3, whose H and W may differ from sample to sample.
SampleKind = Literal["vector", "series", "image"]
KINDS: tuple[SampleKind, ...] = ("vector", "series", "image")
MeasuredKind = Literal["actual", "estimated", "simulated"]

# What a sample may be made of.
DTYPES = (
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "int64",
    "float16",
    "float32",
    "float64",
)

# What training aims at where a bound is for every sample: that so many keep it without a second
# try. The rest is the gate's.
BOUNDS = {"mean": 0.0, "every": 0.95}

# The limits that FORMAT.md, section 1, sets to the shape of a sample.
MAX_AXES = 4
MAX_AXIS = 1 << 24

# Every metric and its direction: True where a sample must reach at least the bound.
METRIC_IS_MINIMUM: dict[str, bool] = {
    "mse": False,
    "psnr": True,
    "mae": False,
    "max-abs": False,
    "nrmse": False,
}


@dataclass(frozen=True)
class Measured:
    """A figure that says where it comes from.

    kind: "actual" (bytes counted, time taken), "estimated" (a model's word), "simulated".
    """

    value: float
    kind: MeasuredKind

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "kind": self.kind}


@dataclass(frozen=True)
class SampleSpec:
    """What one sample is: kind, shape without the batch axis, dtype of the source.

    shape: of an "image" the usual one: others may have another height and width.
    """

    kind: SampleKind
    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ShapeError(
                f"samples of dtype {self.dtype} cannot be coded", expected=", ".join(DTYPES)
            )
        if self.kind not in KINDS:
            raise ShapeError(f"samples of kind {self.kind!r}", expected=", ".join(KINDS))
        if not 1 <= len(self.shape) <= MAX_AXES or any(not 1 <= d <= MAX_AXIS for d in self.shape):
            raise ShapeError(
                f"a sample of shape {self.shape} cannot be coded",
                expected=f"1 to {MAX_AXES} axes of 1 to {MAX_AXIS}",
            )
        if self.kind == "series" and len(self.shape) != 2:
            raise ShapeError(f"a window of shape {self.shape}", expected="(time, channels)")
        if self.kind == "image" and (len(self.shape) != 3 or self.shape[2] not in (1, 3)):
            raise ShapeError(
                f"an image of shape {self.shape}", expected="(height, width, 1 or 3 channels)"
            )

    @property
    def elements(self) -> int:
        """Elements in one sample."""
        return math.prod(self.shape)

    def allows(self, shape: tuple[int, ...]) -> bool:
        """Whether a sample may have this shape."""
        if self.kind == "image":
            free = len(shape) == 3 and shape[2] == self.shape[2]
            return free and all(1 <= d <= MAX_AXIS for d in shape)
        return shape == self.shape

    @property
    def raw_bytes(self) -> int:
        """Bytes of one sample as it is in memory."""
        return self.elements * np.dtype(self.dtype).itemsize

    def check_batch(self, x: Array) -> Array:
        """Return x, shape (N, *shape), contiguous and in native byte order, or say why not.

        Of an "image", all of a batch have one height and width, any.
        """
        if not isinstance(x, np.ndarray):
            raise ShapeError(
                f"got a {type(x).__name__}", expected=f"a NumPy array of dtype {self.dtype}"
            )
        if isinstance(x, np.ma.MaskedArray):
            raise ShapeError(
                "got a masked array",
                expected="a NumPy array without a mask",
                do="fill the gaps on purpose with x.filled(VALUE)",
            )
        if not self.allows(x.shape[1:]):
            hint = "add the batch axis: x[None]" if self.allows(x.shape) else ""
            dims = f"any, any, {self.shape[2]}" if self.kind == "image" else _dims(self.shape)
            raise ShapeError(f"an array of shape {x.shape}", expected=f"(N, {dims})", do=hint)
        if x.dtype.newbyteorder("=") != np.dtype(self.dtype):
            raise ShapeError(
                f"an array of dtype {x.dtype}",
                expected=self.dtype,
                do="convert it on purpose with astype, or train a bundle on data of that dtype",
            )
        return np.ascontiguousarray(x, dtype=self.dtype)


def _dims(shape: tuple[int, ...]) -> str:
    return ", ".join(str(d) for d in shape)


@dataclass(frozen=True)
class Bound:
    """A limit on a distortion, in the metric's own unit; it knows its direction.

    share: of samples that are to keep it, each by itself; 0: their mean is.
    """

    metric: str
    value: float
    share: float = 0.0

    def __post_init__(self) -> None:
        if self.metric not in METRIC_IS_MINIMUM:
            raise ConfigError(
                f"no metric is called {self.metric!r}", expected=", ".join(METRIC_IS_MINIMUM)
            )
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise ConfigError(f"a bound of {self.value!r}", expected="a number")
        if not np.isfinite(self.value) or self.value <= 0:
            raise ConfigError(
                f"a {self.metric} bound of {self.value}", expected="a positive finite number"
            )
        if not 0.0 <= self.share < 1.0:
            raise ConfigError(f"a bound for a share of {self.share}", expected="0 to less than 1")

    @property
    def is_minimum(self) -> bool:
        """True where the distortion must be at least the value (psnr), not at most."""
        return METRIC_IS_MINIMUM[self.metric]

    def met_by(self, distortion: float) -> bool:
        """Whether a measured distortion keeps the bound; NaN never does."""
        if self.is_minimum:
            return distortion >= self.value
        return distortion <= self.value

    def __str__(self) -> str:
        share = f" in {100 * self.share:g} % of samples" if self.share else ""
        return f"{self.metric} {'>=' if self.is_minimum else '<='} {self.value:g}{share}"

    def to_json(self) -> dict[str, str | float]:
        """As run.json and scorecard.json have it."""
        share = {"share": float(self.share)} if self.share else {}
        return {"metric": self.metric, "value": float(self.value), **share}
