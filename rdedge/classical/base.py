"""What every classical codec offers: encode at a setting, decode, and what there is to search over.

A codec is a thin wrapper of a library that others maintain. Its library is imported when the codec
is asked for, never before, so that this room stays light.
"""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from rdedge.errors import ConfigError, FormatError, MissingError, ShapeError
from rdedge.types import Array

# What a codec takes: pictures of four forms; "array", any shape and numeric dtype; "series", only
# windows of a series (time, channels), whole numbers or floats as the codec says.
SampleForm = Literal["grey8", "grey16", "rgb8", "rgb16", "array", "series"]
PICTURES: dict[SampleForm, str] = {
    "grey8": "a grey picture (H, W) uint8",
    "grey16": "a grey picture (H, W) uint16",
    "rgb8": "an RGB picture (H, W, 3) uint8",
    "rgb16": "an RGB picture (H, W, 3) uint16",
}


@dataclass(frozen=True)
class Setting:
    """One way of running a codec.

    text: what a person reads and what finds the setting again, such as "quality 40, speed 4".
    options: names and values for the library's call.
    lossless: whether every value comes back as it was.
    forms: the forms of picture that it is made for; none for all that the codec takes.
    slow: whether it takes many times longer than the others and gains little.
    """

    text: str
    options: tuple[tuple[str, Any], ...] = ()
    lossless: bool = False
    forms: frozenset[SampleForm] = frozenset()
    slow: bool = False

    def suits(self, form: SampleForm) -> bool:
        """Whether it is made for samples of this form."""
        return not self.forms or form in self.forms

    def option(self, name: str) -> Any:
        """The value of one option."""
        return dict(self.options)[name]


@dataclass(frozen=True)
class Ladder:
    """Lossy settings of one kind, from the fewest bytes to the most faithful.

    slow: True where the same rungs as in the ladder before it are tried with more effort; a search
        then looks only near what the ladder before it found.
    """

    name: str
    settings: tuple[Setting, ...]
    slow: bool = False


@dataclass(frozen=True)
class Encoded:
    """A whole file as the library made it, headers included, and the setting that made it."""

    data: bytes
    setting: Setting


