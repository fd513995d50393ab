"""One sequence counted once, so that any set of sequences can be scored by adding.

Totals, single sequences and every resample of a bootstrap come from the same counts and formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

from stdet.config import EvaluationConfig
from stdet.metrics.detection.average_precision import ClassHits, class_hits
from stdet.metrics.detection.hit_rule import hit_rule
from stdet.metrics.detection.pairs import flatten
from stdet.metrics.detection.pd_fa import (
    IncrementalMatches,
    PdFa,
    match_incrementally,
    sequence_pd_fa,
)
from stdet.metrics.detection.ranking import (
    SIZE_BINS_PX2,
    RankedHits,
    hits_by_distance,
    hits_by_overlap,
)
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.clear_identity_hota import (
    TrackingCounts,
    count_tracking,
    count_tracking_by_overlap,
)
from stdet.metrics.tracking.hota import HotaCounts, TargetSizes, count_so_hota
from stdet.metrics.tracking.linking import identify_truth
from stdet.metrics.tracking.track_quality import TrackQuality, count_track_quality
from stdet.metrics.truth_digest import TruthDigest, digest_truth
from stdet.types import SequenceAnnotation

AP_DISTANCES_PX = (1, 2, 3, 5)
"""Radii of AP by centre distance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SequenceSummary:
    """What the scores of one sequence are made of.

    Attributes:
        name: Of the sequence.
        truth: What its truth is.
        is_linked: Whether the truth's identities were made by linking.
        is_tracked: Whether the predictions carry identities.
        pd_fa: Counts at the confidence.
        matches: Hits and false alarms at all thresholds.
        tracking: Counts by centre distance.
        tracking_iou: Counts by overlap.
        so_hota: Counts by the similarity of small objects.
        so_scale_px: Scale of that similarity, S, of all sequences that are scored together.
        target_sizes: Of the true boxes, for the scale of this sequence alone.
        track_quality: Counts over identities and tracks.
        by_class: Ranked hits at COCO's overlaps, by class.
        by_distance: Ranked hits by centre distance, keyed "1px" and so on.
        by_area: Ranked hits at IoU 0.5 by size of the target, keyed as ``SIZE_BINS_PX2``.
    """

    name: str
    truth: TruthDigest
    is_linked: bool
    is_tracked: bool
    pd_fa: PdFa
    matches: IncrementalMatches
    tracking: TrackingCounts
    tracking_iou: TrackingCounts
    so_hota: HotaCounts
    so_scale_px: float
    target_sizes: TargetSizes
    track_quality: TrackQuality
    by_class: ClassHits
    by_distance: Mapping[str, RankedHits]
    by_area: Mapping[str, RankedHits]


def so_scale_px_of(truths: Iterable[SequenceAnnotation]) -> float:
    """Return the scale of SO-HOTA of sequences that are scored together, pixels."""
    return reduce(add, map(TargetSizes.of, truths), TargetSizes()).scale_px


def summarise(
    result: SequenceResult, config: EvaluationConfig, *, confidence: float, so_scale_px: float
) -> SequenceSummary:
    """Count one sequence.

    Args:
        result: Truth, detections and tracks.
        config: Rule of a hit, and gates.
        confidence: Score threshold of Pd and Fa.
        so_scale_px: Scale of SO-HOTA, of all sequences that are scored together; see
            ``so_scale_px_of``.

    Returns:
        The counts.
    """
    truth = identify_truth(result.annotation, link_gate_px=config.link_gate_px)
    annotation, tracks, gate_px = truth.annotation, result.tracks, config.track_gate_px
    if annotation.fps is None and config.fps is not None:
        annotation = replace(annotation, fps=config.fps)
    flat, rule = flatten(result), hit_rule(config)
    return SequenceSummary(
        name=annotation.name,
        truth=digest_truth(annotation),
        is_linked=truth.is_linked,
        is_tracked=result.is_tracked,
        pd_fa=sequence_pd_fa(result, rule=rule, confidence=confidence),
        matches=match_incrementally(result, rule=rule),
        tracking=count_tracking(annotation, tracks, gate_px=gate_px),
        tracking_iou=count_tracking_by_overlap(annotation, tracks),
        so_hota=count_so_hota(annotation, tracks, scale_px=so_scale_px, gate_px=gate_px),
        so_scale_px=so_scale_px,
        target_sizes=TargetSizes.of(annotation),
        track_quality=count_track_quality(annotation, tracks, gate_px=gate_px),
        by_class=class_hits(flat),
        by_distance={
            f"{radius}px": hits_by_distance(flat, radius_px=radius) for radius in AP_DISTANCES_PX
        },
        by_area={
            name: hits_by_overlap(flat, area_px2=area) for name, area in SIZE_BINS_PX2.items()
        },
    )
