"""How well registration finds known warps of real images, and whether it knows when it does not.

    python benchmarks/registration.py IMAGE... --size 256x256 --warps 1000 --seed 0

Every image is warped by shifts of up to 40 px, rotations of up to 3 degrees and zooms of up to 4 %
(a shift alone, with one of the others, or with both), with noise of 0.5, 2 or 4 grey levels and
full or 0.3 of its contrast. The error of an estimate is its median distance from the truth over
the frame. A failure is silent where an estimate that is trusted is wrong by more than 0.5 px.
Those of the alignment are listed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter

from stdet.cli.arguments import size_hw
from stdet.io.images.folder import read_image
from stdet.registration.alignment import align
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.transform import Transform
from stdet.registration.translation import estimate_translation
from stdet.types import FloatArray

SILENT_PX = 0.5


def main() -> None:
    """Print a row per method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--size", type=size_hw, default=(256, 256))
    parser.add_argument("--warps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    scenes = [_spline(path) for path in args.images]
    rng = np.random.default_rng(args.seed)
    rows: dict[str, list[tuple[float, bool, float]]] = {"translation": [], "aligned": []}
    for number in range(args.warps):
        path, scene = args.images[number % len(scenes)], scenes[number % len(scenes)]
        motion = draw_motion(rng, args.size)
        noise, contrast = rng.choice([0.5, 2, 4]) / 255, rng.choice([1, 0.3])
        pair = [
            _degraded(view(scene, moved, args.size), rng, noise=noise, contrast=contrast)
            for moved in (Transform.identity(), motion)
        ]
        for name, estimate in (("translation", _translation), ("aligned", _aligned)):
            found, is_trusted, seconds = estimate(*pair)
            error = error_px(found, motion, args.size)
            rows[name].append((error, is_trusted, seconds))
            if name == "aligned" and is_trusted and error > SILENT_PX:
                print(f"silent: warp {number}, {path}, {error:.2f} px, found {found.matrix}")
    print(f"{'method':<12}{'trusted':>9}{'median px':>11}{'99 % px':>9}{'silent':>8}{'CPU ms':>8}")
    for name, row in rows.items():
        errors, trusted, seconds = (np.array(column) for column in zip(*row, strict=True))
        kept = errors[trusted.astype(bool)]
        print(
            f"{name:<12}{trusted.mean():>9.3f}{np.median(kept):>11.3f}"
            f"{np.quantile(kept, 0.99):>9.3f}{(kept > SILENT_PX).sum():>8}"
            f"{1e3 * np.median(seconds):>8.1f}"
        )


def draw_motion(rng: np.random.Generator, hw: tuple[int, int]) -> Transform:
    """Draw a similarity about the centre of a frame."""
    kind = rng.integers(4)
    turn = np.deg2rad(rng.uniform(-3, 3)) if kind in (1, 3) else 0.0
    zoom = np.exp(rng.uniform(-0.04, 0.04)) if kind in (2, 3) else 1.0
    way = rng.uniform(0, 2 * np.pi)
    shift_xy = rng.uniform(0, 40) * np.array([np.cos(way), np.sin(way)])
    linear = zoom * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.array(hw[::-1]) / 2
    return Transform.affine(linear, centre - linear @ centre + shift_xy)


def view(spline: NDArray[np.float64], motion: Transform, hw: tuple[int, int]) -> FloatArray:
    """Return the middle of a scene, float32 (H, W), after its background has moved."""
    rows, columns = np.mgrid[: hw[0], : hw[1]] + 0.5
    offset = (np.array(spline.shape[::-1]) - hw[::-1]) // 2
    at = motion.inverse().apply(np.stack([columns, rows], -1)) + offset - 0.5
    seen = map_coordinates(spline, [at[..., 1], at[..., 0]], prefilter=False, mode="mirror")
    return np.asarray(seen, np.float32)


def error_px(found: Transform, motion: Transform, hw: tuple[int, int]) -> float:
    """Return the median distance of two transforms over a frame, pixels."""
    rows, columns = np.mgrid[8 : hw[0] : 16, 8 : hw[1] : 16]
    points = np.stack([columns, rows], -1).reshape(-1, 2).astype(np.float64)
    return float(np.median(np.linalg.norm(found.apply(points) - motion.apply(points), axis=1)))


def _spline(path: Path) -> NDArray[np.float64]:
    image = read_image(path)
    coefficients: NDArray[np.float64] = spline_filter(image / np.iinfo(image.dtype).max)
    return coefficients


def _degraded(
    image: FloatArray, rng: np.random.Generator, *, noise: float, contrast: float
) -> FloatArray:
    """Lower the contrast, add noise and round to 8 bits."""
    noisy = (image - 0.4) * contrast + 0.4 + rng.normal(scale=noise, size=image.shape)
    return np.asarray(np.rint(np.clip(noisy, 0, 1) * 255) / 255, np.float32)


def _timed(estimate: Callable[[], tuple[Transform, bool]]) -> tuple[Transform, bool, float]:
    start = time.process_time()
    found, is_trusted = estimate()
    return found, is_trusted, time.process_time() - start


def _translation(before: FloatArray, after: FloatArray) -> tuple[Transform, bool, float]:
    """Estimate a translation; it is trusted where it is not the identity."""
    first = PreparedFrame(before)
    estimate_translation(first, first)

    def estimate() -> tuple[Transform, bool]:
        found = estimate_translation(first, PreparedFrame(after))
        return found, bool(found.offset_xy.any())

    return _timed(estimate)


def _aligned(before: FloatArray, after: FloatArray) -> tuple[Transform, bool, float]:
    """Align directly; the earlier frame is prepared beforehand, as in a stream."""
    first = PreparedFrame(before)
    align(first, first)

    def estimate() -> tuple[Transform, bool]:
        found = align(first, PreparedFrame(after))
        return found.transform, found.is_trusted

    return _timed(estimate)


if __name__ == "__main__":
    main()
