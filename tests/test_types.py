from __future__ import annotations

import math

import numpy as np
import pytest

from rdedge.errors import ConfigError, ShapeError
from rdedge.types import DTYPES, METRIC_IS_MINIMUM, Bound, Measured, SampleSpec

SPEC = SampleSpec("vector", (2, 3), "float32")


def test_sizes():
    assert (SPEC.elements, SPEC.raw_bytes) == (6, 24)
    assert SampleSpec("vector", (1,), "int8").raw_bytes == 1
    assert SampleSpec("vector", (1 << 24,) * 4, "float64").raw_bytes == 1 << 99


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_sample_is_made_of(dtype):
    assert np.dtype(dtype).name == dtype
    spec = SampleSpec("vector", (4,), dtype)
    x = np.zeros((3, 4), dtype)
    assert spec.check_batch(x) is x
    swapped = spec.check_batch(np.ones((3, 4), np.dtype(dtype).newbyteorder(">")))
    assert swapped.dtype == np.dtype(dtype)
    assert swapped.dtype.isnative
    assert (swapped == 1).all()


@pytest.mark.parametrize(
    "dtype", ["uint64", "bool", "complex64", "object", "", "float", "<f4", "f4"]
)
def test_dtypes_that_cannot_be_coded(dtype):
    with pytest.raises(ShapeError) as caught:
        SampleSpec("vector", (4,), dtype)
    assert "float16" in caught.value.expected


@pytest.mark.parametrize("shape", [(), (0,), (-1,), (3, 0), (1,) * 5, ((1 << 24) + 1,)])
def test_shapes_that_cannot_be_coded(shape):
    with pytest.raises(ShapeError):
        SampleSpec("vector", shape, "uint8")


def test_batches_come_out_contiguous():
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2).transpose(0, 2, 1)
    found = SPEC.check_batch(x)
    assert found.flags.c_contiguous
    assert np.array_equal(found, x)
    assert SPEC.check_batch(np.zeros((0, 2, 3), np.float32)).shape == (0, 2, 3)


def test_one_sample_says_how_to_make_a_batch():
    with pytest.raises(ShapeError) as caught:
        SPEC.check_batch(np.zeros((2, 3), np.float32))
    assert caught.value.do == "add the batch axis: x[None]"
    assert "(N, 2, 3)" in caught.value.expected


@pytest.mark.parametrize("shape", [(), (6,), (2, 6), (1, 3, 2), (1, 1, 2, 3), (2, 3, 1)])
def test_batches_of_another_shape(shape):
    with pytest.raises(ShapeError) as caught:
        SPEC.check_batch(np.zeros(shape, np.float32))
    assert caught.value.do == ""


@pytest.mark.parametrize(
    "dtype", ["float64", "float16", "int32", "bool", "object", "U3", "complex64"]
)
def test_batches_of_another_dtype(dtype):
    with pytest.raises(ShapeError) as caught:
        SPEC.check_batch(np.zeros((1, 2, 3), dtype))
    assert caught.value.expected == "float32"
    assert "astype" in caught.value.do


@pytest.mark.parametrize("x", [[[1.0]], None, 1.0, b"", memoryview(b"")])
def test_what_is_no_array(x):
    with pytest.raises(ShapeError, match=type(x).__name__):
        SPEC.check_batch(x)


def test_masks_are_not_dropped():
    x = np.ma.masked_less(np.zeros((1, 2, 3), np.float32), 1)
    with pytest.raises(ShapeError) as caught:
        SPEC.check_batch(x)
    assert "filled" in caught.value.do


@pytest.mark.parametrize("metric", METRIC_IS_MINIMUM)
def test_a_bound_knows_its_direction(metric):
    bound = Bound(metric, 2.0)
    assert bound.met_by(2.0)
    assert bound.met_by(3.0) == bound.is_minimum == (metric == "psnr")
    assert bound.met_by(1.0) != bound.is_minimum
    assert bound.met_by(math.inf) == bound.is_minimum
    assert not bound.met_by(math.nan)
    assert str(bound) == f"{metric} {'>=' if metric == 'psnr' else '<='} 2"


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, -math.inf])
def test_bounds_that_are_none(value):
    with pytest.raises(ConfigError):
        Bound("mse", value)


def test_a_bound_on_what_is_no_metric():
    with pytest.raises(ConfigError, match="'ssim'") as caught:
        Bound("ssim", 1.0)
    assert "max-abs" in caught.value.expected


def test_figures_say_where_they_come_from():
    assert Measured(1.5, "estimated").to_json() == {"value": 1.5, "kind": "estimated"}
