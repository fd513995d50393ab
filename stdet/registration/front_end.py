"""What is found out about each frame of a camera before any detector looks at it.

Bad pixels are replaced, the frame is placed in the scene, and what stands still in the picture is
left out of that. Streams and training sequences go through the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass

from stdet.registration.bad_pixels import BadPixels
from stdet.registration.camera_motion import CameraMotion, CameraPose
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.static_pixels import StaticPixels, fill
from stdet.types import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class ExaminedFrame:
    """A frame, and what is known when it comes.

    Attributes:
        image: Without bad and static pixels, float32 (H, W).
        pose: Where it lies in the scene.
        is_ignored: What does not belong to the scene, bool (H, W); None where all does.
    """

    image: FloatArray
    pose: CameraPose
    is_ignored: BoolArray | None


class FrontEnd:
    """Examine the frames of one sequence.

    Args:
        replaces_bad_pixels: Else frames are taken as they are.
    """

    def __init__(self, *, replaces_bad_pixels: bool = True) -> None:
        """Start without a frame."""
        self._replaces_bad_pixels = replaces_bad_pixels
        self._bad_pixels = BadPixels()
        self._static_pixels = StaticPixels()
        self._motion = CameraMotion()

    @property
    def bad_pixels(self) -> IntArray:
        """Bad pixels known so far (B,), as indices of the flattened frame."""
        return self._bad_pixels.indices

    def is_over(self, run: int) -> bool:
        """Return whether no later frame can belong to a run (``CameraMotion.is_over``)."""
        return self._motion.is_over(run)

    def push(self, frame: FloatArray, *, is_ignored: BoolArray | None = None) -> ExaminedFrame:
        """Take the next frame.

        Args:
            frame: float32 (H, W) in [0, 1].
            is_ignored: Pixels that do not belong to the scene, bool (H, W); those that are found
                to stand still are added.

        Raises:
            ValueError: If the frame's size differs from the one before.
        """
        image = self._bad_pixels.clean(frame) if self._replaces_bad_pixels else frame
        is_static = self._static_pixels.is_static
        is_ignored = _either(is_ignored, is_static)
        prepared = PreparedFrame(image, is_ignored)
        pose = self._motion.push(prepared)
        if self._replaces_bad_pixels:
            self._bad_pixels.learn(frame, pose)
        self._static_pixels.learn(prepared, pose)
        if is_static is not None:
            image = fill(image, is_static)
        return ExaminedFrame(image=image, pose=pose, is_ignored=is_ignored)


def _either(one: BoolArray | None, other: BoolArray | None) -> BoolArray | None:
    """Return the pixels (H, W) that are in one mask or the other."""
    if one is None or other is None:
        return other if one is None else one
    joined: BoolArray = one | other
    return joined
