"""One pair of masks counted by every mask protocol; ``docs/protocols.md`` says what each is."""

from __future__ import annotations

from dataclasses import dataclass, field

from stdet.metrics.counts import add_fields
from stdet.metrics.detection.pd_fa import MaskPdFa, component_pd_fa
from stdet.metrics.masks.compatibility import PublishedCounts, area_key, basicirstd
from stdet.metrics.masks.components import check_masks, find_components
from stdet.metrics.masks.hierarchical_iou import HierarchicalIou, distance_only, overlap_priority
from stdet.metrics.masks.iou import MaskIou, mask_iou
from stdet.metrics.masks.shooting_rules import shooting_rules, shooting_rules_mended
from stdet.types import BoolArray


@dataclass(frozen=True, kw_only=True)
class MaskProtocols:
    """Counts of the same masks by each protocol.

    Attributes:
        definition: Pd and Fa as this project defines them.
        overlap: Pixel IoU.
        basicirstd: The first-come match; false components are told apart by number.
        dnanet: The same match; false components are told apart by area.
        shooting: The shooting rules.
        shooting_mended: The same without the fault at the border.
        distance_only: Hierarchical IoU, matched by distance.
        overlap_priority: Hierarchical IoU, matched by overlap first.
    """

    definition: MaskPdFa = field(default_factory=MaskPdFa)
    overlap: MaskIou = field(default_factory=MaskIou)
    basicirstd: PublishedCounts = field(default_factory=PublishedCounts)
    dnanet: PublishedCounts = field(default_factory=PublishedCounts)
    shooting: PublishedCounts = field(default_factory=PublishedCounts)
    shooting_mended: PublishedCounts = field(default_factory=PublishedCounts)
    distance_only: HierarchicalIou = field(default_factory=HierarchicalIou)
    overlap_priority: HierarchicalIou = field(default_factory=HierarchicalIou)

    def __add__(self, other: MaskProtocols) -> MaskProtocols:
        """Return the counts of both."""
        return add_fields(self, other)


def count_masks(prediction: BoolArray, truth: BoolArray, *, radius_px: float) -> MaskProtocols:
    """Count one pair of masks by every protocol.

    Args:
        prediction: bool (H, W).
        truth: bool (H, W).
        radius_px: Of the definition; the protocols have their own.

    Raises:
        ValueError: If the masks are not bool or differ in shape.
    """
    check_masks(prediction, truth)
    found, targets = find_components(prediction), find_components(truth)
    return MaskProtocols(
        definition=component_pd_fa(found, targets, radius_px=radius_px),
        overlap=mask_iou(prediction, truth),
        basicirstd=basicirstd(found, targets),
        dnanet=area_key(found, targets),
        shooting=shooting_rules(found, targets),
        shooting_mended=shooting_rules_mended(found, targets),
        distance_only=distance_only(found, targets),
        overlap_priority=overlap_priority(found, targets),
    )
