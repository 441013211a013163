"""What crosses the border of a room, as frozen dataclasses."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rdedge.errors import ConfigError, ShapeError

Array = NDArray[Any]

SampleKind = Literal["vector"]
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
    """What one sample is: kind, shape without the batch axis, dtype of the source."""

    kind: SampleKind
    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise ShapeError(
                f"samples of dtype {self.dtype} cannot be coded", expected=", ".join(DTYPES)
            )
        if not 1 <= len(self.shape) <= MAX_AXES or any(not 1 <= d <= MAX_AXIS for d in self.shape):
            raise ShapeError(
                f"a sample of shape {self.shape} cannot be coded",
                expected=f"1 to {MAX_AXES} axes of 1 to {MAX_AXIS}",
            )

    @property
    def elements(self) -> int:
        """Elements in one sample."""
        return math.prod(self.shape)

    @property
    def raw_bytes(self) -> int:
        """Bytes of one sample as it is in memory."""
        return self.elements * np.dtype(self.dtype).itemsize

    def check_batch(self, x: Array) -> Array:
        """Return x, shape (N, *shape), contiguous and in native byte order, or say why not."""
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
        if x.shape[1:] != self.shape or x.ndim != len(self.shape) + 1:
            hint = "add the batch axis: x[None]" if x.shape == self.shape else ""
            raise ShapeError(
                f"an array of shape {x.shape}", expected=f"(N, {_dims(self.shape)})", do=hint
            )
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
    """A limit on a distortion, in the metric's own unit; it knows its direction."""

    metric: str
    value: float

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
        return f"{self.metric} {'>=' if self.is_minimum else '<='} {self.value:g}"
