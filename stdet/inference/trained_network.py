"""A network of trained weights, for the engines that start from PyTorch's form of it."""

from __future__ import annotations

from pathlib import Path

import torch

from stdet.config import ModelConfig, PostprocessConfig
from stdet.inference.checkpoint import Weights
from stdet.inference.device import choose_device
from stdet.inference.engines.choose import choose_engine
from stdet.inference.engines.eager import eager_engine
from stdet.inference.engines.engine import Engine
from stdet.inference.engines.names import EngineName
from stdet.inference.network import Network
from stdet.models.detector import ClipDetector

_CPU = torch.device("cpu")


def network_of_detector(
    detector: ClipDetector,
    *,
    model: ModelConfig,
    config: PostprocessConfig,
    device: torch.device,
    weights: Path | None = None,
    engine: Engine | None = None,
    in_windows: bool = True,
) -> Network:
    """Return a detector that is in memory as a network, in eval mode.

    Args:
        detector: Moved to the device.
        model: The configuration it was built from.
        config: Postprocessing.
        device: Where to run.
        weights: Where the detector's weights came from, for messages; None where it was trained
            in this process.
        engine: What runs the detector; None for PyTorch.
        in_windows: As in ``Network``.
    """
    detector = detector.to(device).eval()
    return Network(
        eager_engine(detector) if engine is None else engine,
        model=model,
        config=config,
        size_divisor=detector.size_divisor,
        in_windows=in_windows,
        weights=weights,
    )


def network_of_weights(
    detector: ClipDetector,
    weights: Weights,
    *,
    device: str,
    engine: EngineName = "auto",
    num_threads: int = 1,
) -> Network:
    """Return what ``load_detector`` has loaded, on a device.

    Args:
        detector: With the weights in it.
        weights: Where they came from.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        engine: What runs it; see ``choose_engine``.
        num_threads: As in ``choose_engine``.

    Raises:
        ConfigError: If the device or the engine cannot be used.
    """
    place = choose_device(device)
    detector = detector.to(place).eval()
    chosen = choose_engine(engine, detector, device=place, num_threads=num_threads)
    return network_in_engine(detector, weights, chosen, device=place)


def network_in_engine(
    detector: ClipDetector,
    weights: Weights,
    engine: Engine,
    *,
    device: torch.device = _CPU,
    in_windows: bool = True,
) -> Network:
    """Return what ``load_detector`` has loaded, run by an engine that is there already.

    Args:
        detector: With the weights in it.
        weights: Where they came from.
        engine: What runs it.
        device: That the engine is on.
        in_windows: As in ``Network``.
    """
    return network_of_detector(
        detector,
        model=weights.config.model,
        config=weights.config.postprocess,
        device=device,
        weights=weights.path,
        engine=engine,
        in_windows=in_windows,
    )
