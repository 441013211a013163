"""Recipes (export/*.toml), how a run becomes a bundle; and how both they and profiles
(devices/*.toml, profile.py), for what, are found by name.
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rdedge import config, resources
from rdedge.bundle.fallback import CODECS
from rdedge.bundle.profile import Profile, without_unknown
from rdedge.errors import ConfigError

PRECISIONS = ("fp32", "fp16", "int8")
METHODS = ("minmax", "percentile", "entropy")
# What a device does about the bound: measure every sample, some, none.
GATES = ("always", "sampled", "never")
# The widest range that an engine may be asked for: samples, or pixels of a side.
_MOST = 1 << 20


@dataclass(frozen=True)
class Graph:
    """opset: of ONNX. precision: of the encoder's products; decoder_precision: of the decoder's,
    which is a part of the codec identity.
    """

    opset: int
    precision: str
    decoder_precision: str = "fp32"

    def __post_init__(self) -> None:
        if not 18 <= self.opset <= 23:
            raise ConfigError(f"opset {self.opset}", expected="18 to 23")
        for name in ("precision", "decoder_precision"):
            value = getattr(self, name)
            if value not in PRECISIONS:
                raise ConfigError(f"{name} {value!r}", expected=", ".join(PRECISIONS))

    @property
    def of_halves(self) -> dict[str, str]:
        return {"encoder": self.precision, "decoder": self.decoder_precision}


@dataclass(frozen=True)
class Shapes:
    """What engines are built for: [least, usual, most]. batch: samples at a time; height, width: of
    images, in pixels, None where the sample's own size says it.
    """

    batch: tuple[int, ...] | None = None
    height: tuple[int, ...] | None = None
    width: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name, found in vars(self).items():
            if found is not None and not (
                len(found) == 3 and 1 <= found[0] <= found[1] <= found[2] <= _MOST
            ):
                raise ConfigError(
                    f"{name} is {list(found)}",
                    expected=f"[least, usual, most], rising, 1 to {_MOST}",
                )


@dataclass(frozen=True)
class Calibration:
    """How the ranges of int8 activations are found. method: minmax takes all that occurs,
    percentile cuts the tails, entropy loses the least information. samples: of the training data.
    percentile: of the method of that name, from 90 to 100.
    """

    method: str = "minmax"
    samples: int = 512
    percentile: float = 99.999

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ConfigError(f"method {self.method!r}", expected=", ".join(METHODS))
        if not 1 <= self.samples <= 1 << 16:
            raise ConfigError(f"{self.samples} samples", expected=f"1 to {1 << 16}")
        if not 90.0 <= self.percentile <= 100.0:
            raise ConfigError(f"percentile {self.percentile:g}", expected="90 to 100")


@dataclass(frozen=True)
class LayerException:
    """Layers that stay in fp32. nodes: of the ONNX graph, a name or a pattern with * and ?. half:
    encoder or decoder.
    """

    nodes: str
    half: str = "encoder"
    precision: str = "fp32"

    def __post_init__(self) -> None:
        if self.half not in ("encoder", "decoder"):
            raise ConfigError(f"half {self.half!r}", expected="'encoder' or 'decoder'")
        if self.precision != "fp32":
            raise ConfigError(f"precision {self.precision!r} of an exception", expected="'fp32'")
        if not self.nodes.strip():
            raise ConfigError("nodes is empty", expected="a node's name, or a pattern with *")


@dataclass(frozen=True)
class Quality:
    """What a lower precision may cost. max_extra_bytes: more bytes than with fp32 graphs at equal
    distortion on held-out data, as a share. min_int8_macs: share of the encoder's multiply-adds
    that must be int8 where its precision is.
    """

    max_extra_bytes: float = 0.03
    min_int8_macs: float = 0.9

    def __post_init__(self) -> None:
        if self.max_extra_bytes < 0:
            raise ConfigError(f"max_extra_bytes is {self.max_extra_bytes:g}", expected="0 or more")
        if not 0 <= self.min_int8_macs <= 1:
            raise ConfigError(f"min_int8_macs is {self.min_int8_macs:g}", expected="0 to 1")


@dataclass(frozen=True)
class Reference:
    """samples: how many reference vectors travel in the bundle."""

    samples: int

    def __post_init__(self) -> None:
        if not 1 <= self.samples <= 1024:
            raise ConfigError(f"{self.samples} reference samples", expected="1 to 1024")


@dataclass(frozen=True)
class Parity:
    """Limits between two backends: latents in quantiser steps, share of symbols that differ, and
    reconstructions in standard deviations of the training data.
    """

    max_latent_difference: float
    max_symbol_share: float
    max_output_difference: float

    def __post_init__(self) -> None:
        for name, limit in vars(self).items():
            if limit < 0:
                raise ConfigError(f"{name} is {limit}", expected="0 or more")


@dataclass(frozen=True)
class Gate:
    """Whether a device measures what it sends, and what it may do to keep the bound. mode: what an
    encoder does that is not told; levels: quantiser steps in the bundle, octaves: from the finest
    to the coarsest of them; fallbacks: codecs by name, None for those that suit the samples.
    """

    mode: str = "never"
    levels: int = 32
    octaves: float = 2.5
    fallbacks: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if self.mode not in GATES:
            raise ConfigError(f"gate {self.mode!r}", expected=", ".join(GATES))
        if not 1 <= self.levels <= 64:
            raise ConfigError(f"{self.levels} levels", expected="1 to 64")
        if not 0.1 <= self.octaves <= 16.0:
            raise ConfigError(f"{self.octaves:g} octaves", expected="0.1 to 16")
        for name in self.fallbacks or ():
            if name not in CODECS:
                raise ConfigError(f"fallback {name!r}", expected=", ".join(CODECS))
        if len(set(self.fallbacks or ())) != len(self.fallbacks or ()):
            raise ConfigError("a fallback is named twice", expected="each once")


@dataclass(frozen=True)
class Recipe:
    """How a run becomes a bundle."""

    graph: Graph
    reference: Reference
    parity: Parity
    shapes: Shapes = Shapes()
    calibration: Calibration = Calibration()
    exceptions: tuple[LayerException, ...] = ()
    quality: Quality = Quality()
    gate: Gate = Gate()

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = without_unknown(asdict(self))
        return {key: table for key, table in value.items() if table != {}}


def _path(kind: Literal["export", "devices"], name: str, what: str) -> Path:
    """A file by its path, or one that ships, by its name."""
    if name.endswith(".toml"):
        return Path(name)
    folder = resources.find(kind)
    known = sorted(path.stem for path in folder.glob("*.toml"))
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise ConfigError(
            f"no {what} is called {name!r}",
            expected=f"{', '.join(known)}, or a file NAME.toml",
            do=f"perhaps {near[0]!r} is meant" if near else "",
        )
    return folder / f"{name}.toml"


def load_recipe(name: str) -> Recipe:
    """A recipe that ships, by its name, or one of the user's, by the path of its .toml."""
    return config.load(_path("export", name, "recipe"), Recipe)


def load_profile(name: str) -> Profile:
    """A profile that ships, by its name, or one of the user's, by the path of its .toml."""
    return config.load(_path("devices", name, "profile"), Profile)


def profile_names() -> list[str]:
    """The profiles that ship, in the order of their names."""
    return sorted(path.stem for path in resources.find("devices").glob("*.toml"))
