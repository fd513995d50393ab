"""The ways to run a network that `stdet bench` compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stdet.errors import ConfigError
from stdet.inference.bench.stopwatch import Stopwatch
from stdet.inference.checkpoint import Weights
from stdet.inference.engines.bfloat16 import SUFFIX, can_run_bfloat16
from stdet.inference.engines.choose import choose_engine
from stdet.inference.engines.engine import ClipOutputs, Engine, FrameMaps, State
from stdet.inference.engines.names import (
    BFLOAT16_FIRST,
    FASTEST_FIRST,
    EngineName,
    is_installed,
)
from stdet.inference.network import Network
from stdet.inference.stages.detect import DetectWithNetwork, FrameToSee
from stdet.inference.stages.frames import DetectedFrame
from stdet.inference.trained_network import network_in_engine
from stdet.models.detector import ClipDetector
from stdet.models.inference_parts import can_be_divided
from stdet.types import FloatArray

RECOMPUTE = "recompute"
"""Name of the published way, beside those of engines."""

FRAME, CLIP, NETWORK = "frame part", "clip part", "network"
"""Parts of a network, and all of it: decoding of boxes too."""

_CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True, eq=False)
class Contender:
    """One way to run the network.

    Attributes:
        name: Of an engine, or ``RECOMPUTE``.
        num_threads: CPU threads.
        network: As it runs.
        detect: Its stage of the stream.
        watch: Times its parts.
    """

    name: str
    num_threads: int
    network: Network
    detect: DetectWithNetwork
    watch: Stopwatch

    @property
    def dtype(self) -> torch.dtype:
        """Of its arithmetic."""
        return torch.bfloat16 if self.name.endswith(SUFFIX) else torch.float32

    def push(self, frame: FrameToSee) -> list[DetectedFrame]:
        """Detect on a frame."""
        torch.set_num_threads(self.num_threads)
        with self.watch.watch(NETWORK):
            return list(self.detect.push(frame))


class Recompute:
    """The detector as it was trained, every frame of every clip computed anew."""

    name = RECOMPUTE

    def __init__(self, detector: ClipDetector) -> None:
        """Keep it."""
        self._detector = detector

    def frame_maps(self, frame: FloatArray) -> FrameMaps:
        """Keep the frame itself."""
        return (frame,)

    @torch.inference_mode()
    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        """Compute features of the whole clip, and predict."""
        frames = [torch.from_numpy(maps[0]) for maps in (*context, key)]
        features = [self._detector.frame_features(frame) for frame in frames]
        found = self._detector.fuse(torch.stack(features[:-1], dim=1), features[-1], state)
        cls_logits, obj_logits, box_offsets = (one.numpy() for one in found.outputs.tensors)
        return ClipOutputs(
            cls_logits=cls_logits,
            obj_logits=obj_logits,
            box_offsets=box_offsets,
            feature_stride=found.outputs.feature_stride,
            state=found.state,
        )


class _Timed:
    """An engine whose parts are timed."""

    def __init__(self, engine: Engine, watch: Stopwatch) -> None:
        self.name = engine.name
        self._engine, self._watch = engine, watch

    def frame_maps(self, frame: FloatArray) -> FrameMaps:
        with self._watch.watch(FRAME):
            return self._engine.frame_maps(frame)

    def fuse(self, context: Sequence[FrameMaps], key: FrameMaps, state: State) -> ClipOutputs:
        with self._watch.watch(CLIP):
            return self._engine.fuse(context, key, state)


def engines_here(detector: ClipDetector) -> list[str]:
    """Return the contenders that this machine can run, the slowest first."""
    names: list[str] = [RECOMPUTE, "eager"]
    if can_be_divided(detector):
        names += [name for name in reversed(FASTEST_FIRST) if is_installed(name)]
        if can_run_bfloat16():
            names += [name for name in reversed(BFLOAT16_FIRST) if is_installed(name)]
    return names


def make_contender(
    name: str,
    detector: ClipDetector,
    weights: Weights,
    *,
    num_threads: int,
) -> Contender:
    """Return one way to run a network.

    Args:
        name: Of an engine, or ``RECOMPUTE``.
        detector: In eval mode on the CPU.
        weights: That are in it.
        num_threads: CPU threads.

    Raises:
        ConfigError: If the engine is not installed, or cannot take the detector.
    """
    watch = Stopwatch()
    engine: Engine
    if name == RECOMPUTE:
        engine = Recompute(detector)
    else:
        engine = choose_engine(_engine_name(name), detector, device=_CPU, num_threads=num_threads)
    network = network_in_engine(
        detector, weights, _Timed(engine, watch), in_windows=name != RECOMPUTE
    )
    return Contender(
        name=name,
        num_threads=num_threads,
        network=network,
        detect=DetectWithNetwork(network),
        watch=watch,
    )


def _engine_name(name: str) -> EngineName:
    known: tuple[EngineName, ...] = ("eager", *FASTEST_FIRST, *BFLOAT16_FIRST)
    for one in known:
        if one == name:
            return one
    raise ConfigError(f"bench: {name!r} is no engine; expected {RECOMPUTE}, {', '.join(known)}.")
