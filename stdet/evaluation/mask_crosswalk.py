"""Folders of masks scored by every protocol; components serve the box protocols as boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stdet.config import EvaluationConfig
from stdet.evaluation.crosswalk import ProtocolReport, score_protocols
from stdet.evaluation.protocol_names import PROTOCOL_NAMES
from stdet.evaluation.report import evaluate_sequences
from stdet.formats.mask_folder import MaskPair, mask_pairs, open_mask_folder
from stdet.metrics.masks.components import find_components
from stdet.metrics.masks.from_boxes import boxes_about_components
from stdet.metrics.masks.protocols import MaskProtocols, count_masks
from stdet.metrics.sequence_result import SequenceResult
from stdet.types import (
    UNKNOWN_TRACK_ID,
    BoolArray,
    Detections,
    FloatArray,
    SequenceAnnotation,
    Tracks,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Image:
    """What is kept of a pair of masks: boxes about their components, and counts."""

    sequence: str
    image_hw: tuple[int, int]
    predicted_xyxy: FloatArray
    true_xyxy: FloatArray
    counts: MaskProtocols


def score_mask_protocols(
    truth: Path,
    predictions: Path,
    config: EvaluationConfig,
    *,
    names: Collection[str] = PROTOCOL_NAMES,
) -> ProtocolReport:
    """Score predicted masks against true ones by protocols.

    Detections are the boxes about predicted components, all of score 1, and carry no identities.

    Args:
        truth: Folder of PNG masks, or of sequence folders; see ``mask_folder.py``.
        predictions: Likewise, with the same names.
        config: Radius of our definitions.
        names: Of ``PROTOCOL_NAMES``.

    Raises:
        DataError: If a folder cannot be used or the folders do not match.
        ValueError: If a name is unknown.
    """
    pairs = mask_pairs(open_mask_folder(truth), open_mask_folder(predictions))
    images = [_measure(pair, config.pd_radius_px) for pair in pairs]
    # The rates per pixel need one size of frame in a sequence; sets of single frames have many.
    groups: dict[tuple[str, tuple[int, int]], list[_Image]] = {}
    for image in images:
        groups.setdefault((image.sequence, image.image_hw), []).append(image)
    num_sizes = Counter(sequence for sequence, _ in groups)
    parts, members = dict[str, list[_Image]](), dict[str, list[str]]()
    for (sequence, (height, width)), group in groups.items():
        name = sequence if num_sizes[sequence] == 1 else f"{sequence} {height}x{width}"
        parts[name] = group
        members.setdefault(sequence, []).append(name)
    results = [_result(name, group) for name, group in parts.items()]
    report = evaluate_sequences(results, config, confidence=0.0, subsets=members)
    found = score_protocols(
        results,
        report,
        config,
        names=names,
        masks={
            name: sum((image.counts for image in group), start=MaskProtocols())
            for name, group in parts.items()
        },
    )
    return replace(found, per_sequence=found.subsets, subsets={})


def _measure(pair: MaskPair, radius_px: float) -> _Image:
    """Reduce a pair of masks to what the protocols need."""
    height, width = pair.truth.shape
    return _Image(
        sequence=pair.sequence,
        image_hw=(height, width),
        predicted_xyxy=_boxes(pair.prediction),
        true_xyxy=_boxes(pair.truth),
        counts=count_masks(pair.prediction, pair.truth, radius_px=radius_px),
    )


def _boxes(mask: BoolArray) -> FloatArray:
    return boxes_about_components(find_components(mask))


def _result(name: str, images: Sequence[_Image]) -> SequenceResult:
    """Return the boxes of images of one size as a sequence."""
    image_hw, true = images[0].image_hw, [image.true_xyxy for image in images]
    frame_indices = np.repeat(np.arange(len(images)), [len(boxes) for boxes in true])
    annotation = SequenceAnnotation(
        name=name,
        num_frames=len(images),
        image_hw=image_hw,
        fps=None,
        frame_indices=frame_indices.astype(np.int64),
        track_ids=np.full(len(frame_indices), UNKNOWN_TRACK_ID, np.int64),
        boxes_xyxy=np.concatenate(true),
        class_ids=np.zeros(len(frame_indices), np.int64),
        is_ignored=np.zeros(len(frame_indices), np.bool_),
    )
    detections = tuple(
        Detections.from_unsorted(
            image.predicted_xyxy,
            np.ones(len(image.predicted_xyxy), np.float32),
            frame_index=index,
            image_hw=image_hw,
        )
        for index, image in enumerate(images)
    )
    return SequenceResult(
        annotation=annotation, detections=detections, tracks=Tracks.empty(), is_tracked=False
    )
