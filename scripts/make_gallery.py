"""Draw the pictures of docs/synthesis.md: one for each background, distractor and sensor effect.

Usage: python scripts/make_gallery.py [FOLDER]

FOLDER defaults to docs/gallery. Only generated backgrounds are used.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stdet.synthesis import SceneConfig, Synthesised, generate
from stdet.synthesis.settings import NO_DISTRACTORS

HW = (192, 256)
_NONE = NO_DISTRACTORS | {"cloud_speed_range": [0.3, 0.3]}
_CLEAN: dict[str, Any] = {
    "noise_range": [0.006, 0.006],
    "fixed_pattern_range": [0.0, 0.0],
    "stripe_range": [0.0, 0.0],
    "vignetting_range": [0.0, 0.0],
    "gain_steps_range": [0, 0],
    "h264_probability": 0.0,
}
_TARGETS: dict[str, Any] = {
    "num_range": [0, 0],
    "size_range": [2.0, 3.0],
    "scr_range": [6.0, 6.0],
    "dark_probability": 0.0,
    "visible_probability": 1.0,
}


def make(
    seed: int,
    *,
    kind: str = "clouds",
    camera: dict[str, Any] | None = None,
    targets: dict[str, Any] | None = None,
    distractors: dict[str, Any] | None = None,
    sensor: dict[str, Any] | None = None,
    contrast: float = 0.12,
    num_frames: int = 2,
) -> Synthesised:
    """Generate a short clean sequence with the changes that a picture is about."""
    config = SceneConfig(
        num_frames=num_frames,
        hw=HW,
        background={  # type: ignore[arg-type]
            "kinds": [kind],
            "contrast_range": [contrast, contrast],
            "mean_range": [0.42, 0.42],
        },
        camera={"motions": ["still"], **(camera or {})},  # type: ignore[arg-type]
        targets=_TARGETS | (targets or {}),  # type: ignore[arg-type]
        distractors=_NONE | (distractors or {}),  # type: ignore[arg-type]
        sensor=_CLEAN | (sensor or {}),  # type: ignore[arg-type]
    )
    return generate(config, seed=seed)


def first(made: Synthesised) -> NDArray[np.uint8]:
    """Return the first frame."""
    return made.frames[0].astype(np.uint8)


def pair(made: Synthesised, *, zoom_xy: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Return the first and the last frame side by side, of a part where ``zoom_xy`` says so."""
    images = [made.frames[0], made.frames[-1]]
    if zoom_xy is not None:
        x, y = zoom_xy
        images = [np.kron(image[y : y + 64, x : x + 64], np.ones((3, 3))) for image in images]
    return np.hstack([images[0], np.full((len(images[0]), 4), 255), images[1]]).astype(np.uint8)


def trail(made: Synthesised) -> NDArray[np.uint8]:
    """Return the brightest level of each pixel over all frames: paths become lines."""
    brightest: NDArray[np.uint8] = made.frames.max(axis=0).astype(np.uint8)
    return brightest


def close_up(made: Synthesised, track: int = 0) -> NDArray[np.uint8]:
    """Return the surroundings of a target in the first frame, enlarged."""
    x, y = made.plan.targets[track].centres_xy[0].astype(int).tolist()
    x, y = min(max(x, 24), HW[1] - 24), min(max(y, 24), HW[0] - 24)
    part = made.frames[0][y - 24 : y + 24, x - 24 : x + 24]
    return np.kron(part, np.ones((4, 4))).astype(np.uint8)


def backgrounds() -> dict[str, NDArray[np.uint8]]:
    """Return one picture for each kind of background."""
    seeds = {"clouds": 3, "sea": 12, "terrain": 5, "horizon": 3, "urban": 4}
    return {
        f"background_{kind}": first(make(seed, kind=kind, contrast=0.09))
        for kind, seed in seeds.items()
    }


def targets() -> dict[str, NDArray[np.uint8]]:
    """Return pictures of sizes, motions and brightness of targets."""
    many = {"num_range": [1, 1], "behind_probability": 0.0, "exposure_range": [0.1, 0.1]}
    sizes = [
        close_up(make(3, targets=many | {"size_range": [size, size], "scr_range": [8, 8]}))
        for size in (1.0, 3.0, 6.0, 15.0)
    ]
    fast = many | {"speed_range": [8, 8], "motions": ["straight"], "exposure_range": [0.8, 0.8]}
    moving = {"num_range": [5, 5], "behind_probability": 0.0, "speed_range": [1.0, 2.5]}
    tiers = [
        close_up(make(3, targets=many | {"scr_range": [scr, scr]})) for scr in (0.7, 2, 4.5, 9)
    ]
    return {
        "targets_sizes": np.hstack(sizes),
        "targets_scr": np.hstack(tiers),
        "targets_dark_and_blurred": np.hstack(
            [
                close_up(make(3, targets=many | {"dark_probability": 1.0})),
                close_up(make(3, targets=fast | {"scr_range": [9, 9]})),
            ]
        ),
        "targets_paths": trail(
            make(7, targets=moving | {"crossing_probability": 1.0}, contrast=0.05, num_frames=40)
        ),
    }


def distractors() -> dict[str, NDArray[np.uint8]]:
    """Return one picture for each kind of distractor."""
    strong = {"scr_range": [9.0, 9.0]}
    return {
        "distractor_hot_spots": first(
            make(5, kind="horizon", targets=strong, distractors={"hot_spots_range": [8, 8]})
        ),
        "distractor_bad_pixels": pair(
            make(
                6,
                distractors={"stuck_pixels_range": [40, 40], "blinking_pixels_range": [40, 40]},
                num_frames=8,
            )
        ),
        "distractor_birds": trail(
            make(
                4,
                targets=strong,
                distractors={"birds_range": [3, 3]},
                contrast=0.05,
                num_frames=40,
            )
        ),
        "distractor_cloud_edges": pair(
            make(11, distractors={"cloud_speed_range": [1.5, 1.5]}, num_frames=30)
        ),
        "distractor_tree_crowns": pair(
            make(3, kind="horizon", distractors={"crowns_range": [90, 90]}, num_frames=9),
            zoom_xy=(60, 56),
        ),
        "distractor_text": first(
            make(2, distractors={"text_probability": 1.0, "cross_hair_probability": 1.0})
        ),
    }


def sensors() -> dict[str, NDArray[np.uint8]]:
    """Return one picture for each effect of the sensor, stronger than the defaults."""
    return {
        "sensor_noise": first(make(3, sensor={"noise_range": [0.04, 0.04]})),
        "sensor_fixed_pattern": first(make(3, sensor={"fixed_pattern_range": [0.03, 0.03]})),
        "sensor_stripes": pair(
            make(
                3,
                sensor={"stripe_range": [0.025, 0.025], "drift_frames_range": [30, 30]},
                num_frames=30,
            )
        ),
        "sensor_vignetting": first(make(3, sensor={"vignetting_range": [0.6, 0.6]})),
        "sensor_gain_step": pair(
            make(
                3,
                sensor={"gain_steps_range": [1, 1], "gain_step_range": [0.5, 0.5]},
                num_frames=20,
            )
        ),
        "sensor_h264": first(make(3, sensor={"h264_probability": 1.0, "crf_range": [36, 36]})),
    }


def main(folder: Path) -> None:
    """Write all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in (backgrounds() | targets() | distractors() | sensors()).items():
        # 64 levels look the same and halve the files.
        levels = Image.fromarray(picture // 4 * 4)
        levels.save(folder / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/gallery"))
