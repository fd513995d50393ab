"""The same output scored by every protocol of the field.

Scores and counts that a report has already are looked up; the rest is counted here once for each
sequence. ``docs/protocols.md`` says where each protocol comes from and what it counts.

Boxes become masks, and components of masks boxes, by ``metrics/masks/from_boxes.py``. A mask
protocol is undefined for sequences whose true boxes are larger than small targets: there a filled
box is mostly background, and no mask of its target. Frames larger than any camera's are not drawn:
a file of a few lines may state any size.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

from stdet.config import EvaluationConfig
from stdet.evaluation.drawn_masks import count_drawn_masks
from stdet.evaluation.protocol_names import PROTOCOL_NAMES
from stdet.evaluation.protocol_numbers import PROTOCOLS, Evidence, Needs
from stdet.evaluation.report import Report
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.metrics.counts import without_nan
from stdet.metrics.detection.average_precision import class_hits
from stdet.metrics.detection.hit_rule import hit_rule
from stdet.metrics.detection.pairs import flatten
from stdet.metrics.detection.safit import safit
from stdet.metrics.masks.from_boxes import LARGEST_TARGET_PX2, median_area_px2
from stdet.metrics.masks.protocols import MaskProtocols
from stdet.metrics.scores import Scores
from stdet.metrics.sequence_result import SequenceResult
from stdet.metrics.tracking.state_accuracy import count_state_accuracy, has_one_target
from stdet.types import SequenceAnnotation

Numbers = Mapping[str, Mapping[str, float]]
"""Values by protocol and key; NaN where undefined."""

NO_IDENTITIES = "the predictions carry no identities"
SEVERAL_TARGETS = "some frame has more than one target"
LARGE_BOXES = (
    f"the median true box is larger than a small target ({LARGEST_TARGET_PX2:g} px2), so that a "
    "filled box is no mask of its target"
)
HUGE_FRAMES = f"frames above {MAX_MEGAPIXELS:g} megapixels are not drawn"


@dataclass(frozen=True, kw_only=True)
class ProtocolReport:
    """The numbers of several protocols.

    Attributes:
        overall: All sequences together.
        subsets: Sequences that share something, as in the report.
        per_sequence: By name.
        undefined: Why a protocol has no numbers, with the sequences that the reason holds for.
        confidence: Score threshold of the protocols that need one.
        num_boxes: True boxes that were drawn as masks.
        num_components: Components they came to; fewer, where boxes touch.
    """

    overall: Numbers
    subsets: Mapping[str, Numbers]
    per_sequence: Mapping[str, Numbers]
    undefined: Mapping[str, Mapping[str, Sequence[str]]]
    confidence: float
    num_boxes: int
    num_components: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN, which JSON does not know, becomes None."""
        plain: dict[str, Any] = without_nan(
            {
                "overall": self.overall,
                "subsets": self.subsets,
                "per_sequence": self.per_sequence,
                "undefined": self.undefined,
                "rules": {
                    "confidence": self.confidence,
                    "largest_target_px2": LARGEST_TARGET_PX2,
                    "num_boxes": self.num_boxes,
                    "num_components": self.num_components,
                },
            }
        )
        return plain


def score_protocols(
    results: Sequence[SequenceResult],
    report: Report,
    config: EvaluationConfig,
    *,
    names: Collection[str] = PROTOCOL_NAMES,
    masks: Mapping[str, MaskProtocols] | None = None,
) -> ProtocolReport:
    """Score results by protocols.

    Args:
        results: What the report scored.
        report: Its scores and operating point.
        config: The rule of a hit, for ignored truth, and the radius of our mask definition.
        names: Of ``PROTOCOL_NAMES``.
        masks: Counts of the sequences' own masks by name; None draws boxes.

    Returns:
        The numbers, in the order of ``PROTOCOL_NAMES``.

    Raises:
        ValueError: If a name is unknown.
    """
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown:
        raise ValueError(f"protocol {unknown[0]!r} is not one of {', '.join(PROTOCOL_NAMES)}.")
    chosen = [name for name in PROTOCOL_NAMES if name in names]
    counted = _count_all(results, report, config, chosen, masks)
    overall = _join(list(counted.values()), report.overall)
    subsets = {
        name: _join([counted[member] for member in report.members[name]], scores)
        for name, scores in report.subsets.items()
    }
    drawn = []
    if masks is None and _need_masks(chosen):
        drawn = [r.annotation for r in results if not _why_undrawn(r.annotation)]
    return ProtocolReport(
        overall=_numbers(overall, chosen),
        subsets={name: _numbers(joint, chosen) for name, joint in subsets.items()},
        per_sequence={name: _numbers(one, chosen) for name, one in counted.items()},
        undefined={
            name: reasons
            for name in chosen
            if (reasons := overall.missing.get(PROTOCOLS[name].needs))
        },
        confidence=report.rules.confidence,
        num_boxes=sum(int((~truth.is_ignored).sum()) for truth in drawn),
        num_components=int(overall.masks.definition.num_targets) if drawn else 0,
    )


