"""What the codecs that Pillow brings have in common."""

from __future__ import annotations

import io
import warnings
from typing import Any, ClassVar

import numpy as np

from rdedge.classical.base import ClassicalCodec, SampleForm, library
from rdedge.errors import FormatError, MissingError
from rdedge.types import Array


class PillowCodec(ClassicalCodec):
    """A codec of pictures inside Pillow.

    feature: Pillow's name for the library inside it, without which it cannot write the format.
    format: Pillow's name for the format.
    """

    takes: ClassVar[frozenset[SampleForm]] = frozenset({"grey8", "rgb8"})
    module: ClassVar[str] = "PIL.Image"
    package: ClassVar[str] = "Pillow"
    # Pillow takes anything larger for an attack.
    max_elements: ClassVar[int] = 1024 * 1024 * 1024 // 4 // 3
    feature: ClassVar[str]
    format: ClassVar[str]

    def _features(self) -> Any:
        return library("PIL.features", self.package, self.extra, self.name)

    def require(self, form: SampleForm | None = None) -> None:
        features = self._features()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an older Pillow does not know the newest names
            there = features.check(self.feature)
        if not there:
            raise MissingError(
                f"the Pillow that is installed was built without {self.name}",
                do="pip install --upgrade --force-reinstall Pillow",
            )

    def version(self) -> str:
        pillow = library("PIL", self.package, self.extra, self.name).__version__
        return f"{self.feature} {self._features().version(self.feature)} in Pillow {pillow}"

    def _save(self, image: Any, **options: Any) -> bytes:
        out = io.BytesIO()
        image.save(out, self.format, **options)
        return out.getvalue()

    def _image(self, x: Array) -> Any:
        return library(self.module, self.package, self.extra, self.name).fromarray(x)

    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        image = library(self.module, self.package, self.extra, self.name)
        with image.open(io.BytesIO(data), formats=[self.format]) as opened:
            # Before any pixel is made: a damaged header must not ask for a huge picture.
            if opened.size != shape[1::-1]:
                raise FormatError(f"a picture of {opened.size}", expected=f"{shape[1::-1]}")
            return self._pixels(opened, len(shape), dtype)

    def _pixels(self, opened: Any, axes: int, dtype: str) -> Array:
        """Grey (2 axes) or RGB (3). Libraries without a grey format show grey as RGB."""
        deep = opened.mode.startswith("I")
        if deep != (dtype == "uint16") or (opened.mode == "L" and axes == 3):
            raise FormatError(f"pixels of mode {opened.mode}", expected=f"{axes} axes, {dtype}")
        if deep:
            return np.asarray(opened).astype(np.uint16)
        return np.asarray(opened.convert("RGB" if axes == 3 else "L"))
