"""Compare a stream with each frame's features computed once against recomputing every clip.

    python benchmarks/streaming.py [CONFIG ...] [--frames N] [--threads N]

Both contenders run the same untrained network on the same frames, in turns (that their outputs
are equal is a test). Background features belong to single frames, so that recomputing a clip does
not compute them again; only the stream's time holds them. Wall and CPU time of each
and their ratio are printed; only the ratio carries over to another machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch

from stdet.config import ModelConfig, PostprocessConfig, load_config
from stdet.datasets.clip_sampler import window_at
from stdet.datasets.input_geometry import InputGeometry
from stdet.datasets.tensor_input import detector_input
from stdet.inference.detector import Detector
from stdet.inference.stages.frames import StreamFrame
from stdet.inference.trained_network import network_of_detector
from stdet.models.build import build_detector
from stdet.registration.background_features import LAGS, STEADY_FROM, background_features
from stdet.registration.registered_stream import register_frames
from stdet.synthesis import SceneConfig, generate
from stdet.types import FloatArray

DEFAULT_CONFIGS = (Path("configs/models/stdet_n.yaml"), Path("configs/models/yolo_bp_s.yaml"))
NUM_WARM_UP = STEADY_FROM + 2


def main() -> None:
    """Time every configuration."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", type=Path, nargs="*", default=DEFAULT_CONFIGS)
    parser.add_argument("--frames", type=int, default=20, help="timed frames (20)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (2)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(
        f"{'model':<12}{'way':<12}{'wall ms':>9}{'CPU ms':>9}   per frame, {args.threads} threads"
    )
    for path in args.configs:
        compare(load_config(path).model, num_frames=args.frames)


@torch.inference_mode()
def compare(model: ModelConfig, *, num_frames: int) -> None:
    """Time both ways on the same frames, frame by frame in turns."""
    torch.manual_seed(0)
    detector = build_detector(model).eval()
    raw = generate(SceneConfig(num_frames=num_frames + NUM_WARM_UP), seed=0).frames
    frames = [frame.astype("float32") / 255 for frame in raw]
    network = network_of_detector(
        detector, model=model, config=PostprocessConfig(), device=torch.device("cpu")
    )
    streaming, shape = Detector.from_network(network).start(), network.shape
    maps = background_of(frames) if model.background else [None] * len(frames)
    geometry = InputGeometry.fit(
        (frames[0].shape[0], frames[0].shape[1]),
        input_hw=model.input_hw,
        size_divisor=detector.size_divisor,
    )
    keys, context = torch.from_numpy(shape.keys), torch.from_numpy(shape.context)
    seconds = {"streamed": [0.0, 0.0], "recomputed": [0.0, 0.0]}

    def recompute(index: int) -> None:
        window = window_at(shape, index, len(frames))
        clip = [
            detector_input(
                torch.from_numpy(frames[i])[None, None],
                None if (found := maps[i]) is None else torch.from_numpy(found)[None],
                geometry=geometry,
                in_channels=model.in_channels,
            )
            for i in window.frame_indices
        ]
        detector(torch.cat(clip)[None], context, keys)

    for index in range(len(frames)):
        ways: dict[str, Callable[[], object]] = {
            "streamed": lambda i=index: list(streaming.push(StreamFrame.of_scaled(i, frames[i]))),
            "recomputed": lambda i=index: recompute(i),
        }
        for name, run in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            if index >= NUM_WARM_UP:
                seconds[name][0] += time.perf_counter() - wall
                seconds[name][1] += time.process_time() - cpu
    for name, (wall, cpu) in seconds.items():
        per = 1e3 / num_frames
        print(f"{model.name:<12}{name:<12}{wall * per:>9.1f}{cpu * per:>9.1f}")
    ratios = [
        recomputed / streamed
        for recomputed, streamed in zip(seconds["recomputed"], seconds["streamed"], strict=True)
    ]
    print(f"{model.name:<12}{'ratio':<12}{ratios[0]:>9.2f}{ratios[1]:>9.2f}")


def background_of(frames: list[FloatArray]) -> list[FloatArray]:
    """Return the background features of each frame of a stream."""
    return [background_features(one) for one in register_frames(frames, LAGS)]


if __name__ == "__main__":
    main()
