"""The tracker of commit 5bd3d70, before the camera's motion reached it, from a checkout of it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

from stdet.metrics.sequence_result import SequenceResult
from stdet.types import Tracks

COMMIT = "5bd3d70"
_PROCESS = Path(__file__).with_name("old_checkout_process.py")
_COLUMNS = (
    "frame_indices",
    "track_ids",
    "boxes_xyxy",
    "scores",
    "class_ids",
    "detection_indices",
)


class OldCheckout:
    """A process that tracks with the `stdet` of another checkout; it ends with this one.

    Args:
        checkout: Folder of the repository at ``COMMIT`` (`git worktree add FOLDER 5bd3d70`).
        confidence: Operating point.
    """

    def __init__(self, checkout: Path, *, confidence: float) -> None:
        """Start the process."""
        self._confidence = confidence
        self._process = subprocess.Popen(
            [sys.executable, str(_PROCESS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=checkout,
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )

    def track(self, sequence: SequenceResult) -> Tracks:
        """Track a sequence; the motion of its camera is not used."""
        request = {
            "frames": [(frame.boxes_xyxy, frame.scores) for frame in sequence.detections],
            "image_hw": sequence.annotation.image_hw,
            "confidence": self._confidence,
            "columns": _COLUMNS,
        }
        assert self._process.stdin is not None, "it was started with a pipe"
        assert self._process.stdout is not None, "it was started with a pipe"
        pickle.dump(request, self._process.stdin)
        self._process.stdin.flush()
        columns = pickle.load(self._process.stdout)
        unknown = np.full(len(columns["track_ids"]), np.nan, np.float32)
        return Tracks(**columns, probabilities=unknown)

    def clock(self) -> float:
        """Return the processor time that the process has used, seconds."""
        nanoseconds = Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[0]
        return int(nanoseconds) / 1e9
