"""How the background moved from one frame of a stream to the next, and whether that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from stdet.registration.transform import Transform


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameMotion:
    """Where the background of the frame before lies in a frame.

    Where it is not known, nothing is carried: tracks, paths and trails go on as before a camera
    at rest.

    Attributes:
        transform: From the frame before to this frame; None where it is not known.
        problem: Why it is not known; None where it is.

    Raises:
        ValueError: If there are both, or neither.

    Example:
        >>> FrameMotion.known(Transform.translation((2.0, 0.0))).is_trusted
        True
    """

    transform: Transform | None
    problem: str | None

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

    @property
    def is_trusted(self) -> bool:
        """Whether there is a transform to use."""
        return self.transform is not None


NO_FRAME_BEFORE = FrameMotion.unknown("no frame before")
"""Of the first frame of a sequence."""
NOT_REGISTERED = FrameMotion.unknown("frames are not registered")
"""Of detectors that look at frames one by one, and of detections without images."""
