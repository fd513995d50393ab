"""Score a folder of predicted masks against a folder of true ones."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stdet.formats.mask_folder import MaskPair, mask_pairs, open_mask_folder
from stdet.metrics.counts import add_fields
from stdet.metrics.detection.pd_fa import MaskPdFa, mask_pd_fa
from stdet.metrics.masks.compatibility import PublishedCounts, PublishedModes, published_modes
from stdet.metrics.masks.iou import MaskIou, mask_iou


@dataclass(frozen=True, kw_only=True)
class MaskScores:
    """Counts of one sequence, or of all of them together.

    Attributes:
        definition: Pd and Fa as this project defines them.
        published: The same masks by the rules of published code.
        overlap: IoU and nIoU.
    """

    definition: MaskPdFa = field(default_factory=MaskPdFa)
    published: PublishedModes = field(default_factory=PublishedModes)
    overlap: MaskIou = field(default_factory=MaskIou)

    def __add__(self, other: MaskScores) -> MaskScores:
        """Return the counts of both."""
        return add_fields(self, other)

    def to_dict(self) -> dict[str, Any]:
        """Return counts and rates as plain values for JSON; NaN becomes None."""
        rules: dict[str, MaskPdFa | PublishedCounts | MaskIou] = {
            "definition": self.definition,
            "basicirstd": self.published.basicirstd,
            "area_key": self.published.area_key,
            "dtum": self.published.dtum,
            "overlap": self.overlap,
        }
        return {
            name: dataclasses.asdict(counts) | _rates(counts) for name, counts in rules.items()
        }


@dataclass(frozen=True, kw_only=True)
class MaskReport:
    """Scores of two mask folders: counts added over images, rates taken from the sums.

    Attributes:
        overall: All sequences together.
        per_sequence: By folder name, in natural order.
        radius_px: Radius of the definition; published modes have their own.
        truth_rule: Which levels of the truth are target.
        prediction_rule: Which levels of the predictions are target.
    """

    overall: MaskScores
    per_sequence: Mapping[str, MaskScores]
    radius_px: float
    truth_rule: str
    prediction_rule: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; NaN, which JSON does not know, becomes None."""
        return {
            **self.overall.to_dict(),
            "per_sequence": {name: scores.to_dict() for name, scores in self.per_sequence.items()},
            "rules": {
                "radius_px": self.radius_px,
                "truth": self.truth_rule,
                "predictions": self.prediction_rule,
            },
        }


def is_mask_folder(path: Path) -> bool:
    """Say whether a folder holds PNG files, itself or one level down, and no MOT truth."""
    if not path.is_dir() or any(
        next(path.glob(pattern), None) is not None for pattern in ("gt", "*/gt", "*.txt")
    ):
        return False
    files = (file for pattern in ("*", "*/*") for file in path.glob(pattern))
    return any(file.suffix.lower() == ".png" for file in files)


def score_masks(truth: Path, predictions: Path, *, radius_px: float = 3.0) -> MaskReport:
    """Score predicted masks against true ones, by the definition and as published code does.

    Args:
        truth: Folder of PNG masks, or of sequence folders; see ``mask_folder.py``.
        predictions: Likewise, with the same names.
        radius_px: Centroids strictly closer than this hit, pixels.

    Raises:
        DataError: If a folder cannot be used or the folders do not match.
        ValueError: If the radius is not positive.
    """
    if not radius_px > 0:
        raise ValueError(f"radius_px is {radius_px}; expected a positive number of pixels.")
    truth_masks, predicted_masks = open_mask_folder(truth), open_mask_folder(predictions)
    per_sequence: dict[str, MaskScores] = {}
    for pair in mask_pairs(truth_masks, predicted_masks):
        so_far = per_sequence.get(pair.sequence, MaskScores())
        per_sequence[pair.sequence] = so_far + _score_pair(pair, radius_px)
    return MaskReport(
        overall=sum(per_sequence.values(), start=MaskScores()),
        per_sequence=per_sequence,
        radius_px=radius_px,
        truth_rule=truth_masks.rule,
        prediction_rule=predicted_masks.rule,
    )


def format_mask_table(report: MaskReport) -> str:
    """Return the report as text: a row per sequence, overall first, the rules side by side."""
    rows = [("overall", report.overall), *report.per_sequence.items()]
    blocks: list[tuple[str, dict[str, Callable[[MaskScores], float]]]] = [
        (
            "Pd",
            {
                "definition": lambda s: s.definition.pd,
                "basicirstd": lambda s: s.published.basicirstd.pd,
                "area_key": lambda s: s.published.area_key.pd,
                "dtum": lambda s: s.published.dtum.pd,
            },
        ),
        (
            "Fa (1e-6 of pixels)",
            {
                "definition": lambda s: 1e6 * s.definition.false_component_area_fraction,
                "basicirstd": lambda s: 1e6 * s.published.basicirstd.false_pixel_fraction,
                "area_key": lambda s: 1e6 * s.published.area_key.false_pixel_fraction,
                "dtum": lambda s: 1e6 * s.published.dtum.false_pixel_fraction,
            },
        ),
        (
            "False, by definition",
            {
                "components": lambda s: s.definition.num_false_components,
                "per frame": lambda s: s.definition.false_components_per_frame,
                "pixels (1e-6)": lambda s: 1e6 * s.definition.false_pixel_fraction,
            },
        ),
        (
            "Overlap",
            {
                "IoU": lambda s: s.overlap.iou,
                "nIoU": lambda s: s.overlap.niou,
                "nIoU, all": lambda s: s.overlap.niou_all_images,
            },
        ),
        (
            "Counts",
            {
                "frames": lambda s: s.definition.num_frames,
                "targets": lambda s: s.definition.num_targets,
                "hits": lambda s: s.definition.num_hits,
            },
        ),
    ]
    label_width = max(20, *(len(label) for label, _ in rows))
    lines: list[str] = []
    for title, columns in blocks:
        lines.append(f"{title:<{label_width}}" + "".join(f"{name:>14}" for name in columns))
        for label, scores in rows:
            cells = "".join(f"{_cell(value(scores)):>14}" for value in columns.values())
            lines.append(f"{label:<{label_width}}{cells}")
        lines.append("")
    lines += [
        f"Definition: centroid distance < {report.radius_px:g} px, best one-to-one match; Fa: "
        "area of unmatched components.",
        "basicirstd, area_key, dtum: the rules of published code, with its own radii; see "
        "docs/metrics.md.",
        "nIoU: mean IoU of images with targets; over all images, those without count as 0.",
        f"Target in truth: {report.truth_rule}; in predictions: {report.prediction_rule}.",
    ]
    return "\n".join(lines) + "\n"


def _score_pair(pair: MaskPair, radius_px: float) -> MaskScores:
    return MaskScores(
        definition=mask_pd_fa(pair.prediction, pair.truth, radius_px=radius_px),
        published=published_modes(pair.prediction, pair.truth),
        overlap=mask_iou(pair.prediction, pair.truth),
    )


def _rates(counts: object) -> dict[str, float | None]:
    """Return the rates of a counts object: its properties, NaN as None."""
    rates = {
        name: getattr(counts, name)
        for name, member in vars(type(counts)).items()
        if isinstance(member, property)
    }
    return {name: None if math.isnan(rate) else rate for name, rate in rates.items()}


def _cell(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.4f}"
