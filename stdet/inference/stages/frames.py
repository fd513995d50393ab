"""What goes from one stage to the next: a frame, its index, its time and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from stdet.boxes import centres_lie_in
from stdet.io.frame_source import RawImage
from stdet.io.live.capture import Capture
from stdet.registration.camera_motion import CameraPose
from stdet.registration.contrast_peaks import Peaks
from stdet.registration.frame_motion import NOT_REGISTERED, FrameMotion
from stdet.registration.registered_stream import Registered, RegisteredFrame
from stdet.types import BoolArray, Detections, FloatArray, Tracks


@dataclass(frozen=True, kw_only=True, eq=False)
class KnownOfFrame:
    """What every stage knows of a frame.

    Attributes:
        index: Counted from 0; jumps where frames are missing.
        time: Seconds from frame 0, None where the frame rate is not known.
        image: Grey levels as stored (H, W).
        is_ignored: Pixels that do not belong to the scene, bool (H, W); None where all do.
        follows_gap: Whether an unknown number of frames is missing before it.
        from_previous: Of the background since the frame before it in the stream.
        pose: Where it lies in the scene; None where frames are not registered.
        capture: When it was taken; None where the source is not live.
    """

    index: int
    time: float | None
    image: RawImage
    is_ignored: BoolArray | None
    follows_gap: bool
    from_previous: FrameMotion
    pose: CameraPose | None
    capture: Capture | None

    def known(self) -> dict[str, Any]:
        """Return these attributes, for a frame that goes on with them."""
        return {field.name: getattr(self, field.name) for field in fields(KnownOfFrame)}


@dataclass(frozen=True, kw_only=True, eq=False)
class StreamFrame(KnownOfFrame):
    """A frame of a stream.

    Attributes:
        scaled: Grey levels in [0, 1], float32 (H, W).
    """

    scaled: FloatArray
    is_ignored: BoolArray | None = None
    follows_gap: bool = False
    from_previous: FrameMotion = NOT_REGISTERED
    pose: CameraPose | None = None
    capture: Capture | None = None

    @classmethod
    def of_scaled(cls, index: int, scaled: FloatArray) -> StreamFrame:
        """Return a frame of which nothing but its levels in [0, 1] is known."""
        return cls(index=index, time=None, image=scaled, scaled=scaled)


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameWithReferences(StreamFrame):
    """A frame and the frames of other times that it is registered with.

    Attributes:
        registered: Image without bad pixels, reference frames and their transforms.
    """

    registered: RegisteredFrame

    @classmethod
    def of(cls, registered: Registered[StreamFrame]) -> FrameWithReferences:
        """Return a frame with its reference frames."""
        frame = registered.carried
        known = frame.known() | {
            "is_ignored": registered.frame.is_ignored,
            "from_previous": registered.from_previous,
            "pose": registered.pose,
        }
        return cls(**known, scaled=frame.scaled, registered=registered.frame)


@dataclass(frozen=True, kw_only=True, eq=False)
class DetectedFrame(KnownOfFrame):
    """A frame and its detections.

    Attributes:
        detections: Of the frame.
        peaks: Of the contrast of its residual; None where the detector looks at none.
    """

    detections: Detections
    peaks: Peaks | None = None

    @classmethod
    def of(
        cls, frame: StreamFrame, detections: Detections, peaks: Peaks | None = None
    ) -> DetectedFrame:
        """Return a frame with its detections, without what only a detector needs.

        Detections whose centre lies in an ignored pixel are left out; peaks have none there.
        """
        if frame.is_ignored is not None:
            detections = detections[~centres_lie_in(frame.is_ignored, detections.boxes_xyxy)]
        return cls(**frame.known(), detections=detections, peaks=peaks)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackedFrame(DetectedFrame):
    """One frame of a tracked stream.

    Its detections are those at or above the operating point, and weaker ones that belong to a
    track; their scores are track-before-detect scores where ``tracker.frames_ahead`` is not None.

    Attributes:
        tracks: Confirmed tracks on this frame.
    """

    tracks: Tracks
