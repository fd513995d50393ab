"""Ask a trained BP-FPN what it makes of its shortcut.

    python benchmarks/shortcut.py CONFIG WEIGHTS ... [--split test] [--set KEY=VALUE ...]

For each weights file: the norm of what the shortcut adds, as a share of the norm of what it is
added to (median over frames), and mAP50 on the split as it is, without the shortcut, and with the
shortcut of the previous frame instead of this one's (its statistics stay, its detail is wrong).
Only for `gils.join: add`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stdet.config import StdetConfig, load_config
from stdet.datasets.splits import Split, load_sequences
from stdet.evaluation.from_model import score_sequences
from stdet.inference.checkpoint import load_detector
from stdet.inference.detector import Detector
from stdet.inference.trained_network import network_of_weights
from stdet.models.necks.bp_fpn import BpFpn

Hook = Callable[[torch.nn.Module, tuple[Tensor, ...], Tensor], Tensor]


def main() -> None:
    """Print a line per weights file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("weights", nargs="+")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--set", dest="overrides", action="append", default=[])
    args = parser.parse_args()
    config = load_config(args.config, args.overrides)
    torch.set_num_threads(1)
    for weights in args.weights:
        shares: list[float] = []
        scores = [
            map50(config, weights, args.split, hook)
            for hook in (measure(shares), silence, previous_detail())
        ]
        shown = ", ".join(
            f"{title} {score:.4f}"
            for title, score in zip(("as it is", "silenced", "previous"), scores, strict=True)
        )
        print(f"{weights}: share {np.median(shares):.3f}; mAP50 {shown}", flush=True)


def measure(shares: list[float]) -> Hook:
    """Note the share of the norm, and change nothing."""

    def hook(module: torch.nn.Module, inputs: tuple[Tensor, ...], joined: Tensor) -> Tensor:
        added = joined - inputs[0]
        shares.append(float(added.norm() / inputs[0].norm()))
        return joined

    return hook


def silence(module: torch.nn.Module, inputs: tuple[Tensor, ...], joined: Tensor) -> Tensor:
    """Pass on what came in."""
    return inputs[0]


def previous_detail() -> Hook:
    """Add the shortcut of the frame before."""
    kept: list[Tensor] = []  # A sequence's first frame gets the last detail of the one before.

    def hook(module: torch.nn.Module, inputs: tuple[Tensor, ...], joined: Tensor) -> Tensor:
        added = joined - inputs[0]
        before = kept.pop() if kept and kept[0].shape == added.shape else added
        kept[:] = [added]
        return inputs[0] + before

    return hook


def map50(config: StdetConfig, weights: str, split: Split, hook: Hook) -> float:
    """Score the split with a hook on the shortcut."""
    network, loaded = load_detector(weights)
    shortcuts = [m.shortcut for m in network.modules() if isinstance(m, BpFpn)]
    if shortcuts == [None] or not shortcuts or shortcuts[0].join is not None:
        raise SystemExit(f"{weights} has no shortcut that is added.")
    shortcuts[0].register_forward_hook(hook)
    sequences = load_sequences(config.data, split)
    detector = Detector.from_network(network_of_weights(network, loaded, device="cpu"))
    return score_sequences(detector, config, sequences, title="scoring").map50


if __name__ == "__main__":
    main()
