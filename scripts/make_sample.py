"""Write the small generated sample: a video and its truth.

Usage: python scripts/make_sample.py [FOLDER]

FOLDER defaults to data/sample. Frames and truth are the same on every run; the bytes of the video
may differ between versions of the encoder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from stdet.formats.mot import write_annotation
from stdet.io.video.source import VideoWriter
from stdet.synthesis import SceneConfig, generate
from stdet.synthesis.settings import NO_DISTRACTORS

NAME, SEED = "sample", 5

SAMPLE = SceneConfig(
    num_frames=150,
    hw=(256, 256),
    fps=25.0,
    background={"kinds": ["horizon"], "mean_range": [0.4, 0.4], "contrast_range": [0.16, 0.16]},
    camera={"motions": ["pan"], "speed_range": [0.25, 0.25], "jitter_range": [0.1, 0.1]},
    targets={
        "num_range": [3, 3],
        "size_range": [1.5, 3.0],
        "scr_range": [6.0, 12.0],
        "speed_range": [0.5, 1.0],
        "motions": ["straight", "turning"],
        "crossing_probability": 1.0,
        "dark_probability": 0.0,
        "behind_probability": 0.0,
        "visible_probability": 1.0,
    },
    distractors=NO_DISTRACTORS | {"crowns_range": [20, 20]},
    sensor={
        "noise_range": [0.008, 0.008],
        "fixed_pattern_range": [0.0, 0.002],
        "stripe_range": [0.0, 0.002],
        "gain_steps_range": [0, 0],
        "h264_probability": 0.0,
    },
)
"""Three targets, two of which cross, over a slow pan; faint noise keeps the video small."""


def write_sample(folder: Path) -> None:
    """Write ``sample.mp4`` and ``sample.gt.txt`` (MOTChallenge truth) into a folder.

    Raises:
        DataError: If a file cannot be written.
    """
    made = generate(SAMPLE, seed=SEED, name=NAME)
    folder.mkdir(parents=True, exist_ok=True)
    with VideoWriter(folder / "sample.mp4", hw=SAMPLE.hw, fps=SAMPLE.fps) as writer:
        for frame in made.frames:
            writer.write(np.repeat(frame[:, :, None], 3, axis=2).astype(np.uint8))
    write_annotation(folder / "sample.gt.txt", made.truth)


if __name__ == "__main__":
    write_sample(Path(sys.argv[1] if len(sys.argv) > 1 else "data/sample"))
