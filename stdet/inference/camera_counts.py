"""How well the frames of a stream were registered, all together."""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stdet.registration.camera_motion import CameraPose


@dataclass(frozen=True, kw_only=True)
class CameraSummary:
    """How well frames were registered.

    Attributes:
        num_frames: That were given.
        states: Of how many frames the motion was `measured`, `assumed` or `lost`; see
            ``CameraPose.state``. The sum is less than ``num_frames`` where frames were not
            registered at all.
        models: Of how many frames, but the lost ones, which kind of map explains them.
        median_error_px: Of the frames that were aligned, pixels; None where none was.
        median_inliers: Share of agreeing pixels, 0 to 1, of the same frames.
    """

    num_frames: int
    states: Mapping[str, int]
    models: Mapping[str, int]
    median_error_px: float | None
    median_inliers: float | None


class CameraCounts:
    """Count poses as they come. Two numbers are kept for every frame.

    Args:
        max_frames: Of the newest so many frames alone; None for all.

    Example:
        >>> counts = CameraCounts()
        >>> counts.add(None)
        >>> counts.summary().num_frames, counts.summary().median_error_px
        (1, None)
    """

    def __init__(self, *, max_frames: int | None = None) -> None:
        """Start without a frame."""
        self._num_frames = 0
        self._states = Counter[str](measured=0, assumed=0, lost=0)
        self._models = Counter[str]()
        self._errors_px: deque[float] = deque(maxlen=max_frames)
        self._inliers: deque[float] = deque(maxlen=max_frames)

    def add(self, pose: CameraPose | None) -> None:
        """Take the pose of a frame; None where frames are not registered."""
        self._num_frames += 1
        if pose is None:
            return
        self._states[pose.state] += 1
        if pose.state != "lost":
            self._models[pose.quality.model] += 1
        if pose.quality.error_px is not None:
            self._errors_px.append(pose.quality.error_px)
            self._inliers.append(pose.quality.inliers)

    def summary(self) -> CameraSummary:
        """Return what has been counted so far."""
        return CameraSummary(
            num_frames=self._num_frames,
            states=dict(self._states),
            models=dict(self._models.most_common()),
            median_error_px=_median(self._errors_px),
            median_inliers=_median(self._inliers),
        )


def _median(values: Collection[float]) -> float | None:
    return float(statistics.median(values)) if values else None
