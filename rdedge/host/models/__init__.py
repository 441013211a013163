"""Models of learned codecs, one file each, behind one interface (base.py).

mlp     vectors: a small network on each side, starts as a KLT
overcomplete, overcomplete-tied
        vectors: more units than elements, soft rectified linear (overcomplete.py)
linear  series: DCT over time, KLT over channels where it pays, lattices (linear.py);
        images: patches through their KLT (image.py)
conv1d  series: linear and a small convolutional network on each side (conv1d.py)
conv2d  images: linear and a small convolutional network on each side (image.py)
palette grey images, and vectors that are pictures (H, W): a few grey values (palette.py)
"""

from __future__ import annotations

from typing import Any

from rdedge.errors import ConfigError
from rdedge.host.models.base import Model
from rdedge.host.models.conv1d import Conv1d, Conv1dConfig
from rdedge.host.models.image import ImageConfig, ImageModel
from rdedge.host.models.linear import LinearConfig, LinearSeries
from rdedge.host.models.mlp import Mlp, MlpConfig
from rdedge.host.models.overcomplete import Overcomplete, OvercompleteConfig
from rdedge.host.models.palette import PaletteCodec, PaletteConfig
from rdedge.types import SampleKind

# A Conv1dConfig is a LinearConfig too.
Sizes = MlpConfig | OvercompleteConfig | ImageConfig | LinearConfig | PaletteConfig

# What `auto` takes: what got furthest.
AUTO: dict[SampleKind, str] = {"vector": "mlp", "series": "conv1d", "image": "conv2d"}
# What applies to each kind of sample.
MODELS: dict[SampleKind, tuple[str, ...]] = {
    "vector": ("mlp", "overcomplete", "overcomplete-tied", "palette"),
    "series": ("linear", "conv1d"),
    "image": ("linear", "conv2d", "palette"),
}


def named(name: str, kind: SampleKind) -> str:
    """The name of a model that applies to this kind; `auto` is the one that gets furthest."""
    if name == "auto":
        return AUTO[kind]
    if name not in MODELS[kind]:
        raise ConfigError(
            f"the model {name!r} for samples of kind {kind}",
            expected=f"auto, {', '.join(MODELS[kind])}",
        )
    return name


def config_of(value: dict[str, Any]) -> Sizes:
    """The sizes that Config.to_json wrote. Raises ValueError where they are of no model."""
    kind = value["kind"]
    if kind == "mlp":
        return MlpConfig.from_json(value)
    if kind == "palette":
        return PaletteConfig.from_json(value)
    if kind in MODELS["vector"]:
        return OvercompleteConfig.from_json(value)
    if len(value["shape"]) == 3 and kind in ("linear", "conv2d"):
        return ImageConfig.from_json(value)
    if kind == "conv1d":
        return Conv1dConfig.from_json(value)
    if kind == "linear":
        return LinearConfig.from_json(value)
    raise ValueError(f"no model is of kind {kind!r}")


def rebuild(value: dict[str, Any]) -> Model:
    """A model of the sizes that Config.to_json wrote, its weights still those of a new one."""
    config = config_of(value)
    if isinstance(config, MlpConfig):
        return Mlp(config)
    if isinstance(config, OvercompleteConfig):
        return Overcomplete(config)
    if isinstance(config, ImageConfig):
        return ImageModel(config)
    if isinstance(config, PaletteConfig):
        return PaletteCodec(config)
    return Conv1d(config) if isinstance(config, Conv1dConfig) else LinearSeries(config)
