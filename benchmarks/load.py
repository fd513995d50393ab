"""Measure what many detections and large frames take, against another checkout where wanted.

    python benchmarks/load.py [--baseline CHECKOUT] [--detections 10 100 1000 2000 10000]
    python benchmarks/load.py --sides 256 1024 [--detectors stdet_n lcm]

First the tracker and track-before-detect scores (5 frames of look-ahead): targets move by a pixel
per frame and are seen 0.4 px off, a tenth of the detections anywhere instead, all of them strong;
at a fixed density of 0.001 per square pixel, and on a fixed area of 640 x 512. Median CPU
milliseconds per frame, after ten frames. Each checkout runs in a process of its own, in turns of
one scene, so that only the ratio carries over to another machine. Then, with `--sides`, one
detector after the other on square frames of noise: CPU seconds of a frame and peak memory of the
process, one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from stdet.config import TrackerConfig
from stdet.inference.stages.frames import DetectedFrame, StreamFrame
from stdet.tracking.track_before_detect import TrackBeforeDetect
from stdet.tracking.tracker import Tracker
from stdet.types import Detections

DENSITY = 0.001
"""Detections per square pixel; 300, the most of a frame by default, on 640 x 512."""
AREA_PX = 640 * 512
NUM_WARM_UP = 10
NUM_WAITING = 21
"""Frames until the first comes out of a detector with background features, which waits."""


def main() -> None:
    """Print both tables, or one line of them as JSON where a process of our own asks for it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--baseline", type=Path, help="checkout to compare with")
    parser.add_argument("--detections", type=int, nargs="*", default=[10, 100, 300, 1000, 2000])
    parser.add_argument("--frames", type=int, default=15, help="timed frames (15)")
    parser.add_argument(
        "--sides", type=int, nargs="*", default=[], help="of square frames, pixels"
    )
    parser.add_argument("--detectors", nargs="*", default=["stdet_n", "lcm", "rpca"])
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measured, value = args.measure
        if measured.startswith("detections"):
            density = DENSITY if measured.endswith("density") else int(value) / AREA_PX
            print(json.dumps(time_tracking(int(value), density, args.frames)))
        else:
            print(json.dumps(time_detector(measured, int(value))))
        return
    checkouts = [Path(__file__).parents[1], *([args.baseline] if args.baseline else [])]
    if args.detections:
        print(f"{'detections':>10} {'fixed':<8}{'scores ms':>11}{'tracker ms':>11}   per checkout")
    for fixed in ("density", "area"):
        for num in args.detections:
            rows = [
                measure(one, f"detections at fixed {fixed}", num, args.frames) for one in checkouts
            ]
            cells = "   ".join(f"{row['scores']:>11.1f}{row['tracker']:>11.1f}" for row in rows)
            ratio = sum(rows[-1].values()) / sum(rows[0].values())
            print(f"{num:>10} {fixed:<8}{cells}   ratio of both {ratio:.1f}", flush=True)
    for name in args.detectors if args.sides else []:
        for side in args.sides:
            row = measure(checkouts[0], name, side, args.frames)
            print(
                f"{name:<10}{side:>6} px{row['seconds']:>8.2f} s{row['gigabytes']:>7.2f} GB",
                flush=True,
            )


def measure(checkout: Path, measured: str, value: int, num_frames: int) -> dict[str, float]:
    """Run one measurement in a process that imports a checkout."""
    env = os.environ | {"PYTHONPATH": str(checkout.resolve()), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--frames", str(num_frames)]
    command += ["--measure", measured, str(value)]
    found = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    row: dict[str, float] = json.loads(found.stdout)
    return row


def time_tracking(num: int, density: float, num_frames: int) -> dict[str, float]:
    """Return median CPU milliseconds per frame of scores and tracker."""
    scores: TrackBeforeDetect[DetectedFrame] = TrackBeforeDetect(5)
    tracker = Tracker(TrackerConfig(), lookahead=5)
    blank = np.zeros((1, 1), np.float32)
    milliseconds: dict[str, list[float]] = {"scores": [], "tracker": []}
    for found in frames_of(num, density, NUM_WARM_UP + num_frames):
        frame = StreamFrame.of_scaled(found.frame_index, blank)
        begin = time.process_time()
        scores.push(DetectedFrame.of(frame, found))
        between = time.process_time()
        tracker.update(found, confidence=0.5)
        milliseconds["scores"].append(1e3 * (between - begin))
        milliseconds["tracker"].append(1e3 * (time.process_time() - between))
    return {name: float(np.median(of[NUM_WARM_UP:])) for name, of in milliseconds.items()}


def frames_of(num: int, density: float, num_frames: int) -> Iterator[Detections]:
    """Return frames of moving targets and clutter on a square."""
    rng = np.random.default_rng(0)
    side = np.sqrt(num / density)
    places, velocities = rng.uniform(0, side, (num, 2)), rng.normal(0, 1, (num, 2))
    for index in range(num_frames):
        places = np.clip(places + velocities, 0, side)
        centres = places + rng.normal(0, 0.4, places.shape)
        num_clutter = num // 10
        centres[:num_clutter] = rng.uniform(0, side, (num_clutter, 2))
        yield Detections.from_unsorted(
            np.concatenate([centres - 3, centres + 3], axis=1),
            rng.uniform(0.55, 0.95, num),
            frame_index=index,
            image_hw=(int(side) + 1, int(side) + 1),
        )


def time_detector(name: str, side: int) -> dict[str, float]:
    """Return CPU seconds of the first frame that comes out, and the peak memory until then."""
    import torch

    from stdet.classical.methods import METHODS
    from stdet.inference.detector import Detector

    torch.set_num_threads(1)
    if name in METHODS:
        stages = Detector.from_classical(name).start()
    else:
        stages = Detector.from_weights(name, device="cpu").start()
    frame = np.random.default_rng(0).normal(0.4, 0.02, (side, side)).astype(np.float32)
    for index in range(NUM_WAITING):
        begin = time.process_time()
        if list(stages.push(StreamFrame.of_scaled(index, frame))):
            break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"seconds": time.process_time() - begin, "gigabytes": peak}


if __name__ == "__main__":
    main()
