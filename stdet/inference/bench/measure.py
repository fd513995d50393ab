"""Run a stream through every way to run a network, frame by frame in turns, and time all."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from stdet.datasets.input_geometry import InputGeometry
from stdet.errors import DataError
from stdet.inference.bench.ceiling import Ceiling, CeilingProbe
from stdet.inference.bench.contenders import (
    CLIP,
    FRAME,
    NETWORK,
    RECOMPUTE,
    Contender,
    engines_here,
    make_contender,
)
from stdet.inference.bench.stopwatch import Cost, Stopwatch, cost_of
from stdet.inference.checkpoint import Weights, load_detector
from stdet.inference.stages.detect import Look
from stdet.inference.stages.frames import DetectedFrame, StreamFrame
from stdet.inference.stages.read import Scale
from stdet.inference.stages.register import Register
from stdet.inference.stages.stage import Stage
from stdet.inference.stages.track import OperatingPoint, Track
from stdet.inference.weights_files import operating_point
from stdet.io.frame_source import Frame, FrameSource
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.models.profile import DetectorProfile, profile_detector
from stdet.registration.background_features import LAGS, STEADY_FROM
from stdet.tracking.tracker import Tracker

NUM_WARM_UP = STEADY_FROM + 2
"""Frames that are not counted: the first ones wait for others."""

READ, SCALE, REGISTER, BACKGROUND, TRACK = "read", "scale", "register", "background", "track"
"""Stages that contenders share."""


@dataclass(frozen=True, kw_only=True)
class ContenderCost:
    """What one way to run the network takes.

    Attributes:
        name: Of an engine, or `recompute`.
        num_threads: CPU threads.
        stages: Frame part, clip part, and the network as a whole.
        end_to_end: The network with all stages that contenders share.
        gflop: Arithmetic of the network as it was trained, per frame; of `recompute` that of all
            frames of a clip.
        share_of_ceiling: That per second of the network's CPU time, over what a product of two
            matrices of its precision reaches.
    """

    name: str
    num_threads: int
    stages: dict[str, Cost]
    end_to_end: Cost
    gflop: float
    share_of_ceiling: float


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All costs.

    Attributes:
        weights: File.
        source: What was tracked.
        size_hw: Of its frames, pixels.
        num_frames: That were counted.
        load: Processes that wanted a CPU, mean of a minute.
        shared: What stages take that all contenders share.
        contenders: In the order in which they were asked for.
        ceilings: Of the machine.
    """

    weights: str
    source: str
    size_hw: tuple[int, int]
    num_frames: int
    load: float
    shared: dict[str, Cost]
    contenders: tuple[ContenderCost, ...]
    ceilings: tuple[Ceiling, ...]


def run_bench(
    source: FrameSource,
    weights: str,
    *,
    engines: Sequence[str] = (),
    threads: Sequence[int] = (1,),
    num_frames: int,
) -> Bench:
    """Time all stages of a stream, with the network in several engines.

    Args:
        source: Frames of one size.
        weights: Name of shipped weights, or a file.
        engines: Names, `recompute` too; empty for all that this machine can run.
        threads: Each engine runs with each of these numbers of CPU threads.
        num_frames: To count, after ``NUM_WARM_UP``; those that a cut makes wait are left out.

    Raises:
        CheckpointError: If the weights cannot be used.
        ConfigError: If an engine is not known, not installed or disagrees with PyTorch.
        DataError: If the source has too few frames, or cannot be read.
    """
    detector, loaded = load_detector(weights)
    detector.eval()
    contenders = [
        make_contender(name, detector, loaded, num_threads=num_threads)
        for name in dict.fromkeys(engines or engines_here(detector))
        for num_threads in dict.fromkeys(threads)
    ]
    stream = _Stream(source, loaded, contenders)
    num_threads = torch.get_num_threads()
    try:
        stream.run(num_frames)
    finally:
        torch.set_num_threads(num_threads)
    input_hw = InputGeometry.fit(
        source.hw, input_hw=loaded.config.model.input_hw, size_divisor=detector.size_divisor
    ).input_hw
    profile = profile_detector(loaded.config.model, native_hw=input_hw)
    ceilings = stream.probe.ceilings()
    return Bench(
        weights=loaded.path.name,
        source=source.name,
        size_hw=source.hw,
        num_frames=num_frames,
        load=round(os.getloadavg()[0], 1),
        shared={stage: stream.shared.cost(stage) for stage in stream.shared.stages},
        contenders=tuple(
            _cost_of(
                one,
                stream.shared,
                gflop=_gflop(profile, one),
                ceiling=ceilings[one.dtype, one.num_threads],
            )
            for one in contenders
        ),
        ceilings=tuple(ceilings.values()),
    )


