"""One half of a codec as the backends see it: a graph, and the shapes that it will be given."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from rdedge import config
from rdedge.bundle.bundle import Bundle
from rdedge.bundle.manifest import sha256
from rdedge.bundle.recipe import Shapes as RecipeShapes
from rdedge.errors import BundleError, ConfigError

Half = Literal["encoder", "decoder"]
HALVES: tuple[Half, ...] = ("encoder", "decoder")
_MOST = 1 << 20
# Samples and pixels of a side that engines are built for, unless asked.
_BATCH, _IMAGES, _SIDE = 64, 8, 512


@dataclass(frozen=True)
class Range:
    """What one axis may be: from min to max, fastest at opt."""

    min: int
    opt: int
    max: int

    def __post_init__(self) -> None:
        if not 1 <= self.min <= self.opt <= self.max <= _MOST:
            raise ConfigError(
                f"a range of {self.min}, {self.opt}, {self.max}",
                expected=f"1 <= minimum <= usual <= maximum <= {_MOST}",
            )

    @staticmethod
    def parse(text: str, what: str) -> Range:
        """MIN,OPT,MAX, or one number for all three. Raises ConfigError."""
        if re.fullmatch(r"\s*\d{1,7}(\s*,\s*\d{1,7}\s*,\s*\d{1,7})?\s*", text) is None:
            raise ConfigError(
                f"{what} {text!r}", expected="MIN,OPT,MAX as in 1,8,64, or one number"
            )
        numbers = [int(part) for part in text.split(",")]
        return Range(*(numbers if len(numbers) == 3 else numbers * 3))


@dataclass(frozen=True)
class Shapes:
    """What samples may be. batch: how many at a time; height, width: of images, in pixels."""

    batch: Range
    height: Range | None = None
    width: Range | None = None

    @staticmethod
    def parse(bundle: Bundle, batch: str | None, size: str | None) -> Shapes:
        """What a user writes: batch as Range.parse takes it, size as that or HEIGHTxWIDTH, each as
        that; None for what default_shapes says. Raises ConfigError.
        """
        shapes = default_shapes(bundle)
        if batch is not None:
            shapes = replace(shapes, batch=Range.parse(batch, "a batch of"))
        if size is None:
            return shapes
        if bundle.manifest.sample.kind != "image":
            raise ConfigError(
                f"a size for samples of kind {bundle.manifest.sample.kind}",
                do="leave it away: only images have one",
            )
        height, cross, width = size.partition("x")
        both = (height, width if cross else height)
        sides = [Range.parse(side, "a size of") for side in both]
        return replace(shapes, height=sides[0], width=sides[1])


def default_shapes(bundle: Bundle) -> Shapes:
    """What the bundle's recipe says. Where it is silent: batches of 1 to 64; images of any size up
    to the manifest's or 512 x 512, 1 to 8 of them.
    """
    try:
        found = bundle.recipe.get("shapes", {})
        if not isinstance(found, dict):
            raise ConfigError(f"shapes is {found!r:.40}", expected="a table")
        said = config.build(found, RecipeShapes, "shapes")
    except ConfigError as error:
        raise BundleError(f"recipe.json is damaged: {error}", do="export it again") from error
    spec = bundle.manifest.sample
    if spec.kind != "image":
        return Shapes(Range(*(said.batch or (1, 1, _BATCH))))
    height, width = (
        Range(*(sides or (1, side, max(side, _SIDE))))
        for sides, side in zip((said.height, said.width), spec.shape[:2], strict=True)
    )
    return Shapes(Range(*(said.batch or (1, 1, _IMAGES))), height, width)


@dataclass(frozen=True)
class Part:
    """half of the codec `identity` (hex): the bytes of its ONNX graph.

    axes: ranges of the free axes of the graph's input, in their order. workspace_mib: what a
    builder may use, by the device profile of the bundle; None: unknown.
    """

    half: Half
    identity: str
    graph: bytes
    axes: tuple[Range, ...]
    workspace_mib: int | None = None

    @property
    def what(self) -> str:
        return f"{self.half}.onnx"

    @cached_property
    def graph_sha256(self) -> str:
        return sha256(self.graph)

    @staticmethod
    def of(
        bundle: Bundle,
        half: Half,
        shapes: Shapes | None = None,
        profile: dict[str, Any] | None = None,
    ) -> Part:
        """One half of a bundle; shapes: None for default_shapes; profile: None for the bundle's.
        Raises BundleError.

        An image's encoder takes pixels, in whole patches; its decoder takes one row a patch.
        """
        graph = bundle.members.get(f"{half}.onnx")
        if graph is None:
            raise BundleError(
                f"the bundle holds no {half}.onnx: it is a device's part",
                do=f"take the whole bundle where a {half} is needed",
            )
        manifest = bundle.manifest
        shapes = shapes or default_shapes(bundle)
        axes = [shapes.batch]
        patch = manifest.patch
        unit = patch if half == "encoder" else 1
        for side in (shapes.height, shapes.width):
            if side is not None:
                cells = (math.ceil(pixels / patch) for pixels in (side.min, side.opt, side.max))
                axes.append(Range(*(unit * cell for cell in cells)))
        return Part(
            half,
            manifest.identity,
            graph,
            tuple(axes),
            _workspace(bundle.profile if profile is None else profile),
        )


def _workspace(profile: dict[str, Any]) -> int | None:
    """[builder] workspace_mib of the profile in a bundle, which nobody has checked yet."""
    builder = profile.get("builder")
    found = builder.get("workspace_mib") if isinstance(builder, dict) else None
    if found is None:
        return None
    if type(found) is not int or not 1 <= found <= 1 << 20:
        raise BundleError(
            f"profile.json: workspace_mib is {found!r:.40}",
            expected=f"1 to {1 << 20}",
            do="export it again",
        )
    return found
