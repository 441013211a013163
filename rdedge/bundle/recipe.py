"""Recipes (export/*.toml), how a run becomes a bundle; and how both they and profiles
(devices/*.toml, profile.py), for what, are found by name.
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rdedge import config, resources
from rdedge.bundle.profile import Profile
from rdedge.errors import ConfigError


@dataclass(frozen=True)
class Graph:
    """opset: of ONNX. precision: of weights and activations."""

    opset: int
    precision: str

    def __post_init__(self) -> None:
        if not 18 <= self.opset <= 23:
            raise ConfigError(f"opset {self.opset}", expected="18 to 23")
        if self.precision != "fp32":
            raise ConfigError(f"precision {self.precision!r}", expected="'fp32'")


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
class Recipe:
    """How a run becomes a bundle."""

    graph: Graph
    reference: Reference
    parity: Parity

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


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