class _Stream:
    """One stream, its shared stages once and the network in every contender.

    Args:
        source: Frames.
        weights: Say what the network is given, and the operating point.
        contenders: The first one's detections are tracked.
    """

    def __init__(
        self, source: FrameSource, weights: Weights, contenders: Sequence[Contender]
    ) -> None:
        """Start before the first frame."""
        self.shared = Stopwatch()
        self.probe = CeilingProbe({(one.dtype, one.num_threads) for one in contenders})
        self._source = source
        self._turns = deque(contenders)
        self._tracked = contenders[0]
        self._scale = Scale(
            source.scale, fps=source.fps, watch=SceneWatch(source.path, source.scale)
        )
        model = weights.config.model
        self._register: Stage[StreamFrame, StreamFrame] | None = None
        if model.background:
            self._register = Register(LAGS, has_long_term=model.long_term)
        self._look = Look(model.scales)
        self._track = Track(
            Tracker.for_stream(weights.config.tracker),
            OperatingPoint(operating_point(weights.config, weights.path)),
        )

    def run(self, num_frames: int) -> None:
        """Track the warm-up and so many frames, which are counted.

        After a cut no frame comes out until all that wait do at once: neither is the time of one.

        Raises:
            DataError: If the source has fewer frames.
        """
        frames = self._source.frames()
        num_read = num_counted = 0
        while num_counted < num_frames:
            with self.shared.watch(READ):
                frame = next(frames, None)
            if frame is None:
                raise DataError(
                    f"{self._source.path}: {num_counted} of its {num_read} frames can be timed, "
                    f"since the first {NUM_WARM_UP}, and after a cut those that follow, wait for "
                    f"others; {num_frames} are wanted. Pass --frames or a longer video."
                )
            num_read += 1
            is_counted = self._push(frame) == 1 and num_read > NUM_WARM_UP
            num_counted += is_counted
            for watch in (self.shared, *(one.watch for one in self._turns)):
                watch.end_frame(is_counted=is_counted)
            self.probe.run()

    def _push(self, frame: Frame) -> int:
        """Take a frame through all stages; returns how many frames the network was given."""
        with self.shared.watch(SCALE):
            ready = list(self._scale.push(frame))
        if self._register is not None:
            with self.shared.watch(REGISTER):
                ready = [found for one in ready for found in self._register.push(one)]
        with self.shared.watch(BACKGROUND):
            seen = [found for one in ready for found in self._look.push(one)]
        self._turns.rotate()
        for one in seen:
            for contender in self._turns:
                detected = contender.push(one)
                if contender is self._tracked:
                    self._follow(detected)
        return len(seen)

    def _follow(self, detected: Sequence[DetectedFrame]) -> None:
        """Track what one contender has detected."""
        with self.shared.watch(TRACK):
            for one in detected:
                list(self._track.push(one))


def _gflop(profile: DetectorProfile, contender: Contender) -> float:
    """Return the arithmetic of a frame at all scales, at full size that of its windows."""
    of_frame = profile.gflop_per_clip if contender.name == RECOMPUTE else profile.gflop_per_frame
    grid = contender.network.window_grid(profile.input_hw)
    shares = [1 / times**2 for times in contender.network.model.scales]
    if grid is not None:
        shares[0] = grid.share
    return of_frame * sum(shares)


def _cost_of(
    contender: Contender, shared: Stopwatch, *, gflop: float, ceiling: Ceiling
) -> ContenderCost:
    """Return what a contender takes."""
    stages = {name: contender.watch.cost(name) for name in (FRAME, CLIP, NETWORK)}
    total = shared.seconds(shared.stages) + contender.watch.seconds([NETWORK])
    reached = gflop / (stages[NETWORK].cpu_ms / 1e3)
    return ContenderCost(
        name=contender.name,
        num_threads=contender.num_threads,
        stages=stages,
        end_to_end=cost_of(total),
        gflop=round(gflop, 3),
        share_of_ceiling=round(reached / ceiling.gflop_per_cpu_second, 6),
    )
