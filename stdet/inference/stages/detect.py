"""Detect on every frame of one sequence, with a network or with a classical method."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from stdet.classical.peaks import find_peaks
from stdet.config import PostprocessConfig
from stdet.inference.engines.engine import State
from stdet.inference.merge_scales import merge_scales
from stdet.inference.network import FrameFeatures, FrameInWindows, Network, NetworkInput
from stdet.inference.stages.frames import DetectedFrame, FrameWithReferences, StreamFrame
from stdet.inference.stages.stage import Stage
from stdet.inference.windows import WindowChoice
from stdet.registration.background_features import frame_and_features
from stdet.registration.contrast_peaks import Peaks, contrast_peaks
from stdet.types import FloatArray

Seen = TypeVar("Seen", bound=StreamFrame, contravariant=True)
"""What a detector looks at: a frame alone, or one with its reference frames."""


class SameSize(Stage[StreamFrame, StreamFrame]):
    """Let frames of one size pass alone."""

    name = "size"

    def __init__(self) -> None:
        """Start before the first frame."""
        self._hw: tuple[int, ...] | None = None

    def push(self, frame: StreamFrame, /) -> Iterator[StreamFrame]:
        """Return the frame.

        Raises:
            ValueError: If its size is not that of the first one.
        """
        hw = frame.scaled.shape
        if self._hw not in (None, hw):
            raise ValueError(
                f"frame {frame.index} is {hw}; the stream began with {self._hw}. Begin another "
                "stream for frames of another size."
            )
        self._hw = hw
        yield frame


class DetectPeaks(Stage[Seen, DetectedFrame], Generic[Seen]):
    """Take the peaks of a response map.

    Args:
        respond: Response map of a frame, float32 (H, W), high where a target may be, in units of
            its local RMS.
        config: ``score_floor`` and ``max_detections`` are used; detections are kept apart by
            centre distance, so ``nms_iou`` is not.
    """

    name = "detect"

    def __init__(self, respond: Callable[[Seen], FloatArray], config: PostprocessConfig) -> None:
        """Keep the method."""
        self._respond = respond
        self._config = config

    def push(self, frame: Seen, /) -> Iterator[DetectedFrame]:
        """Detect on a frame."""
        found = find_peaks(
            self._respond(frame),
            max_detections=self._config.max_detections,
            frame_index=frame.index,
        )
        yield DetectedFrame.of(frame, found[found.scores >= self._config.score_floor])


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameToSee(StreamFrame):
    """A frame and what the network looks at in it.

    Attributes:
        seen: At each scale of the network, the finest first.
        peaks: Of the residual at full size; None where there is none.
    """

    seen: tuple[NetworkInput, ...]
    peaks: Peaks | None


class Look(Stage[StreamFrame, FrameToSee]):
    """Prepare what the network looks at: background features where frames have references.

    Args:
        scales: Of the network; see ``ModelConfig.scales``.
    """

    name = "look"

    def __init__(self, scales: Sequence[int]) -> None:
        """Keep the scales."""
        self._scales = tuple(scales)

    def push(self, frame: StreamFrame, /) -> Iterator[FrameToSee]:
        """Look at a frame."""
        channels = frame.scaled[None]
        if isinstance(frame, FrameWithReferences):
            channels = frame_and_features(frame.registered)
        whole = NetworkInput(channels=channels)
        yield FrameToSee(
            **frame.known(),
            scaled=frame.scaled,
            seen=tuple(whole.shrunk(times) for times in self._scales),
            peaks=_peaks_of(whole),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Taken:
    """A frame and what is known of it.

    Attributes:
        frame: As it came in.
        peaks: Of its residual, if it has one.
        closely: At full size, where that is looked at in windows; else None.
        features: At every other scale.
    """

    frame: StreamFrame
    peaks: Peaks | None
    closely: FrameInWindows | None
    features: tuple[FrameFeatures, ...]

    @property
    def run(self) -> int:
        """Number of the run of registered frames it belongs to; 0 where frames are not."""
        return 0 if self.frame.pose is None else self.frame.pose.run


class DetectWithNetwork(Stage[FrameToSee, DetectedFrame]):
    """Run the network on the clip around each frame, each frame's features computed once.

    Equal to running the detector on every clip of T frames, with the sampler's padding rule at the
    start and at the end; tested. A cut ends one run of frames and begins another: in place of a
    frame of another run the clip has the nearest one of its own.

    Large frames are looked at in windows at full size (``windows.py``), where smaller scales and
    the residual say that there may be something.

    Args:
        network: Gives the features of a frame, and the detections of a clip.
    """

    name = "detect"

    def __init__(self, network: Network) -> None:
        """Start before the first frame."""
        self._network = network
        self.delay = network.num_later_frames
        self._ring: deque[_Taken] = deque(maxlen=network.num_kept_frames)
        self._states: list[State] = []
        self._choice: WindowChoice | None = None
        self._run = 0
        self._num_taken = 0
        self._num_decided = 0

    def push(self, frame: FrameToSee, /) -> Iterator[DetectedFrame]:
        """Take the next frame."""
        network = self._network
        in_windows = network.window_grid(frame.scaled.shape) is not None
        # Without what the network has looked at, which is several times the frame.
        kept = StreamFrame(**frame.known(), scaled=frame.scaled)
        self._ring.append(
            _Taken(
                frame=kept,
                peaks=frame.peaks,
                closely=network.in_windows(frame.seen[0]) if in_windows else None,
                features=tuple(map(network.features, frame.seen[in_windows:])),
            )
        )
        self._num_taken += 1
        yield from self._decide_up_to(self._num_taken - self.delay)

    def flush(self) -> Iterator[DetectedFrame]:
        """Decide the frames that wait for later ones."""
        yield from self._decide_up_to(self._num_taken)

    def _decide_up_to(self, stop: int) -> Iterator[DetectedFrame]:
        """Decide the frames before a position, counted from the start of the sequence."""
        while self._num_decided < stop:
            self._num_decided += 1
            yield self._decide(self._num_decided - 1)

    def _decide(self, key: int) -> DetectedFrame:
        """Detect on the frame at a position of the sequence."""
        last, oldest = self._num_taken - 1, self._num_taken - len(self._ring)
        shape = self._network.shape
        steps = (shape.context_steps * shape.frame_stride).tolist()
        taken = self._ring[key - oldest]
        if taken.run != self._run or not self._states:
            self._begin(taken)
        within = [min(max(key + step, 0), last) - oldest for step in steps]
        context = [self._nearest_of_run(position, key - oldest) for position in within]
        found = []
        for scale, features in enumerate(taken.features):
            output = self._network.detect(
                [one.features[scale] for one in context],
                features,
                self._states[scale],
                frame_index=taken.frame.index,
            )
            self._states[scale] = output.state
            found.append(output.detections)
        if self._choice is None or taken.closely is None:
            detections = merge_scales(found, taken.frame.scaled.shape)
        else:
            windows = self._choice.choose(found, taken.peaks)
            closely = self._network.detect_in_windows(
                [one.closely for one in context if one.closely is not None],
                taken.closely,
                windows,
                frame_index=taken.frame.index,
            )
            detections = merge_scales([closely, *found], taken.frame.scaled.shape)
            self._choice.remember(detections)
        return DetectedFrame.of(taken.frame, detections, taken.peaks)

    def _begin(self, first: _Taken) -> None:
        """Begin a run of frames, of which nothing is known."""
        self._run = first.run
        self._states = [()] * len(first.features)
        hw = first.frame.scaled.shape
        grid = self._network.window_grid(hw)
        self._choice = None if grid is None else WindowChoice(grid, hw)

    def _nearest_of_run(self, position: int, key: int) -> _Taken:
        """Return what is at a position of the ring, or nearer to the key frame in its run."""
        towards = 1 if position < key else -1
        while self._ring[position].run != self._ring[key].run:
            position += towards
        return self._ring[position]


def _peaks_of(seen: NetworkInput) -> Peaks | None:
    """Return the peaks of the residual that the network looks at, if it does."""
    if seen.background is None:
        return None
    _, contrast, *_ = seen.background
    return contrast_peaks(contrast)
