"""Real frames without targets as backgrounds of generated sequences.

A path names an image (a still, over which a camera is moved), a folder of numbered images or a
video (a clip, which brings its own camera), or a pattern such as ``backgrounds/*.png`` (stills).
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from stdet.errors import DataError
from stdet.files.regular_file import file_mode
from stdet.io.frame_source import IMAGE_SUFFIXES, measure_intensity
from stdet.io.images.folder import read_image
from stdet.io.images.frame_numbers import natural_key
from stdet.io.open_source import open_source
from stdet.registration.camera_motion import CameraMotion
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.transform import Transform
from stdet.synthesis import RealBackground, SceneConfig, resolve_scene
from stdet.types import FloatArray


def find_backgrounds(paths: Sequence[Path]) -> list[Path]:
    """Expand patterns and check that everything exists.

    Args:
        paths: Images, folders of images, videos, or patterns of any of them.

    Returns:
        At least one path, patterns expanded in natural order.

    Raises:
        DataError: If a path does not exist or a pattern matches nothing.
    """
    found: list[Path] = []
    for path in paths:
        given = path.expanduser()
        matches = [given]
        if glob.has_magic(str(given)):
            names = sorted(glob.glob(str(given)), key=natural_key)
            matches = [Path(name) for name in names]
        if not matches or file_mode(matches[0]) is None:
            raise DataError(
                f"{path}: no background found; name images, folders of images or videos without "
                "targets in background.paths, or take 'real' out of background.kinds."
            )
        found += matches
    return found


def background_for(config: SceneConfig, *, seed: int) -> RealBackground | None:
    """Read the background that a seed chooses.

    Args:
        config: Ranges of the scene.
        seed: Of the sequence.

    Returns:
        Frames, or None where the seed draws another kind than `real`.

    Raises:
        DataError: If no background is found, or one cannot be read.
    """
    if resolve_scene(config, seed=seed).background.kinds[0] != "real":
        return None
    rng = np.random.default_rng([seed, 10])
    paths = find_backgrounds(config.background.paths)
    path = paths[int(rng.integers(len(paths)))]
    if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
        return RealBackground(
            name=str(path), images=_still(path)[None], shifts_xy=np.zeros((1, 2))
        )
    images = _clip(path, config.num_frames, rng)
    height, width = config.hw
    if images.shape[1] < height or images.shape[2] < width:
        raise DataError(
            f"{path}: is {images.shape[2]}x{images.shape[1]}, smaller than the frames "
            f"({width}x{height}); set scene.hw to at most its size."
        )
    motion = CameraMotion()
    first, *others = (motion.push(PreparedFrame(image)) for image in images)
    moved = [Transform.identity()]
    for pose in others:
        # Of a frame that is not registered with the first one nothing better is known.
        moved.append(first.to(pose) or moved[-1])
    # A camera path of a generated scene is that of its centre.
    centre_xy = np.array([images.shape[2] / 2, images.shape[1] / 2])
    shifts = np.stack([transform.displacements(centre_xy) for transform in moved])
    return RealBackground(name=str(path), images=images, shifts_xy=shifts)


def _still(path: Path) -> FloatArray:
    """Read one image, levels in [0, 1]."""
    raw = read_image(path)
    bits = raw.dtype.itemsize * 8
    return measure_intensity(lambda _: raw, 1, container_bits=bits).scale.apply(raw)


def _clip(path: Path, num_frames: int, rng: np.random.Generator) -> FloatArray:
    """Read up to so many frames of a clip from a random start, float32 (N, H, W)."""
    with open_source(path) as source:
        known = source.num_declared or num_frames
        start = int(rng.integers(max(known - num_frames, 0) + 1))
        frames = [
            source.scale.apply(frame.pixels) for frame in source.frames(start, start + num_frames)
        ]
    if not frames:
        raise DataError(f"{path}: gave no frame; choose another background.")
    return np.stack(frames)
