"""How the background moved from one frame of a stream to the next, and whether that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

from stdet.registration.transform import Transform

MotionModel = Literal["rest", "translation", "similarity", "homography"]
"""What kind of map lies between a frame and its key frame; `rest` is the identity."""


@dataclass(frozen=True, kw_only=True)
class RegistrationQuality:
    """How well a frame could be registered; see ``camera_motion.CameraPose``.

    Attributes:
        model: The simplest kind of map that explains the frame.
        error_px: Standard error of the map, pixels; None where it comes from no alignment.
        unexplained: Share of the frame's contrast that the map does not explain, 0 to 1.
        inliers: Share of the compared pixels that agree with the map, 0 to 1.
    """

    model: MotionModel
    error_px: float | None
    unexplained: float
    inliers: float


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameMotion:
    """Where the background of the frame before lies in a frame.

    Where it is not known, nothing is carried: tracks, paths and trails go on as before a camera
    at rest.

    Attributes:
        transform: From the frame before to this frame; None where it is not known.
        problem: Why it is not known; None where it is.
        quality: How well the frame could be registered; None where nobody has tried.

    Raises:
        ValueError: If there are both, or neither.

    Example:
        >>> FrameMotion.known(Transform.translation((2.0, 0.0))).is_trusted
        True
    """

    transform: Transform | None
    problem: str | None
    quality: RegistrationQuality | None = None

    def __post_init__(self) -> None:
        """Check that one of the two is there."""
        if (self.transform is None) == (self.problem is None):
            raise ValueError("a motion has a transform or a problem; expected one of them.")

    @classmethod
    def known(cls, transform: Transform) -> Self:
        """Return a motion that was measured and is trusted."""
        return cls(transform=transform, problem=None)

    @classmethod
    def unknown(cls, problem: str) -> Self:
        """Return a motion that was not measured, or is not trusted."""
        return cls(transform=None, problem=problem)

    def rated(self, quality: RegistrationQuality) -> FrameMotion:
        """Return the motion with how well the frame could be registered."""
        return replace(self, quality=quality)

    @property
    def is_same_scene(self) -> bool:
        """False after a cut, and for a frame that shows nothing of the scene."""
        return self.problem != OTHER_SCENE

    @property
    def is_trusted(self) -> bool:
        """Whether there is a transform to use."""
        return self.transform is not None


OTHER_SCENE = "the frames do not show the same scene"
"""Problem of a frame after a cut, and of one that is spoilt."""
NO_FRAME_BEFORE = FrameMotion.unknown("no frame before")
"""Of the first frame of a sequence."""
NOT_REGISTERED = FrameMotion.unknown("frames are not registered")
"""Of detectors that look at frames one by one, and of detections without images."""
