"""Time the network in every engine, frame by frame in turns, against the machine's own ceiling.

    python benchmarks/engines.py [--weights stdet_n] [--sizes 256x256 512x640] [--json FILE]

Rows: the detector as it was trained (`plain`: BatchNorm on its own, every pair of frames anew),
and every engine that is installed. All see the same frames. Columns: milliseconds a frame for the
frame part and for the clip part (fusion and head), median, 95 % and 99 % of the wall time; median
CPU time of both; that as a multiple of `eager`; and the arithmetic per second of CPU time as a
share of what a product of two matrices reaches in the same run. Only the ratios carry over to
another machine.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from stdet.cli.arguments import size_hw
from stdet.inference.checkpoint import load_detector
from stdet.inference.engines.choose import choose_engine
from stdet.inference.engines.engine import ClipOutputs, Engine, FrameMaps, State
from stdet.inference.engines.names import FASTEST_FIRST, EngineName, is_installed
from stdet.models.detector import ClipDetector
from stdet.models.profile import profile_detector
from stdet.types import FloatArray

_Result = TypeVar("_Result")

NUM_WARM_UP = 5
_CEILING_SIDE = 1024


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one engine takes at one size; times are milliseconds per frame.

    Attributes:
        engine: Its name.
        size: HEIGHTxWIDTH, pixels.
        frame_ms: Median, 95 % and 99 % of the frame part.
        clip_ms: Of fusion and head.
        cpu_ms: Median CPU time of both parts.
        to_eager: The same, as a multiple of the engine eager's.
        share_of_ceiling: Arithmetic of the detector as trained, per second of CPU time, over the
            ceiling.
    """

    engine: str
    size: str
    frame_ms: tuple[float, float, float]
    clip_ms: tuple[float, float, float]
    cpu_ms: float
    to_eager: float
    share_of_ceiling: float


class Plain:
    """The detector as it was trained."""

    name = "plain"

    def __init__(self, detector: ClipDetector) -> None:
        """Keep it."""
        self._detector = detector

    @torch.inference_mode()
    def frame_maps(self, frame: FloatArray) -> FrameMaps:
        """Compute features."""
        return (self._detector.frame_features(torch.from_numpy(frame)),)

    @torch.inference_mode()
    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        """Fuse features."""
        stacked = torch.stack([one[0] for one in context], 1)
        outputs = self._detector.fuse(stacked, key[0], state).outputs
        cls_logits, obj_logits, box_offsets = (value.numpy() for value in outputs.tensors)
        return ClipOutputs(
            cls_logits=cls_logits,
            obj_logits=obj_logits,
            box_offsets=box_offsets,
            feature_stride=outputs.feature_stride,
        )


def main() -> None:
    """Time every size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weights", default="stdet_n", help="name or file (stdet_n)")
    parser.add_argument("--sizes", type=size_hw, nargs="+", default=[(256, 256), (512, 640)])
    parser.add_argument("--frames", type=int, default=40, help="timed frames (40)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (1)")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [
        row
        for hw in args.sizes
        for row in time_engines(args.weights, hw, num_frames=args.frames, threads=args.threads)
    ]
    print(f"{args.weights}, {args.threads} threads, load {os.getloadavg()[0]:.1f}")
    print(
        f"{'size':<10}{'engine':<13}{'frame ms':>24}{'clip ms':>24}{'CPU ms':>9}"
        f"{'x eager':>9}{'ceiling':>9}"
    )
    for row in rows:
        frame, clip = (
            "".join(f"{value:>8.1f}" for value in part) for part in (row.frame_ms, row.clip_ms)
        )
        print(
            f"{row.size:<10}{row.engine:<13}{frame}{clip}{row.cpu_ms:>9.1f}{row.to_eager:>9.2f}"
            f"{row.share_of_ceiling:>9.1%}"
        )
    if args.json is not None:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


def time_engines(weights: str, hw: tuple[int, int], *, num_frames: int, threads: int) -> list[Row]:
    """Time all engines at a size, in turns."""
    detector, loaded = load_detector(weights)
    model = loaded.config.model
    names: list[EngineName] = ["eager", *(one for one in FASTEST_FIRST if is_installed(one))]
    engines: list[Engine] = [Plain(detector)] + [
        choose_engine(name, detector, device=torch.device("cpu"), num_threads=threads)
        for name in names
    ]
    num_channels = detector.pixel_mean.shape[1]
    num_context = model.temporal.num_frames - 1
    wall: dict[str, tuple[list[float], list[float]]] = {e.name: ([], []) for e in engines}
    cpu: dict[str, list[float]] = {engine.name: [] for engine in engines}
    ceilings = []
    rng = np.random.default_rng(0)
    with torch.inference_mode():
        for index in range(NUM_WARM_UP + num_frames):
            frame = rng.random((1, num_channels, *hw), np.float32)
            for engine in engines:
                maps, in_frame = _timed(lambda e=engine, f=frame: e.frame_maps(f))
                clip = [maps] * num_context
                _, in_clip = _timed(lambda e=engine, m=maps, c=clip: e.fuse(c, m, ()))
                if index >= NUM_WARM_UP:
                    wall[engine.name][0].append(in_frame.wall_ms)
                    wall[engine.name][1].append(in_clip.wall_ms)
                    cpu[engine.name].append(in_frame.cpu_ms + in_clip.cpu_ms)
            matrix = torch.ones(_CEILING_SIDE, _CEILING_SIDE)
            ceilings.append(_timed(lambda m=matrix: m @ m)[1].cpu_ms)
    gflop = profile_detector(model, native_hw=hw).gflop_per_frame
    gflop_per_ms = 2 * _CEILING_SIDE**3 / 1e9 / float(np.median(ceilings))
    medians = {name: float(np.median(values)) for name, values in cpu.items()}
    return [
        Row(
            engine=name,
            size=f"{hw[0]}x{hw[1]}",
            frame_ms=_quantiles(frame),
            clip_ms=_quantiles(clip),
            cpu_ms=round(medians[name], 2),
            to_eager=round(medians[name] / medians["eager"], 3),
            share_of_ceiling=round(gflop / medians[name] / gflop_per_ms, 3),
        )
        for name, (frame, clip) in wall.items()
    ]


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a call took, milliseconds; CPU time is that of all threads."""

    wall_ms: float
    cpu_ms: float


def _timed(run: Callable[[], _Result]) -> tuple[_Result, Spent]:
    """Return a result and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    spent = Spent(
        wall_ms=(time.perf_counter() - wall) * 1e3, cpu_ms=(time.process_time() - cpu) * 1e3
    )
    return result, spent


def _quantiles(values: list[float]) -> tuple[float, float, float]:
    """Return median, 95 % and 99 %."""
    median, high, highest = np.percentile(values, (50, 95, 99))
    return round(float(median), 2), round(float(high), 2), round(float(highest), 2)


if __name__ == "__main__":
    main()
