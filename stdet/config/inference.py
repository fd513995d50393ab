"""From outputs of the head to detections, tracks and scores."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stdet.config.checks import STRICT

RegionPath = tuple[tuple[int, float, float, float], ...]
"""A region that moves: frame, centre x, centre y and side of its square box, pixels, at some
frames, in order."""

HitRuleName = Literal["centre_distance", "box_share", "iou"]
"""Rules by which a detection hits a target; see ``stdet.metrics.detection.hit_rule``."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class PostprocessConfig:
    """Head outputs to detections."""

    confidence: float | None = Field(default=None, ge=0, le=1)
    """Operating point: detections below this score begin no track (see
    ``tracker.continue_share``) and do not count in P/R/F1 and Pd/Fa. None takes the one stored
    with the weights, chosen on validation or set by the recipe."""
    score_floor: float = Field(default=0.001, ge=0, le=1)
    """Detections that the detector scores below this are dropped; track-before-detect scores may
    be lower."""
    nms_iou: float = Field(default=0.4, gt=0, le=1)
    """Overlap above which the weaker of two boxes is dropped."""
    max_detections: int = Field(default=300, ge=1, le=100_000)
    """Per frame."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class TrackerConfig:
    """Track-before-detect scores, a Kalman filter of several modes, tracks by evidence."""

    lookahead: int | None = Field(default=5, ge=0)
    """Frames by which the output is late. Track-before-detect scores look at all earlier frames
    and at this many later ones, and tracks are put out in hindsight. None keeps the detector's own
    scores and waits for nothing."""
    latency: int | None = Field(default=None, ge=0)
    """Frames by which outputs may be late, from the first frame on; replaces ``lookahead``, unless
    that is None. Below 20, frames are compared with earlier reference frames alone. None takes
    ``lookahead``, and the first frames of a scene wait for later reference frames."""
    false_tracks_per_hour: float = Field(default=0.5, gt=0)
    """Tracks that clutter alone may give in an hour of 25 frames per second, if it comes
    independently from frame to frame; fewer take more detections to confirm a track. Clutter that
    stands or is burnt in gives many more: `--false-alarms-per-hour` limits those."""
    continue_share: float = Field(default=0.6, gt=0, le=1)
    """A track begins when the mean score of its newest detections is at the operating point, and
    is shown while it is above this share of it; both at less where most paths are targets'."""
    max_coast: int = Field(default=2, ge=0)
    """Frames that a track is shown after its last detection, less ``lookahead``: what that sees
    need not be guessed."""
    max_lost: int = Field(default=20, ge=0)
    """Frames in which a confirmed track has neither a detection nor a peak of the residual, after
    which it is forgotten; found again before, it has its id back."""
    measurement_std_px: float = Field(default=0.5, gt=0)
    """Standard deviation of a detected centre, pixels."""
    acceleration_stds_px: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.05, 0.6), min_length=1, max_length=8
    )
    """Standard deviation of the white acceleration of targets that fly straight, that manoeuvre,
    and so on, pixels per frame squared. Which one applies is found for each track."""
    initial_speed_std_px: float = Field(default=5.0, gt=0)
    """Standard deviation of a new track's velocity along each axis, pixels per frame."""
    gate_px: float = Field(default=60.0, gt=0)
    """Largest distance of a detection from where its track is expected, pixels."""
    size_smoothing: float = Field(default=0.3, gt=0, le=1)
    """Weight of the newest box size in the smoothed size."""

    @property
    def frames_ahead(self) -> int | None:
        """Frames that scores and tracks look ahead; None for the detector's own scores.

        An operating point is of one kind of scores, so that ``latency`` does not change the kind.
        """
        return self.lookahead if None in (self.lookahead, self.latency) else self.latency


@dataclass(config=STRICT, frozen=True, kw_only=True)
class EvaluationConfig:
    """Rules of the metrics."""

    hit_rule: HitRuleName = "centre_distance"
    """When a detection hits a target: centres closer than ``pd_radius_px``; closer than
    ``hit_box_share`` of the target's longer side; or an overlap of at least ``hit_iou``."""
    pd_radius_px: float = Field(default=3.0, gt=0)
    """A detection hits when its centre lies strictly closer than this, pixels. With ``box_share``
    it is the least distance that is allowed, however small the box."""
    hit_box_share: float = Field(default=0.5, gt=0)
    """Of ``box_share``: share of the longer side of the true box; 0.5 is within half the box."""
    hit_iou: float = Field(default=0.5, gt=0, le=1)
    """Of ``iou``: least intersection over union of a hit, inclusive."""
    track_gate_px: float = Field(default=8.0, gt=0)
    """Largest centre distance at which a track and a truth match, pixels."""
    link_gate_px: float = Field(default=30.0, gt=0)
    """Largest step when truth without identities is linked into trajectories, pixels."""
    fps: float | None = Field(default=None, gt=0)
    """Frames per second of sequences whose files do not say; None leaves hourly rates undefined
    there."""
    pd_at_false_alarms: tuple[Annotated[float, Field(ge=0)], ...] = (0.05, 0.2, 1.0)
    """Rates at which Pd is read off the ROC, false alarms per frame; 0 asks for Pd before the
    first one."""
    roc_max_false_alarms_per_frame: float = Field(default=1.0, gt=0)
    """The partial area under the ROC ends here, false alarms per frame."""

    ignored_regions: dict[str, tuple[RegionPath, ...]] = Field(default_factory=dict)
    """What moves and has no label, by sequence or group: regions as lists of
    `[frame, x, y, side]` (centre and side, pixels), linear in between. A detection or track that
    would hit a target there counts neither as hit nor as false alarm. Frames have the number at
    the end of an image's name; those of a video count from 0. Sequences that are not scored may
    be named."""

    def __post_init__(self) -> None:
        """Check that no two rates have one name in the report, and the regions."""
        for name, paths in self.ignored_regions.items():
            for path in paths:
                frames = [frame for frame, *_ in path]
                if not frames or frames != sorted(set(frames)) or min(s for *_, s in path) <= 0:
                    raise ValueError(
                        f"ignored_regions of {name} needs [frame, x, y, side] with frames that "
                        "increase and sides above 0"
                    )
        names = [f"{rate:g}" for rate in self.pd_at_false_alarms]
        if len(set(names)) < len(names):
            raise ValueError(
                f"pd_at_false_alarms {', '.join(names)} repeats a rate (of six digits); leave one"
            )
