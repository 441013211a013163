"""Pictures of any sizes as codecs are shown them: each a file of its own, or all in one stream."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rdedge import metrics
from rdedge.classical.base import PICTURES, ClassicalCodec, SampleForm, Setting, picture_form
from rdedge.classical.mosaic import Mosaic
from rdedge.classical.search import Found
from rdedge.errors import ParityError, ShapeError
from rdedge.metrics import Scale
from rdedge.types import Array, Measured

# Above this many values a search is first made on a part of the pictures, of at most as many.
SCOUT_VALUES = 1 << 18
# Pictures that this part is taken from.
_SCOUTS = 3


@dataclass(frozen=True)
class View:
    """What a codec without loss is shown in place of the pictures.

    shown: pictures (H_i, W_i, C), of the dtype of the originals.
    distortion: of what the decoder makes of them.
    table: the value of each level, which the decoder needs; None where shown are no levels.
    exact: the pictures that come back where there is no table.
    """

    text: str
    shown: tuple[Array, ...]
    distortion: float
    exact: tuple[Array, ...]
    table: Array | None = None

    @property
    def table_bytes(self) -> int:
        return 0 if self.table is None else len(self.table)

    def back(self) -> list[Array]:
        """What the decoder makes of what is shown."""
        return list(self.exact) if self.table is None else [self.table[s] for s in self.shown]


@dataclass(frozen=True)
class PictureSet:
    """pictures: (H_i, W_i, C) uint8 or uint16, C 1 or 3; one dtype and C for all.

    metric: a distortion is metrics.mean over the pictures: of pictures that differ in size, each
        counts by its pixels, so squared errors are pooled over all pixels of all pictures.
    packetised: whether every picture is a file of its own.
    """

    pictures: tuple[Array, ...]
    metric: str
    scale: Scale
    packetised: bool

    @staticmethod
    def of(pictures: Sequence[Array], metric: str, scale: Scale, packetised: bool) -> PictureSet:
        """Raises ShapeError where pictures are none, or not of one kind."""
        wrong = next((p for p in pictures if p.ndim != 3 or _form(p) is None), None)
        if not len(pictures) or wrong is not None:
            found = "none" if wrong is None else f"one of shape {wrong.shape}, dtype {wrong.dtype}"
            raise ShapeError(
                f"pictures to code: {found}",
                expected="at least one, (H, W, 1 or 3) uint8 or uint16",
            )
        kinds = {_form(p): p for p in pictures}
        if len(kinds) > 1:
            listed = " and ".join(f"{p.shape} {p.dtype}" for p in kinds.values())
            raise ShapeError(
                f"pictures of several kinds: {listed}",
                expected="one dtype and one number of channels",
                do="search for each kind apart",
            )
        return PictureSet(tuple(pictures), metric, scale, packetised)

    @property
    def form(self) -> SampleForm:
        """What kind of picture all are."""
        form = _form(self.pictures[0])
        assert form is not None  # checked by of()
        return form

    @property
    def values(self) -> int:
        """Values in all pictures together."""
        return sum(p.size for p in self.pictures)

    @property
    def gains(self) -> tuple[float, ...]:
        """Factors on the values before a lossy codec made for the whole range of the dtype.

        Values that use less than half of it are spread over it. Others are also shown at half
        their size, for a codec whose coarsest setting is finer than a bound asks.
        """
        limit = int(np.iinfo(self.pictures[0].dtype).max)
        most = limit // max(1, *(int(p.max()) for p in self.pictures))
        return (float(most),) if most > 1 else (1.0, 0.5)

    def scout(self) -> PictureSet:
        """The same where it is small; otherwise the middles of some pictures, to search on."""
        if self.values <= SCOUT_VALUES:
            return self
        places = np.linspace(0, len(self.pictures) - 1, min(_SCOUTS, len(self.pictures)))
        chosen = [self.pictures[int(place)] for place in places]
        share = min(1.0, SCOUT_VALUES / sum(p.size for p in chosen))
        return replace(self, pictures=tuple(_middle(p, share) for p in chosen))

    def distortion(self, decoded: Sequence[Array]) -> float:
        """Of what came back in place of the pictures, in their order."""
        originals = [p[None] for p in self.pictures]
        return metrics.mean(self.metric, originals, [d[None] for d in decoded], self.scale)

    def fits(self, codec: ClassicalCodec) -> bool:
        """Whether the codec can hold every piece."""
        if self.packetised:
            return all(codec.fits(p.shape) for p in self.pictures)
        if codec.pictures_only:
            return codec.fits(_mosaic(self.pictures).shape)
        return codec.fits((self.values,))

    def lossy(self, codec: ClassicalCodec, setting: Setting, gain: float) -> Found:
        """Code the pictures, their values times gain, with a lossy setting."""
        decoded, size, seconds = self._lossy(codec, setting, gain)
        text = setting.text + (f", values x {gain:g}" if gain != 1 else "")
        found = _found(codec, text, size, self.distortion(decoded), seconds)
        return replace(found, decoded=lambda: self._lossy(codec, setting, gain)[0])

    def _lossy(
        self, codec: ClassicalCodec, setting: Setting, gain: float
    ) -> tuple[list[Array], int, float]:
        dtype = self.pictures[0].dtype
        shown = self.pictures
        if gain != 1:
            shown = tuple(np.rint(p * gain).astype(dtype) for p in shown)
        decoded, size, seconds = self._code(codec, setting, shown)
        if gain != 1:
            top = int(np.iinfo(dtype).max)
            decoded = [np.rint(d / gain).clip(0, top).astype(dtype) for d in decoded]
        return decoded, size, seconds

    def lossless(self, codec: ClassicalCodec, setting: Setting, view: View) -> Found:
        """Code a view of the pictures without loss.

        Of packets, both ends hold the view's table beforehand; a stream carries it.
        """
        decoded, size, seconds = self._code(codec, setting, view.shown)
        if not all(map(np.array_equal, decoded, view.shown)):
            raise ParityError(
                f"{codec.name} does not give back what it coded at {setting.text!r}",
                expected="the same values, since the setting is without loss",
                do=f"use another version than {codec.version()}",
            )
        text = f"{setting.text}, {view.text}"
        size += 0 if self.packetised else view.table_bytes
        before = view.table_bytes if self.packetised else 0
        return replace(
            _found(codec, text, size, view.distortion, seconds, before), decoded=view.back
        )

    def _code(
        self, codec: ClassicalCodec, setting: Setting, shown: Sequence[Array]
    ) -> tuple[list[Array], int, float]:
        """What comes back of pictures, the bytes, and the seconds that coding them took."""
        pieces, size, seconds, back = self._lay(codec, shown), 0, 0.0, []
        for piece in pieces:
            start = time.perf_counter()
            data = codec.encode(piece, setting).data
            seconds += time.perf_counter() - start
            size += len(data)
            back.append(codec.decode(data, piece.shape, piece.dtype.name))
        return self._cut(codec, back), size, seconds

    def _lay(self, codec: ClassicalCodec, shown: Sequence[Array]) -> list[Array]:
        if self.packetised:
            return [_plane(p) for p in shown]
        if not codec.pictures_only:
            return [np.concatenate([p.reshape(-1) for p in shown])]
        mosaic = _mosaic(shown)
        height, width = mosaic.height, mosaic.width
        # A padded edge goes on as it was: next to nothing to code.
        room = [
            np.pad(p, ((0, height - p.shape[0]), (0, width - p.shape[1]), (0, 0)), mode="edge")
            for p in shown
        ]
        return [_plane(mosaic.lay(np.stack(room)))]

    def _cut(self, codec: ClassicalCodec, pieces: list[Array]) -> list[Array]:
        shapes = [p.shape for p in self.pictures]
        if self.packetised:
            return [piece.reshape(s) for piece, s in zip(pieces, shapes, strict=True)]
        if not codec.pictures_only:
            ends = np.cumsum([p.size for p in self.pictures])[:-1]
            parts = np.split(pieces[0], ends)
            return [part.reshape(s) for part, s in zip(parts, shapes, strict=True)]
        whole = pieces[0].reshape(*pieces[0].shape[:2], -1)
        tiles = _mosaic(self.pictures).cut(whole)
        return [tile[: s[0], : s[1]] for tile, s in zip(tiles, shapes, strict=True)]


def _form(picture: Array) -> SampleForm | None:
    form = picture_form(_plane(picture))
    return form if form in PICTURES else None


def _plane(picture: Array) -> Array:
    """(H, W, 1) -> (H, W); RGB as it is."""
    return picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture


def _mosaic(pictures: Sequence[Array]) -> Mosaic:
    """The mosaic whose tiles hold the largest picture."""
    height, width = (max(p.shape[axis] for p in pictures) for axis in (0, 1))
    return Mosaic.square(len(pictures), height, width)


def _middle(picture: Array, share: float) -> Array:
    """The middle of a picture, this share of its pixels."""
    sides = [max(1, int(side * share**0.5)) for side in picture.shape[:2]]
    top, left = ((whole - side) // 2 for whole, side in zip(picture.shape, sides, strict=False))
    return picture[top : top + sides[0], left : left + sides[1]]


def _found(
    codec: ClassicalCodec,
    text: str,
    size: int,
    distortion: float,
    seconds: float,
    side_bytes: int = 0,
) -> Found:
    taken = Measured(seconds, "actual")
    return Found(codec.name, text, size, Measured(distortion, "actual"), taken, side_bytes)
