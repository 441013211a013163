"""Every kind of model, in every precision, both halves: parsed and built without a GPU.

By TensorRT for RTX, which the development extra brings, for the compute capabilities 8.6 and 8.9.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch

from rdedge.bundle.recipe import Calibration
from rdedge.engine.build import Options, build_engine
from rdedge.engine.graph import precision_of
from rdedge.engine.onnx_runtime import OnnxRuntimeRunner
from rdedge.engine.part import HALVES, Half, Part, Range
from rdedge.engine.tensorrt import require
from rdedge.host.graphs import to_onnx
from rdedge.host.models import MODELS, rebuild
from rdedge.host.models.base import Model
from rdedge.host.models.conv1d import SIZES as SERIES_SIZES
from rdedge.host.models.conv1d import Conv1dConfig
from rdedge.host.models.image import SIZES as IMAGE_SIZES
from rdedge.host.models.image import ImageConfig
from rdedge.host.models.linear import LinearConfig
from rdedge.host.models.mlp import MlpConfig
from rdedge.host.models.overcomplete import OvercompleteConfig
from rdedge.host.models.palette import PaletteConfig
from rdedge.host.precision import convert

CONFIGS = {
    "mlp": MlpConfig((64,), 16, 64, 96),
    "overcomplete": OvercompleteConfig((64,), 128, tied=False),
    "overcomplete-tied": OvercompleteConfig((64,), 128, tied=True),
    "linear": LinearConfig((32, 4), (1,), klt=True),
    "linear of images": ImageConfig((64, 48, 3), 24, 8),
    "palette of images": PaletteConfig((64, 48, 1), (-1.0, 0.5, 2.0), 96, (40, 24), 8),
    "palette of vectors": PaletteConfig((24, 16), (-1.0, 2.0), 96, (40, 24), 8),
    **{
        f"conv1d {size}": Conv1dConfig((32, 4), (1,), True, "conv1d", 1, *numbers)
        for size, numbers in SERIES_SIZES.items()
    },
    **{
        f"conv2d {size}": ImageConfig((64, 48, 3), 24, 8, *numbers)
        for size, numbers in IMAGE_SIZES.items()
    },
}
PRECISIONS = ("fp32", "fp16", "int8")


def test_no_kind_is_left_out():
    assert {config.kind for config in CONFIGS.values()} == set().union(*MODELS.values())


@cache
def model(name: str) -> Model:
    """With weights that are all at random: new ones start with layers of zeros."""
    torch.manual_seed(1)
    found = rebuild(CONFIGS[name].to_json())
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.normal_(std=0.1)
    return found


def example(name: str, half: Half) -> tuple[np.ndarray, tuple[Range, ...]]:
    """What the graph may be given, and the ranges of its free axes."""
    config, rng = CONFIGS[name], np.random.default_rng(2)
    batch = Range(1, 4, 64)
    if isinstance(config, ImageConfig) or name == "palette of images":
        unit = config.patch if half == "encoder" else 1
        axes = (batch, *(Range(unit, n * unit, 4 * n * unit) for n in (8, 6)))
        last = config.shape[2] if half == "encoder" else config.latents
        return rng.normal(size=(2, 8 * unit, 6 * unit, last)).astype(np.float32), axes
    shape = config.shape if half == "encoder" else (config.latents,)
    return rng.normal(size=(4, *shape)).astype(np.float32), (batch,)


@cache
def plain(name: str, half: Half) -> bytes:
    x, axes = example(name, half)
    network = model(name).g_a if half == "encoder" else model(name).g_s
    return to_onnx(network, x.shape, tuple(range(len(axes))), "x", "y", 18)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", CONFIGS)
def test_it_builds(name: str, precision: str, half: Half) -> None:
    x, axes = example(name, half)
    graph = convert(plain(name, half), precision, [x], Calibration())
    # The encoder of a palette has no layer to convert.
    kept = name.startswith("palette") and half == "encoder"
    assert precision_of(graph, "it") == ("fp32" if kept else precision)
    y = OnnxRuntimeRunner(graph, "it", 1).run(x)
    assert np.isfinite(y).all()
    part = Part(half, "ab" * 32, graph, axes)
    engine, timing = build_engine(part, Options(workspace_mib=256), require(), ("8.6", "8.9"))
    # TensorRT for RTX writes this at the start of a plan.
    assert engine[:4] == b"vtrt"
    assert timing == b""
