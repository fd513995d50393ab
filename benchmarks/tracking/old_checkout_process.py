"""Tracks sequences with the `stdet` of commit 5bd3d70, in a process of its own.

Not for use by hand: ``old_checkout.py`` runs this file with that checkout in PYTHONPATH. Requests
and answers are pickles on stdin and stdout.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

import numpy as np
from stdet.tracking.path_scores import PathScores  # type: ignore[import-not-found]

from stdet.config import TrackerConfig
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, Tracks


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    while True:
        try:
            request = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_track(request), answers)
        answers.flush()


def _track(request: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the columns of the tracks of a sequence."""
    config = TrackerConfig()
    scores, tracker = PathScores(config.lookahead), Tracker(config)
    found = []
    for frame_index, (boxes, strengths) in enumerate(request["frames"]):
        detections = Detections.from_unsorted(
            boxes, strengths, frame_index=frame_index, image_hw=request["image_hw"]
        )
        found += scores.push(detections)
    found += scores.flush()
    tracks = Tracks.concatenate(
        [tracker.update(one, confidence=request["confidence"]) for one in found]
    )
    return {name: getattr(tracks, name) for name in request["columns"]}


if __name__ == "__main__":
    main()
