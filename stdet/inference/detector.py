"""A detector on streams of frames: the network, or a classical method."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from stdet.classical.detector import RegisteredMethod, SingleFrameMethod
from stdet.classical.methods import Method, build_method
from stdet.config import PostprocessConfig
from stdet.inference.engines.names import EngineName
from stdet.inference.load_network import load_network
from stdet.inference.network import Network
from stdet.inference.stages.detect import DetectPeaks, DetectWithNetwork, Look, SameSize
from stdet.inference.stages.fixed import LeaveOutFixed
from stdet.inference.stages.frames import DetectedFrame, FrameWithReferences, StreamFrame
from stdet.inference.stages.read import Scale
from stdet.inference.stages.register import Register
from stdet.inference.stages.split import SplitAtGaps
from stdet.inference.stages.stage import InOwnThread, Stage
from stdet.inference.stages.times import StageTimes, timed
from stdet.inference.weights_files import DEFAULT_WEIGHTS
from stdet.io.array_source import Array, open_frames
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.registration.background_features import LAGS
from stdet.types import Detections, FloatArray

DetectorStage = Stage[StreamFrame, DetectedFrame]
"""The stages of a detector, joined: frames in, detections out, for one sequence."""


class Detector:
    """Find small targets in the frames of a stream.

    Args:
        start: Returns fresh stages for one sequence, timed where it is given times.
    """

    def __init__(self, start: Callable[[StageTimes | None], DetectorStage]) -> None:
        """Keep how a sequence is begun."""
        self._start = start

    def start(self, times: StageTimes | None = None) -> DetectorStage:
        """Return fresh stages for one sequence of frames of one size.

        Args:
            times: Times them; None for no times.
        """
        return self._start(times)

    def predict(self, source: str | Path | Iterable[Array]) -> list[Detections]:
        """Detect on every frame, each with the score that the detector gives it.

        All detections down to the score floor come out, most of them clutter: what
        ``stdet.track`` finds out from the paths of targets is not in these scores.

        Args:
            source: As in ``stdet.track``.

        Returns:
            One entry per frame, in order.
        """
        with open_frames(source) as frames:
            watch = SceneWatch(frames.path, frames.scale)
            scale = Scale(frames.scale, fps=frames.fps, watch=watch)
            stages = scale.then(SplitAtGaps(self.start, gaps=frames.gaps))
            found = [frame.detections for frame in stages.run(frames.frames())]
        watch.log()
        return found

    @classmethod
    def from_network(cls, network: Network, *, latency: int | None = None) -> Detector:
        """Build a detector of a network that is in memory.

        Args:
            network: It.
            latency: Frames that a frame may wait for later reference frames; None for no limit.
        """

        def start(times: StageTimes | None) -> DetectorStage:
            look = Look(network.model.scales)
            if network.model.background:
                register = timed(
                    Register(LAGS, has_long_term=network.model.long_term, latency=latency), times
                )
                prepare = SameSize().then(register).then(timed(look, times))
            else:
                prepare = SameSize().then(look)
            detect = timed(DetectWithNetwork(network), times).then(LeaveOutFixed())
            return InOwnThread(prepare, "look").then(InOwnThread(detect, "detect"))

        return cls(start)

    @classmethod
    def from_weights(
        cls,
        weights: str = DEFAULT_WEIGHTS,
        *,
        device: str = "auto",
        engine: EngineName = "auto",
    ) -> Detector:
        """Build a detector of a weights file.

        Args:
            weights: Name of shipped weights, or a file of `stdet train`.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            engine: What runs the network; see ``choose_engine``.

        Raises:
            CheckpointError: If the weights cannot be used.
        """
        return cls.from_network(load_network(weights, device=device, engine=engine).network)

    @classmethod
    def from_classical(
        cls,
        name: Method,
        config: PostprocessConfig | None = None,
        *,
        latency: int | None = None,
    ) -> Detector:
        """Build a classical detector, which needs no weights.

        Args:
            name: One of ``METHODS``.
            config: See ``DetectPeaks``; None for the defaults.
            latency: As for ``from_network``.
        """
        config = PostprocessConfig() if config is None else config
        method = build_method(name)

        def start(times: StageTimes | None) -> DetectorStage:
            if isinstance(method, SingleFrameMethod):
                alone = DetectPeaks(_of_frame(method), config)
                return SameSize().then(timed(alone, times))
            compared = DetectPeaks(_of_references(method), config)
            register = SameSize().then(timed(Register(method.lags, latency=latency), times))
            return InOwnThread(register, "register").then(timed(compared, times))

        return cls(start)


def _of_frame(method: SingleFrameMethod) -> Callable[[StreamFrame], FloatArray]:
    return lambda frame: method.respond(frame.scaled)


def _of_references(method: RegisteredMethod) -> Callable[[FrameWithReferences], FloatArray]:
    return lambda frame: method.respond(frame.registered)
