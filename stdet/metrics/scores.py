"""The scores of a report as typed values; what each means is said where it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stdet.config import HitRuleName
from stdet.metrics.detection.average_precision import PrecisionRecall
from stdet.metrics.detection.hit_rule import hit_rule
from stdet.metrics.false_alarm_rate import HourlyRate


@dataclass(frozen=True, kw_only=True)
class DetectionScores:
    """Detection scores; NaN where undefined.

    Attributes:
        map50: COCO average precision at IoU 0.5.
        map50_95: COCO average precision, mean over IoU 0.50 to 0.95.
        ap_distance: Average precision with hits by centre distance strictly below 1, 2, 3 and
            5 px, keyed "1px" and so on; classes are not looked at.
        ap_area: Average precision at IoU 0.5 of targets of an area up to 9, 25, 81 px and above,
            keyed as ``SIZE_BINS_PX2``; classes are not looked at.
        precision: At the confidence of the report, hits by its rule.
        recall: Likewise.
        f1: Likewise.
        legacy: The paper protocol; see ``average_precision``.
    """

    map50: float
    map50_95: float
    ap_distance: Mapping[str, float]
    ap_area: Mapping[str, float]
    precision: float
    recall: float
    f1: float
    legacy: PrecisionRecall


@dataclass(frozen=True, kw_only=True)
class RocScores:
    """Pd against false alarms over all score thresholds.

    Attributes:
        pd_at_false_alarms_per_pixel: Highest Pd at no more than 1e-6, 1e-5 and 1e-4 false alarms
            per pixel, keyed "1e-6" and so on.
        pd_at_false_alarms_per_frame: Likewise for the rates per frame that the settings name,
            keyed "0.05" and so on.
        partial_area: Mean Pd over false alarms per frame from 0 to the rate of the rules.
    """

    pd_at_false_alarms_per_pixel: Mapping[str, float]
    pd_at_false_alarms_per_frame: Mapping[str, float]
    partial_area: float


@dataclass(frozen=True, kw_only=True)
class PdFaScores:
    """Detection probability and false-alarm rates at the confidence of the report, and the ROC."""

    pd: float
    false_alarms_per_hour: HourlyRate
    false_alarms_per_frame: float
    false_alarms_per_pixel: float
    false_area_fraction: float
    roc: RocScores


@dataclass(frozen=True, kw_only=True)
class TrackingScores:
    """Scores by centre distance; as in ``TrackingCounts``, ``HotaCounts`` and ``TrackQuality``.

    Attributes:
        so_scale_px: S of these sequences alone, pixels. ``so_hota``, ``so_deta`` and ``so_assa``
            are by the S of all sequences of the report.
    """

    mota: float
    motp_px: float
    idf1: float
    id_switches: int
    hota: float
    deta: float
    assa: float
    loca: float
    so_hota: float
    so_deta: float
    so_assa: float
    so_scale_px: float
    fragmentations: int
    mostly_tracked: int
    mostly_lost: int
    frames_to_confirmation: float
    seconds_to_confirmation: float
    completeness: float
    purity: float
    false_tracks: int
    false_tracks_per_hour: HourlyRate
    false_tracks_per_1000_frames: float


@dataclass(frozen=True, kw_only=True)
class OverlapTrackingScores:
    """Scores by overlap, a match at IoU 0.5 and more, as MOTChallenge counts."""

    mota: float
    idf1: float
    id_switches: int
    hota: float
    deta: float
    assa: float
    loca: float


@dataclass(frozen=True, kw_only=True)
class Scores:
    """All scores of one sequence, or of all of them together.

    Attributes:
        detection: Detection.
        pd_fa: Detection probability and false alarms.
        tracking: By centre distance.
        tracking_iou: By overlap.
    """

    detection: DetectionScores
    pd_fa: PdFaScores
    tracking: TrackingScores
    tracking_iou: OverlapTrackingScores


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the scores depend on.

    Attributes:
        confidence: Score threshold of precision, recall, F1, Pd and Fa.
        hit_rule: By which detections hit.
        pd_radius_px: Radius of a hit, and floor of the share of the box, pixels.
        hit_box_share: Share of the target's longer side within which a detection hits.
        hit_iou: Least overlap of a hit.
        track_gate_px: Largest distance of a track match, pixels, inclusive.
        so_scale_px: S of all sequences, the scale of SO-HOTA, pixels; NaN without targets.
        link_gate_px: Largest step when truth was linked, pixels.
        roc_max_false_alarms_per_frame: Where the partial area under the ROC ends.
        num_frames: Frames, with and without targets.
        num_targets: True targets that are not ignored.
        truth_sha256: Of the names and the truth of all sequences; two runs of equal hash were
            scored on the same labels.
        labels: Published label list that the sequences are from, "" where none is known.
        linked_sequences: Names of sequences whose identities were guessed by linking the truth.
        untracked_sequences: Names of sequences whose predictions carry no identities; their
            tracking scores are NaN, and those over all sequences too.
    """

    confidence: float
    hit_rule: HitRuleName
    pd_radius_px: float
    hit_box_share: float
    hit_iou: float
    track_gate_px: float
    so_scale_px: float
    link_gate_px: float
    roc_max_false_alarms_per_frame: float
    num_frames: int
    num_targets: int
    truth_sha256: str
    labels: str
    linked_sequences: tuple[str, ...]
    untracked_sequences: tuple[str, ...]

    @property
    def hit(self) -> str:
        """The rule of a hit in words, such as "centre distance < 3 px"."""
        return str(hit_rule(self))
