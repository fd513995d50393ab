"""What a sequence's truth says in a few characters, to tell whether two runs scored the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stdet.types import SequenceAnnotation

DIGEST_LENGTH = 16
"""Hexadecimal digits of a digest."""

_STEPS_PER_PX = 100
"""Corners are rounded to a hundredth of a pixel, so that x + width and x2 agree."""


@dataclass(frozen=True, kw_only=True)
class TruthDigest:
    """The truth of one sequence.

    Attributes:
        num_frames: Frames, with and without targets.
        num_boxes: Targets that count.
        digest: Of frames, boxes and classes; not of names, identities and sizes of frames.
    """

    num_frames: int
    num_boxes: int
    digest: str


def digest_truth(truth: SequenceAnnotation) -> TruthDigest:
    """Digest what is scored of a sequence: the same from any format and in any order of boxes."""
    rows = np.concatenate(
        [
            truth.frame_indices[:, None],
            np.rint(truth.boxes_xyxy.astype(np.float64) * _STEPS_PER_PX).astype(np.int64),
            truth.class_ids[:, None],
        ],
        axis=1,
    )[~truth.is_ignored]
    rows = rows[np.lexsort(rows.T[::-1])]
    content = np.concatenate([[truth.num_frames], rows.ravel()]).astype("<i8")
    return TruthDigest(
        num_frames=truth.num_frames,
        num_boxes=len(rows),
        digest=hashlib.sha256(content.tobytes()).hexdigest()[:DIGEST_LENGTH],
    )


def digest_all(digests: Mapping[str, TruthDigest]) -> str:
    """Return the SHA-256 of the truth of several sequences by name, in any order."""
    lines = sorted(f"{name} {truth.digest}\n" for name, truth in digests.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()
