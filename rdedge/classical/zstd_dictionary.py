"""Zstandard with a dictionary made from training windows, which both ends hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rdedge.classical.base import SampleForm, Setting
from rdedge.classical.zstd import Zstd
from rdedge.errors import ConfigError
from rdedge.types import Array


class ZstdDictionary(Zstd):
    """Small packets without loss. Until it was trained it has no dictionary and codes as zstd does.

    Two kinds of dictionary: "trained", as zstd's own trainer makes it (COVER, with tables of
    entropies), and "raw", the end of the training data itself.
    """

    name = "zstd-dictionary"
    takes: ClassVar[frozenset[SampleForm]] = frozenset({"series"})
    packets_only = True

    def __init__(self, dictionary: bytes = b"", kind: str = "raw") -> None:
        self._content = dictionary
        self._dictionary: Any = None
        if dictionary:
            lib = self._library()
            what = lib.DICT_TYPE_RAWCONTENT if kind == "raw" else lib.DICT_TYPE_FULLDICT
            self._dictionary = lib.ZstdCompressionDict(dictionary, dict_type=what)
            self._dictionary.precompute_compress(level=19)

    @property
    def side_bytes(self) -> int:
        return len(self._content)

    def lossless(self) -> tuple[Setting, ...]:
        return tuple(
            Setting(
                f"level 19, {kind} dictionary of {size} bytes",
                (("level", 19), ("bare", True), ("kind", kind), ("size", size)),
                lossless=True,
            )
            for size in (2048, 8192, 32768)
            for kind in ("trained", "raw")
        )

    def packets(self) -> tuple[Setting, ...]:
        return self.lossless()

    def trained(self, samples: Sequence[Array], setting: Setting) -> ZstdDictionary | None:
        lib = self._library()
        data = [s.tobytes() for s in samples]
        size, kind = setting.option("size"), setting.option("kind")
        if kind == "raw":
            # zstd finds what stands last in a dictionary at the shortest distance.
            return ZstdDictionary(b"".join(data)[-size:], kind)
        try:
            made = lib.train_dictionary(size, data, level=19).as_bytes()
        except lib.ZstdError:
            return None  # too few samples, or too much alike, for the trainer
        return ZstdDictionary(made, kind)

    def _frame(self, level: int, **options: Any) -> Any:
        if self._dictionary is None:
            return super()._frame(level, **options)
        if level != 19:
            raise ConfigError(f"level {level} with a dictionary", expected="level 19")
        return super()._frame(level, dict_data=self._dictionary, **options)

    def _frames(self) -> Any:
        return self._library().ZstdDecompressor(dict_data=self._dictionary)
