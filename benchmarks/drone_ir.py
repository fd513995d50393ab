"""Measure Pd at a few false-alarm rates on clips of the drone_ir set, which no training saw.

    python benchmarks/drone_ir.py /path/to/drone_ir/boxes.json [WEIGHTS ...]

The clips are number 5, 20 and 40 of each of the four classes, the first 40 frames of each. Their
boxes are loose, so a detection hits when its centre lies within half the longer side of the box
from the box's centre; further detections within it count neither way.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from stdet.boxes import centre_distance
from stdet.checkpoint import load_detector
from stdet.data.formats.video_boxes import LabelledVideo, read_video_boxes
from stdet.pipeline import StreamingDetector

CLASSES = ("IR_AIRPLANE", "IR_BIRD", "IR_DRONE", "IR_HELICOPTER")
CLIP_NUMBERS = (5, 20, 40)
NUM_FRAMES = 40
FALSE_ALARMS_PER_FRAME = (0.05, 0.2, 1.0)


def main() -> None:
    """Print a line per weights file and rate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("boxes", type=Path, help="boxes.json of drone_ir")
    parser.add_argument("weights", nargs="*", default=["stdet_n"])
    args = parser.parse_args()
    videos = {video.annotation.name: video for video in read_video_boxes(args.boxes)}
    names = [
        sorted(name for name in videos if name.startswith(kind))[number]
        for kind in CLASSES
        for number in CLIP_NUMBERS
    ]
    for weights in args.weights:
        report(weights, [videos[name] for name in names])


def report(weights: str, videos: list[LabelledVideo]) -> None:
    """Detect, match and print."""
    detector, loaded = load_detector(weights)
    scores: list[float] = []
    hits: list[bool] = []
    num_targets = num_frames = 0
    for video in videos:
        streaming = StreamingDetector(
            detector,
            model=loaded.config.model,
            config=loaded.config.postprocess,
            device=torch.device("cpu"),
        )
        for frame in video.source.frames(0, NUM_FRAMES):
            truth = video.annotation.boxes_xyxy[video.annotation.rows_at(frame.index)]
            num_frames += 1
            num_targets += len(truth)
            (found,) = streaming.push(frame.index, video.source.scale.apply(frame.pixels))
            reach = (truth[:, 2:] - truth[:, :2]).max(axis=1, initial=0) / 2
            is_near = (centre_distance(found.boxes_xyxy, truth) < reach).any(axis=1)
            is_first = np.cumsum(is_near) == 1
            counted = ~is_near | is_first
            scores += found.scores[counted].tolist()
            hits += is_near[counted].tolist()
    order = np.argsort(-np.array(scores), kind="stable")
    is_hit = np.array(hits)[order]
    num_hits, num_false = np.cumsum(is_hit), np.cumsum(~is_hit)
    for rate in FALSE_ALARMS_PER_FRAME:
        last = int(np.searchsorted(num_false, rate * num_frames, side="right")) - 1
        print(
            f"{weights}: Pd {num_hits[last] / num_targets:.3f} at {rate} false alarms per frame, "
            f"score {scores[order[last]]:.3f} ({num_targets} targets, {num_frames} frames)"
        )


if __name__ == "__main__":
    main()