class ClassicalCodec(ABC):
    """A codec that somebody else made.

    name: what it is called here and in tables.
    takes: the forms of sample that it takes.
    module: the module whose absence means that the codec cannot be used.
    package: what that module is installed from.
    extra: the extra of rdedge that brings it; None where Python itself does.
    max_side, max_elements: the largest side and the most elements, of a picture pixels, it takes.
    models: what it looks for patterns in, which says how a series can be laid out for it: "bytes";
        "numbers", in a row; or "channels", rows (C, T) that it takes differences along itself.
    packets_only: whether it only makes sense for many small packets.
    quick: whether it codes several megapixels a second, so that a search may look around.
    """

    name: ClassVar[str]
    takes: ClassVar[frozenset[SampleForm]]
    module: ClassVar[str]
    package: ClassVar[str]
    extra: ClassVar[str | None] = "classical"
    max_side: ClassVar[int] = 2**31 - 1
    max_elements: ClassVar[int] = 2**31 - 1
    models: ClassVar[Literal["bytes", "numbers", "channels"]] = "bytes"
    packets_only: ClassVar[bool] = False
    quick: ClassVar[bool] = False

    @property
    def pictures_only(self) -> bool:
        """Whether it takes pictures and nothing else."""
        return self.takes <= PICTURES.keys()

    @property
    def side_bytes(self) -> int:
        """Bytes that both ends must hold before the first packet, such as a dictionary."""
        return 0

    @abstractmethod
    def version(self) -> str:
        """Name and version of the library that does the work."""

    @abstractmethod
    def ladders(self) -> tuple[Ladder, ...]:
        """Lossy settings to search over; empty for a codec without loss."""

    @abstractmethod
    def lossless(self) -> tuple[Setting, ...]:
        """Settings without loss, the usual one first; empty for a codec that has none."""

    def packets(self) -> tuple[Setting, ...]:
        """Settings without loss that leave out what the receiver of a packet knows.

        It knows the codec, the shape and the dtype, and sees where the packet ends.
        """
        return self.lossless()

    def trained(self, samples: Sequence[Array], setting: Setting) -> ClassicalCodec | None:
        """The codec fitted to arrays like those to come; None where they do not suffice."""
        return self

    def check(self, x: Array) -> None:
        """Raise ShapeError or ValueRangeError where x cannot be coded; sizes are checked apart."""
        if self.pictures_only and picture_form(x) not in self.takes:
            raise ShapeError(
                f"{self.name} cannot code an array of shape {x.shape} and dtype {x.dtype}",
                expected=" or ".join(PICTURES[form] for form in PICTURES if form in self.takes),
            )

    @abstractmethod
    def _encode(self, x: Array, setting: Setting) -> bytes:
        """x: of a form in takes, C-contiguous; returns a whole file."""

    @abstractmethod
    def _decode(self, data: bytes, shape: tuple[int, ...], dtype: str) -> Array:
        """Undo _encode; may raise whatever the library raises."""

    def ladders_for(self, form: SampleForm) -> tuple[Ladder, ...]:
        """The ladders for samples of one form."""
        return tuple(one for one in self.ladders() if one.settings[0].suits(form))

    def lossless_for(self, form: SampleForm) -> tuple[Setting, ...]:
        """The settings without loss for samples of one form."""
        return tuple(setting for setting in self.lossless() if setting.suits(form))

    def require(self, form: SampleForm | None = None) -> None:
        """Raise MissingError where the codec's library is not installed.

        form: what is to be coded, since some forms need another library; None for the usual.
        """
        library(self.module, self.package, self.extra, self.name)

    def settings(self) -> tuple[Setting, ...]:
        """All settings: those of the ladders in their order, then without loss, then bare."""
        lossy = tuple(s for ladder in self.ladders() for s in ladder.settings)
        return tuple(dict.fromkeys(lossy + self.lossless() + self.packets()))

    def setting(self, text: str) -> Setting:
        """The setting whose text this is."""
        for setting in self.settings():
            if setting.text == text:
                return setting
        raise ConfigError(
            f"{self.name} has no setting {text!r}",
            expected="one of " + "; ".join(s.text for s in self.settings()[:4]) + "; ...",
        )

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape is small enough for the codec."""
        counted = shape[:2] if self.pictures_only else shape
        return max(shape, default=0) <= self.max_side and math.prod(counted) <= self.max_elements

    def encode(self, x: Array, setting: Setting) -> Encoded:
        """Code x at a setting.

        x: a picture of a form that the codec takes, any shape and numeric dtype for "array",
        (time, channels) for "series". Raises ShapeError where x has another form, ConfigError where
        the setting is not for this form, ValueRangeError where a codec with loss meets a value that
        is not finite, MissingError without the library.
        """
        self.check(x)
        if setting.forms and picture_form(x) not in setting.forms:
            raise ConfigError(
                f"{self.name} at {setting.text!r} cannot code shape {x.shape}, dtype {x.dtype}",
                expected=" or ".join(PICTURES[form] for form in PICTURES if setting.suits(form)),
            )
        if not self.fits(x.shape):
            raise ShapeError(
                f"{self.name} cannot code an array of shape {x.shape}",
                expected=f"sides up to {self.max_side}, {self.max_elements} elements in all",
            )
        return Encoded(self._encode(np.ascontiguousarray(x), setting), setting)

    def decode(self, data: bytes, shape: tuple[int, ...], dtype: str = "uint8") -> Array:
        """Undo encode: an array of the shape and dtype that were coded.

        Raises FormatError where data is not a whole file of this codec and that shape.
        """
        try:
            x = self._decode(data, shape, dtype)
        except MissingError:
            raise
        except Exception as e:  # each library has errors of its own
            raise FormatError(
                f"{self.name} cannot read these {len(data)} bytes: {e}",
                expected=f"a whole {self.name} file",
            ) from e
        if x.shape != shape or x.dtype != np.dtype(dtype):
            raise FormatError(
                f"a {self.name} file holds shape {x.shape}, dtype {x.dtype}",
                expected=f"shape {shape}, dtype {dtype}",
            )
        return x


def picture_form(x: Array) -> SampleForm | None:
    """The form of a picture; None where x is none."""
    if x.size == 0 or x.dtype not in (np.uint8, np.uint16):
        return None
    if x.ndim == 2:
        return "grey8" if x.dtype == np.uint8 else "grey16"
    if x.ndim == 3 and x.shape[2] == 3:
        return "rgb8" if x.dtype == np.uint8 else "rgb16"
    return None


def library(module: str, package: str, extra: str | None, codec: str) -> Any:
    """Import a library when it is needed, or say what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as e:
        raise MissingError(
            f"{codec} needs {package}, which is not installed",
            do=f"pip install 'rdedge[{extra}]'" if extra else "use a Python built with it",
        ) from e


def ladder(
    name: str,
    key: str,
    values: tuple[Any, ...],
    slow: bool = False,
    forms: frozenset[SampleForm] = frozenset(),
    **options: Any,
) -> Ladder:
    """A ladder over the values of one option, the others being the same on every rung."""
    suffix = "".join(f", {n} {_short(v)}" for n, v in options.items())
    return Ladder(
        name,
        tuple(
            Setting(f"{key} {_short(v)}{suffix}", ((key, v), *options.items()), forms=forms)
            for v in values
        ),
        slow,
    )


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