def _count_all(
    results: Sequence[SequenceResult],
    report: Report,
    config: EvaluationConfig,
    chosen: Collection[str],
    masks: Mapping[str, MaskProtocols] | None,
) -> dict[str, Evidence]:
    """Count every sequence, as far as the chosen protocols need it."""
    return {
        result.annotation.name: _count(
            result,
            report.per_sequence[result.annotation.name],
            masks=_masks_of(result, report, config, masks)
            if _need_masks(chosen)
            else MaskProtocols(),
            has_safit="safit" in chosen,
        )
        for result in results
    }


def _need_masks(chosen: Collection[str]) -> bool:
    return any(PROTOCOLS[name].needs == "masks" for name in chosen)


def _masks_of(
    result: SequenceResult,
    report: Report,
    config: EvaluationConfig,
    masks: Mapping[str, MaskProtocols] | None,
) -> MaskProtocols | str:
    """Return the counts of a sequence's masks, or why its boxes cannot pass for masks."""
    if masks is not None:
        return masks[result.annotation.name]
    return _why_undrawn(result.annotation) or count_drawn_masks(
        result,
        rule=hit_rule(config),
        confidence=report.rules.confidence,
        radius_px=config.pd_radius_px,
    )


def _why_undrawn(truth: SequenceAnnotation) -> str | None:
    """Say why boxes of a sequence cannot pass for masks; None where they can."""
    if truth.image_hw[0] * truth.image_hw[1] > MAX_MEGAPIXELS * 1e6:
        return HUGE_FRAMES
    if median_area_px2(truth.boxes_xyxy[~truth.is_ignored]) > LARGEST_TARGET_PX2:
        return LARGE_BOXES
    return None


def _count(
    result: SequenceResult, scores: Scores, *, masks: MaskProtocols | str, has_safit: bool
) -> Evidence:
    """Count one sequence; ``masks`` may be the reason that there are none."""
    name, missing = [result.annotation.name], dict[Needs, dict[str, list[str]]]()
    is_single = has_one_target(result.annotation)
    if isinstance(masks, str):
        missing["masks"] = {masks: name}
    if not result.is_tracked:
        missing["identities"] = missing["one target"] = {NO_IDENTITIES: name}
    elif not is_single:
        missing["one target"] = {SEVERAL_TARGETS: name}
    return Evidence(
        scores=scores,
        masks=MaskProtocols() if isinstance(masks, str) else masks,
        safit=[class_hits(flatten(result, measure=safit("corner")))] if has_safit else [],
        safit_by_centres=[class_hits(flatten(result, measure=safit("centre")))]
        if has_safit
        else [],
        states=[count_state_accuracy(result.annotation, result.tracks)] if is_single else [],
        missing=missing,
    )


def _join(parts: Sequence[Evidence], scores: Scores) -> Evidence:
    """Put sequences together."""
    missing: dict[Needs, dict[str, list[str]]] = {}
    for part in parts:
        for need, reasons in part.missing.items():
            for reason, names in reasons.items():
                missing.setdefault(need, {}).setdefault(reason, []).extend(names)
    return Evidence(
        scores=scores,
        masks=reduce(add, (part.masks for part in parts), MaskProtocols()),
        safit=[hits for part in parts for hits in part.safit],
        safit_by_centres=[hits for part in parts for hits in part.safit_by_centres],
        states=[state for part in parts for state in part.states],
        missing=missing,
    )


def _numbers(evidence: Evidence, names: Sequence[str]) -> Numbers:
    """Return the values of some protocols; NaN for one of which something is missing."""
    return {
        name: {
            number.key: float("nan")
            if PROTOCOLS[name].needs in evidence.missing
            else float(number.value(evidence))
            for number in PROTOCOLS[name].numbers
        }
        for name in names
    }
