"""The pixels of a frame that are compared when another frame is aligned with it.

Of every tile those with the largest gradients; others tell nothing. What depends on them alone,
the Jacobian, is computed once for all frames that are aligned with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from stdet.types import BoolArray, FloatArray

_PARTS = np.float32(32)


@dataclass(frozen=True, kw_only=True, eq=False)
class ComparedPixels:
    """Pixels of an image, tile after tile.

    Attributes:
        points: Where they are, float32 (3, P): indices of the reduced image, and 1.
        values: Their grey levels, float32 (P,).
        jacobian: J, transposed, float32 (15, P).
        similarity: Of it the rows of a similarity and of light, float32 (11, P).
        slopes: Squared gradients, float32 (P,).
        is_usable: Which of them may be compared, bool (P,).
        num_tiles: Tiles; each has the same number of pixels.
        to_unit: From indices to coordinates of -1 to 1 about the centre, float64 (3, 3).
        from_unit: Its inverse.
        grid: Points of a grid over the frame, float64 (G, 3): indices, and 1.
        spread: How far each of the eight numbers moves them, float64 (G, 2, 8).
    """

    points: FloatArray
    values: FloatArray
    jacobian: FloatArray
    similarity: FloatArray
    slopes: FloatArray
    is_usable: BoolArray
    num_tiles: int
    to_unit: NDArray[np.float64]
    from_unit: NDArray[np.float64]
    grid: NDArray[np.float64]
    spread: NDArray[np.float64]

    @classmethod
    def of(
        cls, image: FloatArray, *, tile_px: int, share: float, is_ignored: BoolArray | None = None
    ) -> ComparedPixels:
        """Choose a share of the pixels of each tile.

        Args:
            image: float32 (H, W).
            tile_px: Side of a tile.
            share: Of its pixels.
            is_ignored: bool (H, W), pixels that are not compared.
        """
        slope_x, slope_y = np.zeros_like(image), np.zeros_like(image)
        slope_x[:, 1:-1] = (image[:, 2:] - image[:, :-2]) / 2
        slope_y[1:-1] = (image[2:] - image[:-2]) / 2
        slopes = slope_x * slope_x + slope_y * slope_y
        slopes[:2] = slopes[-2:] = 0
        slopes[:, :2] = slopes[:, -2:] = 0
        if is_ignored is not None:
            slopes[is_ignored] = -1
        rows, columns = _steepest(slopes, side=tile_px, share=share)
        height, width = image.shape
        radius = max(height, width) / 2
        centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
        u = ((columns - centre_x) / radius).astype(np.float32)
        v = ((rows - centre_y) / radius).astype(np.float32)
        values, gx, gy = (each[rows, columns] for each in (image, slope_x, slope_y))
        jacobian = np.empty((15, len(u)), np.float32)
        along_x, along_y = _moves(u, v)
        jacobian[:8] = gx * along_x + gy * along_y
        jacobian[8:] = [values - image.mean(), np.ones_like(u), u, v, u * u, u * v, v * v]
        grid = np.linspace(-1, 1, 9)
        across, down = np.meshgrid(grid * width / 2, grid * height / 2)
        across, down = across.ravel(), down.ravel()
        return cls(
            points=np.stack([columns, rows, np.ones_like(rows)]).astype(np.float32),
            values=values,
            jacobian=jacobian,
            similarity=jacobian[[0, 1, 2, 3, *range(8, 15)]],
            slopes=slopes[rows, columns],
            is_usable=slopes[rows, columns] >= 0,
            num_tiles=(height // tile_px) * (width // tile_px),
            to_unit=np.array(
                [
                    [1 / radius, 0, -centre_x / radius],
                    [0, 1 / radius, -centre_y / radius],
                    [0, 0, 1],
                ]
            ),
            from_unit=np.array([[radius, 0, centre_x], [0, radius, centre_y], [0, 0, 1]]),
            grid=np.stack([across + centre_x, down + centre_y, np.ones_like(across)], -1),
            spread=_moves(across / radius, down / radius).transpose(2, 0, 1),
        )

    def differences(
        self, image: FloatArray, matrix: NDArray[np.float64], *, interpolation: int
    ) -> tuple[FloatArray, BoolArray]:
        """Return what a moved image has more than this one (P,), and which pixels count."""
        to = matrix.astype(np.float32)
        x, y = to[:2] @ self.points
        if matrix[2, :2].any():
            weight = to[2] @ self.points
            x, y = x / weight, y / weight
        height, width = image.shape
        is_inside: BoolArray = (x >= 2) & (y >= 2) & (x <= width - 3) & (y <= height - 3)
        # remap rounds positions to 1/32 pixel, which of a translation is an error of all pixels
        # alike; the slope makes up for it.
        known_x, known_y = (np.rint(axis * _PARTS) / _PARTS for axis in (x, y))
        columns, rows = (axis.reshape(self.num_tiles, -1) for axis in (known_x, known_y))
        moved = np.asarray(cv2.remap(image, columns, rows, interpolation), np.float32).ravel()
        moved += (x - known_x) * self.jacobian[0] + (y - known_y) * self.jacobian[1]
        return moved - self.values, is_inside & self.is_usable

    def light(self, numbers: NDArray[np.float64]) -> FloatArray:
        """Return what gain and offsets (7,) add to the grey levels, float32 (P,)."""
        return numbers.astype(np.float32) @ self.jacobian[8:]

    def distances(
        self, one: NDArray[np.float64], other: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return how far two maps (3, 3) of indices take the points of the grid apart, (G,)."""
        at = [self.grid @ matrix.T for matrix in (one, other)]
        first, second = (points[:, :2] / points[:, 2:] for points in at)
        return np.asarray(np.linalg.norm(first - second, axis=1), np.float64)

    def step(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the small map (3, 3) of indices that the numbers (4 or 8) stand for."""
        given = np.concatenate([numbers, np.zeros(8 - len(numbers))])
        x, y, zoom, turn, stretch, shear, p, q = given
        radius = 1 / self.to_unit[0, 0]
        unit = np.array(
            [
                [1 + (zoom + stretch) / radius, (shear - turn) / radius, x / radius],
                [(shear + turn) / radius, 1 + (zoom - stretch) / radius, y / radius],
                [p / radius, q / radius, 1],
            ]
        )
        found: NDArray[np.float64] = self.from_unit @ unit @ self.to_unit
        return found


def _moves(u: NDArray[np.floating[Any]], v: NDArray[np.floating[Any]]) -> NDArray[Any]:
    """Return how x, y, zoom, rotation, stretch, shear and perspective move points, (2, 8, P).

    Args:
        u: Abscissae (P,) in units of the radius.
        v: Ordinates (P,).
    """
    one, none = np.ones_like(u), np.zeros_like(u)
    along_x = [one, none, u, -v, u, v, -u * u, -u * v]
    along_y = [none, one, v, u, -v, u, -u * v, -v * v]
    return np.array([along_x, along_y])


def _steepest(
    slopes: FloatArray, *, side: int, share: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the pixels of each tile with the largest values, tile by tile."""
    rows, columns = slopes.shape[0] // side, slopes.shape[1] // side
    whole = slopes[: rows * side, : columns * side].reshape(rows, side, columns, side)
    tiles = whole.transpose(0, 2, 1, 3).reshape(rows * columns, side * side)
    num = max(int(share * side * side), 1)
    chosen = np.argpartition(tiles, side * side - num, axis=1)[:, side * side - num :]
    tile_row, tile_column = np.divmod(np.arange(rows * columns)[:, None], columns)
    row, column = np.divmod(chosen, side)
    return (tile_row * side + row).ravel(), (tile_column * side + column).ravel()
