"""Write the small generated sample: a video and its truth.

Usage: python scripts/make_sample.py [FOLDER]

FOLDER defaults to data/sample. Frames and truth are the same on every run; the bytes of the video
may differ between versions of the encoder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from stdet.data.formats.mot import write_annotation
from stdet.data.synthetic import SyntheticConfig, generate
from stdet.data.video import VideoWriter

SAMPLE = SyntheticConfig(
    name="sample",
    seed=8,
    num_frames=150,
    hw=(256, 256),
    fps=25.0,
    num_targets=3,
    is_crossing=True,
    speed_range=(0.5, 1.0),
    contrast_range=(16.0, 26.0),
    noise_std=2.0,
    drift_xy=(0.25, 0.03),
    jitter_px=0.1,
)
"""Three targets, two of which cross, over a slow pan; faint noise keeps the video small."""


def write_sample(folder: Path) -> None:
    """Write ``sample.mp4`` and ``sample.gt.txt`` (MOTChallenge truth) into a folder.

    Raises:
        DataError: If a file cannot be written.
    """
    frames, truth = generate(SAMPLE)
    folder.mkdir(parents=True, exist_ok=True)
    with VideoWriter(folder / "sample.mp4", hw=SAMPLE.hw, fps=SAMPLE.fps) as writer:
        for frame in frames:
            writer.write(np.repeat(frame[:, :, None], 3, axis=2).astype(np.uint8))
    write_annotation(folder / "sample.gt.txt", truth)


if __name__ == "__main__":
    write_sample(Path(sys.argv[1] if len(sys.argv) > 1 else "data/sample"))
