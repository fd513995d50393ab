"""Footage of bright spots on smooth ground, whose places are known to a hundredth of a pixel."""

from dataclasses import dataclass

import numpy as np

from stdet.changes.footage import Footage
from stdet.types import UNKNOWN_TRACK_ID, SequenceAnnotation

SIGMA_PX = 1.5


@dataclass(frozen=True, kw_only=True)
class Spots:
    """Up to two spots that cross the frame."""

    num_frames: int
    hw: tuple[int, int]
    num_targets: int = 2

    def centres(self, position: int) -> np.ndarray:
        """Return the centres (N, 2) in a frame."""
        height, width = self.hw
        share = position / max(self.num_frames, 2)
        both = [
            (width * (0.3 + 0.3 * share) + 0.3, height * (0.35 - 0.1 * share)),
            (width * (0.7 - 0.3 * share), height * (0.65 + 0.1 * share) + 0.2),
        ]
        return np.array(both[: self.num_targets]).reshape(-1, 2)

    def image(self, position: int) -> np.ndarray:
        """Return a frame, float32 (H, W) in [0, 1]."""
        y, x = np.mgrid[: self.hw[0], : self.hw[1]] + 0.5
        image = np.full(self.hw, 0.2)
        for centre in self.centres(position):
            squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
            image += 0.6 * np.exp(-squared / (2 * SIGMA_PX**2))
        return image.astype(np.float32)

    def truth(self, *, with_ids: bool) -> SequenceAnnotation:
        """Return boxes of 6x8 about the spots."""
        centres = np.concatenate([self.centres(index) for index in range(self.num_frames)])
        num = len(centres)
        numbers = np.tile(np.arange(self.num_targets), self.num_frames)
        half = np.array([3.0, 4.0])
        return SequenceAnnotation(
            name="spots",
            num_frames=self.num_frames,
            image_hw=self.hw,
            fps=25.0,
            frame_indices=np.repeat(np.arange(self.num_frames), self.num_targets),
            track_ids=numbers + 1 if with_ids else np.full(num, UNKNOWN_TRACK_ID),
            boxes_xyxy=np.concatenate([centres - half, centres + half], axis=1).astype(np.float32),
            class_ids=numbers,
            is_ignored=np.zeros(num, np.bool_),
        )


def footage_of(
    spots: Spots, *, with_ids: bool = True, bit_depth: int = 8, noise: float = 0.02
) -> Footage:
    """Return the frames, with noise, rounded to their levels."""
    largest = np.float32(255 if bit_depth == 8 else 65535)

    def read(position: int) -> np.ndarray:
        rng = np.random.default_rng(position)
        image = spots.image(position) + noise * rng.standard_normal(spots.hw)
        return np.rint(np.clip(image, 0, 1) * largest).astype(np.float32) / largest

    return Footage.of(spots.truth(with_ids=with_ids), read, bit_depth=bit_depth)


def brightest_near(image: np.ndarray, at_xy: np.ndarray, *, radius_px: float) -> np.ndarray:
    """Return the middle (x, y) of the light above the ground within a radius.

    The window follows the middle, so that its own place does not pull.
    """
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    light = np.clip(image - np.median(image), 0, None)
    middle = np.asarray(at_xy, np.float64)
    for _ in range(8):
        squared = (x - middle[0]) ** 2 + (y - middle[1]) ** 2
        weights = light * np.exp(-squared / (2 * (radius_px / 2) ** 2))
        middle = np.array([(weights * x).sum(), (weights * y).sum()]) / weights.sum()
    return middle
