"""What each protocol prints, as functions of scores and counts; see ``docs/protocols.md``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stdet.evaluation.protocol_names import PROTOCOL_NAMES
from stdet.metrics.counts import ratio
from stdet.metrics.detection.average_precision import ClassHits, average_precision
from stdet.metrics.masks.hierarchical_iou import HierarchicalIou
from stdet.metrics.masks.protocols import MaskProtocols
from stdet.metrics.scores import Scores
from stdet.metrics.tracking.state_accuracy import StateAccuracy, mean_state_accuracy

Needs = Literal["boxes", "masks", "identities", "one target"]
"""What a protocol needs of truth and output."""

_MILLION = 1e6


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """What the numbers of one sequence, or of several together, are made of.

    Attributes:
        scores: Of the report.
        masks: Counts of the mask protocols.
        safit: Hits by SAFit as the public code computes it, an entry per sequence.
        safit_by_centres: Hits by SAFit with the distance of centres.
        states: State accuracy, an entry per sequence.
        missing: What cannot be had, with the reason and the sequences it holds for.
    """

    scores: Scores
    masks: MaskProtocols
    safit: Sequence[ClassHits]
    safit_by_centres: Sequence[ClassHits]
    states: Sequence[StateAccuracy]
    missing: Mapping[Needs, Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class Number:
    """One number of a protocol.

    Attributes:
        key: In the JSON.
        label: In tables.
        value: What it is; NaN where undefined.
        unit: What it is multiplied by in tables.
    """

    key: str
    label: str
    value: Callable[[Evidence], float]
    unit: float = 1.0


@dataclass(frozen=True)
class Protocol:
    """What a protocol needs and prints."""

    needs: Needs
    numbers: tuple[Number, ...]


def _pd_and_fa(
    pd: Callable[[Evidence], float], fa: Callable[[Evidence], float]
) -> tuple[Number, Number]:
    return Number("pd", "Pd", pd), Number("fa", "Fa (1e-6)", fa, _MILLION)


def _hierarchical(counts: Callable[[Evidence], HierarchicalIou]) -> tuple[Number, ...]:
    return (
        *_pd_and_fa(
            lambda e: counts(e).as_printed.pd, lambda e: counts(e).as_printed.false_pixel_fraction
        ),
        Number("hiou", "hIoU", lambda e: counts(e).as_printed.hiou),
    )


def _of_hits(sum_of: Callable[[HierarchicalIou], float]) -> Callable[[Evidence], float]:
    """Return a mean over matched pairs."""

    def value(evidence: Evidence) -> float:
        counts = evidence.masks.overlap_priority.as_printed
        return ratio(sum_of(counts), counts.num_hits)

    return value


def _of_all(count_of: Callable[[HierarchicalIou], float]) -> Callable[[Evidence], float]:
    """Return a share of hits, missed and false."""

    def value(evidence: Evidence) -> float:
        counts = evidence.masks.overlap_priority.as_printed
        return ratio(count_of(counts), counts.num_all)

    return value


PROTOCOLS: Mapping[str, Protocol] = {
    "stdet": Protocol(
        "boxes",
        (
            Number("pd", "Pd", lambda e: e.scores.pd_fa.pd),
            Number(
                "fa_per_frame", "Fa per frame", lambda e: e.scores.pd_fa.false_alarms_per_frame
            ),
            Number(
                "fa_per_pixel",
                "Fa per 1e6 pixels",
                lambda e: e.scores.pd_fa.false_alarms_per_pixel,
                _MILLION,
            ),
            Number(
                "false_area",
                "false area (1e-6)",
                lambda e: e.scores.pd_fa.false_area_fraction,
                _MILLION,
            ),
            Number("precision", "precision", lambda e: e.scores.detection.precision),
            Number("f1", "F1", lambda e: e.scores.detection.f1),
        ),
    ),
    "coco": Protocol(
        "boxes",
        (
            Number("ap50", "AP50", lambda e: e.scores.detection.map50),
            Number("ap50_95", "AP50:95", lambda e: e.scores.detection.map50_95),
        ),
    ),
    "sstnet": Protocol(
        "boxes",
        (
            Number("precision", "precision", lambda e: e.scores.detection.legacy.precision),
            Number("recall", "recall", lambda e: e.scores.detection.legacy.recall),
            Number("f1", "F1", lambda e: e.scores.detection.legacy.f1),
        ),
    ),
    "safit": Protocol(
        "boxes",
        (
            Number("ap50", "AP50", lambda e: average_precision(e.safit).map50),
            Number("ap50_95", "AP50:95", lambda e: average_precision(e.safit).map50_95),
            Number(
                "ap50_by_centres",
                "AP50 by centres",
                lambda e: average_precision(e.safit_by_centres).map50,
            ),
            Number(
                "ap50_95_by_centres",
                "AP50:95 by centres",
                lambda e: average_precision(e.safit_by_centres).map50_95,
            ),
        ),
    ),
    "stdet_masks": Protocol(
        "masks",
        (
            *_pd_and_fa(
                lambda e: e.masks.definition.pd,
                lambda e: e.masks.definition.false_component_area_fraction,
            ),
            Number("iou", "IoU", lambda e: e.masks.overlap.iou),
            Number("niou", "nIoU", lambda e: e.masks.overlap.niou),
        ),
    ),
    "basicirstd": Protocol(
        "masks",
        (
            *_pd_and_fa(
                lambda e: e.masks.basicirstd.pd, lambda e: e.masks.basicirstd.false_pixel_fraction
            ),
            Number("miou", "mIoU", lambda e: e.masks.overlap.iou),
        ),
    ),
    "dnanet": Protocol(
        "masks",
        (
            *_pd_and_fa(
                lambda e: e.masks.dnanet.pd, lambda e: e.masks.dnanet.false_pixel_fraction
            ),
            Number(
                "fa_mended",
                "Fa without its fault (1e-6)",
                lambda e: e.masks.basicirstd.false_pixel_fraction,
                _MILLION,
            ),
        ),
    ),
    "deeppro": Protocol(
        "masks",
        (
            *_pd_and_fa(
                lambda e: e.masks.shooting.pd, lambda e: e.masks.shooting.false_pixel_fraction
            ),
            Number("pd_mended", "Pd without its fault", lambda e: e.masks.shooting_mended.pd),
            Number(
                "fa_mended",
                "Fa without its fault (1e-6)",
                lambda e: e.masks.shooting_mended.false_pixel_fraction,
                _MILLION,
            ),
        ),
    ),
    "pyirstd_distance": Protocol("masks", _hierarchical(lambda e: e.masks.distance_only)),
    "pyirstd_overlap": Protocol(
        "masks",
        (
            *_hierarchical(lambda e: e.masks.overlap_priority),
            Number("pd_mended", "Pd without its fault", lambda e: e.masks.overlap_priority.pd),
            Number(
                "hiou_mended", "hIoU without its fault", lambda e: e.masks.overlap_priority.hiou
            ),
        ),
    ),
    "pyirstd_errors": Protocol(
        "masks",
        (
            Number("seg_iou", "seg IoU", _of_hits(lambda c: c.iou_sum)),
            Number("seg_merging", "seg merging", _of_hits(lambda c: c.errors.merging_sum)),
            Number(
                "seg_interference",
                "seg interference",
                _of_hits(lambda c: c.errors.interference_sum),
            ),
            Number(
                "seg_perception", "seg perception", _of_hits(lambda c: c.errors.perception_sum)
            ),
            Number("loc_iou", "loc IoU", _of_all(lambda c: c.num_hits)),
            Number(
                "loc_interference",
                "loc interference",
                _of_all(lambda c: c.errors.num_interference),
            ),
            Number("loc_perception", "loc perception", _of_all(lambda c: c.errors.num_perception)),
            Number(
                "loc_m2s", "loc several to one", _of_all(lambda c: c.errors.num_multiple_to_single)
            ),
            Number(
                "loc_s2m", "loc one to several", _of_all(lambda c: c.errors.num_single_to_multiple)
            ),
        ),
    ),
    "so_hota": Protocol(
        "identities",
        (
            Number("so_hota", "SO-HOTA", lambda e: e.scores.tracking.so_hota),
            Number("so_deta", "SO-DetA", lambda e: e.scores.tracking.so_deta),
            Number("so_assa", "SO-AssA", lambda e: e.scores.tracking.so_assa),
        ),
    ),
    "antiuav": Protocol(
        "one target",
        (
            Number("state_accuracy", "state accuracy", lambda e: mean_state_accuracy(e.states)[0]),
            Number("challenge", "challenge accuracy", lambda e: mean_state_accuracy(e.states)[1]),
        ),
    ),
}
"""By the name that `--protocols` takes."""

assert tuple(PROTOCOLS) == PROTOCOL_NAMES, "every protocol has a name that the command line knows"
