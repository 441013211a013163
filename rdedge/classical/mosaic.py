"""Many small pictures as one: laid out in rows, and cut again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rdedge.types import Array


@dataclass(frozen=True)
class Mosaic:
    """A layout of `count` tiles of height x width pixels in rows of `columns`."""

    count: int
    height: int
    width: int
    columns: int

    @staticmethod
    def square(count: int, height: int, width: int) -> Mosaic:
        """The layout whose longer side is shortest; among those, the one with the least padding."""

        def badness(columns: int) -> tuple[int, int]:
            rows = -(-count // columns)
            return max(rows * height, columns * width), rows * columns

        return Mosaic(count, height, width, min(range(1, count + 1), key=badness))

    @property
    def rows(self) -> int:
        """Rows of tiles, the last padded."""
        return -(-self.count // self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture, in pixels."""
        return self.rows * self.height, self.columns * self.width

    def lay(self, tiles: Array) -> Array:
        """(count, height, width, *rest) -> (H, W, *rest), padded by zero, same dtype."""
        rest = tiles.shape[3:]
        room = np.zeros((self.rows * self.columns, self.height, self.width, *rest), tiles.dtype)
        room[: self.count] = tiles
        grid = room.reshape(self.rows, self.columns, self.height, self.width, *rest)
        return np.ascontiguousarray(grid.swapaxes(1, 2).reshape(*self.shape, *rest))

    def cut(self, picture: Array) -> Array:
        """Undo lay: the picture -> (count, height, width, *rest), same dtype."""
        rest = picture.shape[2:]
        grid = picture.reshape(self.rows, self.height, self.columns, self.width, *rest)
        tiles = grid.swapaxes(1, 2).reshape(-1, self.height, self.width, *rest)
        return np.ascontiguousarray(tiles[: self.count])
