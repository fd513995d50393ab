"""Compare what each pyramid costs over the plain FPN: parameters, FLOPs, training and inference.

    python benchmarks/pyramids.py [CONFIG ...] [--rounds N] [--threads N] [--pyramids NAME ...]

All contenders take their step on the same data in turns, round by round, so that what else the
machine does weighs on all. A training step is a forward and backward pass over one window of T
frames and one key frame with a target; inference is one frame of a stream. Times are CPU times,
added over threads, since other programs disturb them less than those of a clock. Ratios to the
plain FPN are medians over rounds, with their quartiles; only they carry over to another machine.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from stdet.config import DataConfig, ModelConfig, PostprocessConfig, load_config
from stdet.datasets.clip_dataset import clip_shape
from stdet.datasets.clips import Targets
from stdet.inference.detector import Detector
from stdet.inference.model_info import PYRAMIDS, describe_model
from stdet.inference.stages.frames import StreamFrame
from stdet.inference.trained_network import network_of_detector
from stdet.models.build import build_consistency, build_detector, num_input_channels
from stdet.registration.background_features import STEADY_FROM
from stdet.training.step import TrainingStep

DEFAULT_CONFIGS = (Path("configs/models/stdet_n.yaml"), Path("configs/models/yolo_bp_s.yaml"))
NATIVE_HW = (256, 256)


def main() -> None:
    """Time every configuration."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("configs", type=Path, nargs="*", default=DEFAULT_CONFIGS)
    parser.add_argument("--rounds", type=int, default=10, help="timed rounds (10)")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (2)")
    parser.add_argument("--pyramids", nargs="+", choices=PYRAMIDS, default=list(PYRAMIDS))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    kinds = list(dict.fromkeys(["fpn", *args.pyramids]))
    for path in args.configs:
        compare(load_config(path).model, kinds, num_rounds=args.rounds)


def compare(model: ModelConfig, kinds: list[str], *, num_rounds: int) -> None:
    """Time all pyramids of one model in turns and print what each costs."""
    profiles = describe_model(model, native_hw=NATIVE_HW).pyramids
    models = {kind: replace(model, pyramid=replace(model.pyramid, type=kind)) for kind in kinds}
    jobs = {
        "training": {kind: training_job(one) for kind, one in models.items()},
        "inference": {kind: inference_job(one) for kind, one in models.items()},
    }
    seconds = {job: {kind: [] for kind in kinds} for job in jobs}
    for number in range(num_rounds + 1):
        for job, contenders in jobs.items():
            for place in range(len(kinds)):
                kind = kinds[(number + place) % len(kinds)]  # Nobody is always the first.
                started = time.process_time()
                contenders[kind]()
                if number:  # The first round warms up.
                    seconds[job][kind].append(time.process_time() - started)
    base = profiles["fpn"]
    print(
        f"{model.name}, {base.input_hw[0]}x{base.input_hw[1]}, {torch.get_num_threads()} threads"
    )
    print(
        f"{'pyramid':<18}{'parameters':>11}{'GFLOP/frame':>13}"
        f"{'training step':>25}{'inference':>25}   ratios to the plain FPN [quartiles]"
    )
    for kind in kinds:
        profile = profiles[kind]
        cells = [describe(seconds[job][kind], seconds[job]["fpn"]) for job in jobs]
        print(
            f"{PYRAMIDS[kind]:<18}"
            f"{profile.inference_parameters / base.inference_parameters:>11.4f}"
            f"{profile.gflop_per_frame / base.gflop_per_frame:>13.4f}{cells[0]:>25}{cells[1]:>25}"
        )
    for job in jobs:
        print(f"plain FPN, {job}: {1e3 * float(np.median(seconds[job]['fpn'])):.1f} ms CPU time")


def describe(times: list[float], base: list[float]) -> str:
    """Say the median ratio of a round and its quartiles."""
    low, middle, high = np.quantile(np.array(times) / np.array(base), [0.25, 0.5, 0.75])
    return f"{middle:.3f} [{low:.3f}, {high:.3f}]"


def training_job(model: ModelConfig) -> Callable[[], None]:
    """Return one forward and backward pass over one window."""
    torch.manual_seed(0)
    detector = build_detector(model)
    step = TrainingStep(
        detector,
        None,
        build_consistency(model, detector),
        motion_weight=0.0,
        consistency_weight=0.1,
    )
    shape = clip_shape(DataConfig(), model)
    context, keys = torch.from_numpy(shape.context), torch.from_numpy(shape.keys)
    height, width = model.input_hw or NATIVE_HW
    frames = torch.rand(1, shape.window_length, num_input_channels(model), height, width)
    target = Targets(
        boxes_xyxy=torch.tensor([[40.0, 40, 48, 48]]),
        class_ids=torch.zeros(1, dtype=torch.int64),
        track_ids=torch.ones(1, dtype=torch.int64),
    )

    def run() -> None:
        step.zero_grad(set_to_none=True)
        step(frames, context, keys, [target])[0].backward()

    return run


def inference_job(model: ModelConfig) -> Callable[[], None]:
    """Return one step of a stream."""
    torch.manual_seed(0)
    network = network_of_detector(
        build_detector(model), model=model, config=PostprocessConfig(), device=torch.device("cpu")
    )
    streaming = Detector.from_network(network).start()
    frame = np.random.default_rng(0).random(model.input_hw or NATIVE_HW, np.float32)
    count = iter(range(1 << 30))

    def run() -> None:
        list(streaming.push(StreamFrame.of_scaled(next(count), frame)))

    # The first frames of a stream wait for later ones where there are background features.
    for _ in range(STEADY_FROM):
        run()
    return run


if __name__ == "__main__":
    main()
