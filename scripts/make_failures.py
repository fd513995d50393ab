"""Draw the pictures of known failures in the model card of stdet_n, on generated footage.

Usage: python scripts/make_failures.py [FOLDER]

FOLDER defaults to docs/failures. Boxes with ids are tracks of the shipped weights at their stored
operating point, circles are the truth: a box without a circle is a false track, a circle without
a box a missed target.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from stdet.boxes import centres_xy
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.weights_files import DEFAULT_WEIGHTS
from stdet.io.drawing import draw_frame, render_scale
from stdet.io.memory_source import MemorySource
from stdet.synthesis import SceneConfig, Synthesised, generate
from stdet.synthesis.settings import NO_DISTRACTORS

NUM_FRAMES = 40
SHOWN = 33
RADIUS_PX = 7


def scene(
    seed: int,
    *,
    kind: str,
    motion: str,
    scr: float,
    distractors: dict[str, Any],
) -> Synthesised:
    """Generate two targets over a moving camera's background."""
    config = SceneConfig(
        num_frames=NUM_FRAMES,
        hw=(192, 256),
        background={"kinds": [kind], "mean_range": [0.4, 0.4], "contrast_range": [0.09, 0.09]},
        camera={"motions": [motion], "speed_range": [0.3, 0.3]},
        targets={
            "num_range": [2, 2],
            "size_range": [2.0, 3.0],
            "scr_range": [scr, scr],
            "speed_range": [1.0, 1.0],
            "motions": ["straight"],
            "dark_probability": 0.0,
            "behind_probability": 0.0,
            "visible_probability": 1.0,
        },
        distractors=NO_DISTRACTORS | distractors,
        sensor={"noise_range": [0.008, 0.008], "gain_steps_range": [0, 0]},
    )
    return generate(config, seed=seed)


def picture(made: Synthesised) -> Image.Image:
    """Track a scene and draw one frame of it."""
    tracker = StreamingTracker.from_weights(DEFAULT_WEIGHTS, confidence=None, device="cpu")
    source = MemorySource("scene", made.frames.astype(np.uint8), fps=None)
    shown = list(tracker.run(source))[SHOWN]
    image = Image.fromarray(draw_frame(shown.image.astype(np.uint8), None, shown.tracks, {}))
    scale = render_scale(made.truth.image_hw)
    draw = ImageDraw.Draw(image)
    for x, y in centres_xy(made.truth.boxes_xyxy[made.truth.rows_at(SHOWN)]) * scale:
        reach = RADIUS_PX * scale
        draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=(255, 255, 255))
    return image


def main(folder: Path) -> None:
    """Write the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    spots = {"hot_spots_range": [4, 4]}
    scenes = {
        "still_spots": scene(2, kind="horizon", motion="rotation", scr=7.0, distractors=spots),
        "dim_targets": scene(3, kind="terrain", motion="pan", scr=1.2, distractors={}),
    }
    for name, made in scenes.items():
        picture(made).save(folder / f"{name}.png", optimize=True)
        print(folder / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/failures"))
