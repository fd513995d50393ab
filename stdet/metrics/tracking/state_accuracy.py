"""State accuracy of Anti-UAV: one target at most, to be boxed where it is and denied where not.

Source:
    Jiang et al. 2021, "Anti-UAV: A Large-Scale Benchmark for Vision-based UAV Tracking" (SA), and
    the Anti-UAV challenge, which takes a penalty off for calling a present target absent. With
    v_t whether the target is there, p_t whether no box is given, and T* the frames with a target,

        SA = 1/T sum_t [ IoU_t v_t + p_t (1 - v_t) ]
        accuracy = SA - 0.2 ( 1/T* sum_t p_t v_t )^0.3

    Both are means over sequences. The benchmark starts trackers on the first true box. Here
    nothing is given, and the box of a frame is its track row of highest score, of equals the
    lowest id.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stdet.boxes import box_iou
from stdet.metrics.counts import ratio
from stdet.types import SequenceAnnotation, Tracks

PENALTY = 0.2
PENALTY_EXPONENT = 0.3


@dataclass(frozen=True, kw_only=True)
class StateAccuracy:
    """Counts of one sequence.

    Attributes:
        num_frames: All frames but those whose only target is ignored.
        num_present: Frames with the target.
        num_denied: Of these, those without a box.
        num_right_absent: Frames without the target and without a box.
        overlap_sum: Sum of IoU over frames with the target.
    """

    num_frames: int
    num_present: int
    num_denied: int
    num_right_absent: int
    overlap_sum: float

    @property
    def state_accuracy(self) -> float:
        """SA."""
        return ratio(self.overlap_sum + self.num_right_absent, self.num_frames)

    @property
    def challenge_accuracy(self) -> float:
        """SA less the penalty, which is 0 for a sequence without the target."""
        share = self.num_denied / self.num_present if self.num_present else 0.0
        return self.state_accuracy - PENALTY * math.pow(share, PENALTY_EXPONENT)


def has_one_target(annotation: SequenceAnnotation) -> bool:
    """Say whether no frame has more than one target, as SA asks."""
    return len(np.unique(annotation.frame_indices)) == len(annotation)


def count_state_accuracy(annotation: SequenceAnnotation, tracks: Tracks) -> StateAccuracy:
    """Count one sequence.

    Args:
        annotation: Truth with one target per frame at most.
        tracks: Rows of the whole sequence.

    Raises:
        ValueError: If a frame has more than one target.
    """
    if not has_one_target(annotation):
        raise ValueError(f"{annotation.name}: a frame has several targets; expected one at most.")
    # The last row of a frame in this order is its best: highest score, then lowest id.
    order = np.lexsort((-tracks.track_ids, tracks.scores, tracks.frame_indices))
    frames = tracks.frame_indices[order]
    best = order[np.append(frames[1:] != frames[:-1], np.ones(min(len(frames), 1), np.bool_))]
    row_of = np.full(annotation.num_frames, -1, np.int64)
    row_of[tracks.frame_indices[best]] = best
    is_counted = np.ones(annotation.num_frames, np.bool_)
    is_counted[annotation.frame_indices[annotation.is_ignored]] = False
    is_present = np.zeros(annotation.num_frames, np.bool_)
    is_present[annotation.frame_indices[~annotation.is_ignored]] = True
    has_box = row_of >= 0
    overlap_sum = 0.0
    for frame in np.flatnonzero(is_present & has_box).tolist():
        truth = annotation.boxes_xyxy[annotation.rows_at(frame)]
        overlap_sum += float(box_iou(tracks.boxes_xyxy[row_of[frame], None], truth)[0, 0])
    return StateAccuracy(
        num_frames=int(is_counted.sum()),
        num_present=int(is_present.sum()),
        num_denied=int((is_present & ~has_box).sum()),
        num_right_absent=int((is_counted & ~is_present & ~has_box).sum()),
        overlap_sum=overlap_sum,
    )


def mean_state_accuracy(sequences: Sequence[StateAccuracy]) -> tuple[float, float]:
    """Return SA and the accuracy of the challenge, means over sequences; NaN without any."""
    if not sequences:
        return float("nan"), float("nan")
    return (
        float(np.mean([counts.state_accuracy for counts in sequences])),
        float(np.mean([counts.challenge_accuracy for counts in sequences])),
    )
