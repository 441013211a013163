"""From a model's name and the data to sizes, a start, and how to train."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass, replace
from typing import Any

import torch

from rdedge import metrics
from rdedge.codec.preprocess import enlarge, fill_missing
from rdedge.errors import ConfigError, TrainingError
from rdedge.host.datasets import Parts
from rdedge.host.models import MODELS, Sizes, config_of, named
from rdedge.host.models.base import Model
from rdedge.host.models.conv1d import SIZES as CONV1D_SIZES
from rdedge.host.models.conv1d import Conv1d, Conv1dConfig
from rdedge.host.models.image import SIZES as IMAGE_SIZES
from rdedge.host.models.image import ImageConfig, ImageModel, Transform
from rdedge.host.models.linear import LinearSeries
from rdedge.host.models.mlp import Mlp, MlpConfig, auto_config, start_from_klt
from rdedge.host.models.overcomplete import (
    Overcomplete,
    OvercompleteConfig,
    config_for,
    start_in_pairs,
)
from rdedge.host.models.palette import SIZES as PALETTE_SIZES
from rdedge.host.models.palette import PaletteCodec, PaletteConfig
from rdedge.host.options import TrainingOptions
from rdedge.host.palette_values import few_valued, values_for
from rdedge.host.rates.objective import WITH_MATRIX
from rdedge.host.series import start_linear
from rdedge.types import Bound

SIZES = ("nano", "small", "base")
# Where none is asked for: what got furthest in ten minutes, or one, on one core of a CPU.
DEFAULT_SIZES = {"conv1d": "small", "conv2d": "nano", "palette": "nano"}
# Pixels of a patch's side; the smaller where an image has less than four of the larger across.
PATCH, SMALL_PATCH, _PATCHES_ACROSS = 16, 8, 4
# An epoch looks at as many pixels as there are in the training part.
_IMAGE_EPOCHS = 60
# Of a hundred batches of pixels each.
_PALETTE_EPOCHS = 60
_OF_DESCENT = (
    "epochs",
    "batch",
    "learning_rate",
    "rate",
    "alpha",
    "kernel_width",
    "batches",
    "input_noise",
)
# A Gram matrix of fewer samples says little: log2 of their number is all it can reach.
_GRAM_BATCH = 128
_STEPS, _MIN_EPOCHS, _MAX_EPOCHS = 6000, 20, 200


@dataclass(frozen=True)
class Plan:
    """What is trained and how. start: the linear codec that model starts from, itself where nothing
    is trained. why: `auto` took this model in place of the usual one, in words.
    """

    model: Model
    start: Model
    options: TrainingOptions
    why: str | None = None

    @property
    def macs(self) -> int:
        """Multiply-adds of one sample both ways."""
        return self.model.config.encoder_macs + self.model.config.decoder_macs

    def to_json(self) -> dict[str, Any]:
        return self.model.config.to_json()

    @staticmethod
    def again(
        value: dict[str, Any],
        options: TrainingOptions,
        parts: Parts,
        bound: Bound,
        scale: metrics.Scale,
    ) -> Plan:
        """The plan of a run that goes on: sizes as run.json has them."""
        return _started(config_of(value), options, parts, bound, scale)


def plan_by_name(
    name: str, parts: Parts, bound: Bound, scale: metrics.Scale, **settings: Any
) -> Plan:
    """As plan_for; of `auto` a palette for pictures of few values, else what gets furthest."""
    if name == "auto" and (why := few_valued(parts, bound, scale)) is not None:
        # Settings that say nothing to a palette are meant for another model.
        with contextlib.suppress(ConfigError):
            return replace(plan_for("palette", parts, bound, scale, **settings), why=why)
    return plan_for(named(name, parts.spec.kind), parts, bound, scale, **settings)


def plan_for(
    name: str,
    parts: Parts,
    bound: Bound,
    scale: metrics.Scale,
    *,
    size: str | None,
    latents: int | None,
    width: float,
    training: dict[str, Any],
) -> Plan:
    """A plan for the model of this name. training: options as given, None: by the data.

    Raises ConfigError or TrainingError for sizes and data that do not fit.
    """
    if name not in DEFAULT_SIZES:
        _refuse(name, {"size": size}, ("size",))
    size = DEFAULT_SIZES.get(name, SIZES[0]) if size is None else size
    if size not in SIZES:
        raise ConfigError(f"the size {size!r}", expected=", ".join(SIZES))
    if name not in MODELS["vector"]:
        _refuse(name, {"width": None if width == 1.0 else width}, ("width",))
    if name == "palette":
        _refuse(name, {"width": None if width == 1.0 else width}, ("width",))
        _refuse(name, training | {"latents": latents}, (*_OF_DESCENT[1:], "quantiser", "latents"))
        return _palette_plan(parts, bound, scale, size, training)
    mse = metrics.mse_for(bound.metric, bound.value, scale)
    if parts.spec.kind == "image":
        return _image_plan(name, parts, mse, size=size, latents=latents, training=training)
    if name == "linear":
        _refuse(name, training | {"latents": latents}, (*_OF_DESCENT, "latents"))
        options = _options(training, 1, 1, 1e-3)
        model: Model = start_linear(parts, bound, scale)
        return Plan(model, model, options)
    if name == "conv1d":
        _refuse(name, {"latents": latents}, ("latents",))
        options = _options(training, len(parts.train[0]), 16, 1e-3)
        return _started_series(start_linear(parts, bound, scale), parts, options, size)
    (x,) = parts.train
    batch = 64 if len(x) < 8192 else 128
    if name != "mlp":
        tied = name == "overcomplete-tied"
        sizes = config_for(x, latents=latents, width=width, tied=tied)
        options = _options(training, len(x), batch, 1e-3)
        return _started(sizes, options, parts, bound, scale)
    config = auto_config(x, mse, latents=latents, width=width)
    # Wide networks want smaller steps.
    rate = 2e-3 if config.encoder_hidden <= 128 else 1e-3
    options = _options(training, len(x), batch, rate)
    return _started(config, options, parts, bound, scale)


def _palette_plan(
    parts: Parts, bound: Bound, scale: metrics.Scale, size: str, training: dict[str, Any]
) -> Plan:
    """What codes a palette and what restores its greys are learned where it is measured."""
    inputs, first, second, width = PALETTE_SIZES[size]

    def made(values: tuple[float, ...]) -> PaletteCodec:
        shape = parts.spec.shape
        torch.manual_seed(0)
        return PaletteCodec(PaletteConfig(shape, values, inputs, (first, second), width))

    model = made(values_for(parts, bound, scale, made))
    given = {k: v for k, v in training.items() if v is not None}
    return Plan(model, model, _options({"epochs": _PALETTE_EPOCHS} | given, 1, 1, 1e-3))


def _refuse(model: str, given: dict[str, Any], names: tuple[str, ...]) -> None:
    """Raise ConfigError where an option is given that says nothing to a model."""
    for name in names:
        if given[name] is not None:
            raise ConfigError(
                f"{name.replace('_', ' ')} {given[name]} for the model {model}", expected="none"
            )


def _options(
    given: dict[str, Any], count: int, batch: int, learning_rate: float, *, pictures: bool = False
) -> TrainingOptions:
    """Options as given, the others by what suits count samples."""
    given = {k: v for k, v in given.items() if v is not None}
    rate = given.get("rate", "entropy")
    for option in {"alpha", "kernel_width"} & set(given):
        if rate not in WITH_MATRIX:
            raise ConfigError(
                f"{option.replace('_', ' ')} {given[option]} for the rate {rate}",
                expected="it with the rates renyi and both alone",
            )
    if rate in WITH_MATRIX and not pictures:
        batch = max(batch, _GRAM_BATCH)
    batch = given.get("batch", batch)
    per_epoch = max(1, count // max(1, batch))
    epochs = max(_MIN_EPOCHS, min(_MAX_EPOCHS, _STEPS // per_epoch))
    found = {"batch": batch, "epochs": epochs, "learning_rate": learning_rate} | given
    if found.get("batches", "auto") == "auto":
        # Clusters saved the matrix functional a tenth on small digits, and nothing on MNIST and on
        # ETTh1, where they cost the entropy model 14 % and nothing (examples/paper/results).
        alike = rate == "renyi" and not pictures
        found["batches"] = "clustered" if alike else "random"
    return TrainingOptions(**found)


def _started(
    config: Sizes,
    options: TrainingOptions,
    parts: Parts,
    bound: Bound,
    scale: metrics.Scale,
) -> Plan:
    """A model at its linear start, made in the same way whenever it is made."""
    torch.manual_seed(options.seed)
    mse = metrics.mse_for(bound.metric, bound.value, scale)
    if isinstance(config, MlpConfig):
        made = Mlp(config)
        start_from_klt(made, parts.train[0], mse)
        return Plan(made, copy.deepcopy(made), options)
    if isinstance(config, OvercompleteConfig):
        pairs = Overcomplete(config)
        start_in_pairs(pairs, parts.train[0], mse)
        return Plan(pairs, copy.deepcopy(pairs), options)
    if isinstance(config, ImageConfig):
        return _started_image(config, parts, mse, options)
    if isinstance(config, PaletteConfig):
        palette = PaletteCodec(config)
        return Plan(palette, palette, options)
    linear = start_linear(parts, bound, scale)
    if isinstance(config, Conv1dConfig):
        return _started_series(linear, parts, options, None, config)
    return Plan(linear, linear, options)


def _started_series(
    linear: LinearSeries,
    parts: Parts,
    options: TrainingOptions,
    size: str | None,
    config: Conv1dConfig | None = None,
) -> Plan:
    """A `conv1d` around a `linear`, of a size, or of the sizes that run.json has."""
    torch.manual_seed(options.seed)
    if not linear.config.mixed or linear.config.timed:
        return Plan(linear, linear, options)
    if config is None:
        assert size is not None
        c = linear.config
        config = Conv1dConfig(c.shape, c.exact, c.klt, "conv1d", 1, *CONV1D_SIZES[size])
    made = Conv1d(config)
    made.start(linear, fill_missing(parts.train[0])[0])
    return Plan(made, linear, options)


def _image_plan(
    name: str,
    parts: Parts,
    mse: float,
    *,
    size: str,
    latents: int | None,
    training: dict[str, Any],
) -> Plan:
    shape = parts.spec.shape
    patch = PATCH if min(shape[:2]) >= _PATCHES_ACROSS * PATCH else SMALL_PATCH
    transform = Transform.of([enlarge(x, patch) for x in parts.train], patch, mse)
    if not transform.variances.max(initial=0.0) > 0.0:
        raise TrainingError(
            "all training images are one grey",
            expected="images that differ",
            do="check the folder: there is nothing to learn",
        )
    count = transform.latents if latents is None else latents
    if not 1 <= count <= len(transform.variances):
        raise ConfigError(f"{count} latents", expected=f"1 to {len(transform.variances)}")
    config = ImageConfig(shape, count, patch)
    if name == "linear":
        _refuse(name, training, _OF_DESCENT)
        options = _options(training, 1, 1, 1e-3)
    else:
        config = ImageConfig(shape, count, patch, *IMAGE_SIZES[size])
        # A crop has patches enough for a Gram matrix.
        chosen = {"batch": 8, "epochs": _IMAGE_EPOCHS}
        given = {k: v for k, v in training.items() if v is not None}
        options = _options(chosen | given, 1, 8, 1e-3, pictures=True)
    return _started_image(config, parts, mse, options, transform)


def _started_image(
    config: ImageConfig,
    parts: Parts,
    mse: float,
    options: TrainingOptions,
    transform: Transform | None = None,
) -> Plan:
    if transform is None:
        transform = Transform.of([enlarge(x, config.patch) for x in parts.train], config.patch, mse)
    torch.manual_seed(options.seed)
    linear = ImageModel(ImageConfig(config.shape, config.latents, config.patch))
    linear.start(transform)
    if config.kind == "linear":
        return Plan(linear, linear, options)
    model = ImageModel(config)
    model.start(transform)
    return Plan(model, linear, options)
