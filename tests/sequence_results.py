"""Builders of small sequences, from nested lists of one entry per frame."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stdet.metrics.sequence_result import SequenceResult
from stdet.types import Detections, SequenceAnnotation, Tracks

GOLDEN = Path(__file__).parent / "golden"


def _columns(frames, width):
    """Return the frame of each row and the rows, (M, width)."""
    counts = [len(frame) for frame in frames]
    rows = [row for frame in frames for row in frame]
    return np.repeat(np.arange(len(frames)), counts), np.array(rows, float).reshape(-1, width)


def annotation(frames, *, ids=None, ignored=None, classes=None, hw=(64, 64), name="s"):
    """Truth from [[box, ...], ...]; ids, ignored and classes are nested alike."""
    frame_indices, boxes = _columns(frames, 4)
    flat = lambda nested, default: np.array(  # noqa: E731
        [default] * len(boxes) if nested is None else [x for frame in nested for x in frame]
    )
    return SequenceAnnotation(
        name=name,
        num_frames=len(frames),
        image_hw=hw,
        fps=None,
        frame_indices=frame_indices.astype(np.int64),
        track_ids=flat(ids, -1).astype(np.int64),
        boxes_xyxy=boxes.astype(np.float32),
        class_ids=flat(classes, 0).astype(np.int64),
        is_ignored=flat(ignored, False).astype(bool),
    )


def detections(frames, *, classes=None, hw=(64, 64)):
    """One Detections per frame from [[(x1, y1, x2, y2, score), ...], ...] in any order."""
    parts = []
    for index, frame in enumerate(frames):
        rows = np.array(frame, np.float32).reshape(-1, 5)
        parts.append(
            Detections.from_unsorted(
                rows[:, :4],
                rows[:, 4],
                frame_index=index,
                image_hw=hw,
                class_ids=None if classes is None else np.array(classes[index], np.int64),
            )
        )
    return tuple(parts)


def tracks(frames, *, scores=None):
    """Tracks from [[(id, x1, y1, x2, y2), ...], ...] in any order."""
    frame_indices, rows = _columns(frames, 5)
    order = np.lexsort((rows[:, 0], frame_indices))
    num = len(rows)
    return Tracks(
        frame_indices=frame_indices[order].astype(np.int64),
        track_ids=rows[order, 0].astype(np.int64),
        boxes_xyxy=rows[order, 1:].astype(np.float32),
        scores=np.ones(num, np.float32) if scores is None else np.array(scores, np.float32),
        probabilities=np.full(num, np.nan, np.float32),
        class_ids=np.zeros(num, np.int64),
        detection_indices=np.full(num, -1, np.int64),
    )


def result(truth, found, tracked=None):
    """Join the three; no tracks by default."""
    return SequenceResult(
        annotation=truth, detections=found, tracks=Tracks.empty() if tracked is None else tracked
    )


def point_tracking(frames):
    """Truth and tracks from [{"truth": [(id, x, y)], "tracks": ...}, ...], ids from 0 on."""
    as_box = lambda x, y: (x - 0.5, y - 0.5, x + 0.5, y + 0.5)  # noqa: E731
    truth_frames = [sorted(frame["truth"]) for frame in frames]
    return (
        annotation(
            [[as_box(x, y) for _, x, y in frame] for frame in truth_frames],
            ids=[[number + 1 for number, _, _ in frame] for frame in truth_frames],
        ),
        tracks([[(number + 1, *as_box(x, y)) for number, x, y in f["tracks"]] for f in frames]),
    )


@pytest.fixture(scope="session")
def build():
    return SimpleNamespace(
        annotation=annotation,
        detections=detections,
        tracks=tracks,
        result=result,
        point_tracking=point_tracking,
        box_result=box_result,
        wandering_result=wandering_result,
    )


def wandering_result(name, *, num_frames=30, seed=0):
    """Two targets, found with gaps and in clutter by a track that changes its id half way."""
    rng = np.random.default_rng(seed)
    square = lambda x, y: (x - 2.0, y - 2.0, x + 2.0, y + 2.0)  # noqa: E731
    truth, found, tracked = [], [], []
    for frame in range(num_frames):
        points = [(10 + frame % 40, 20), (50 - frame % 40, 44)]
        truth.append([square(*point) for point in points])
        seen = [square(*point) for point in points if rng.random() < 0.8]
        clutter = [square(*rng.uniform(5, 59, 2)) for _ in range(rng.poisson(0.5))]
        found.append([(*box, rng.uniform(0.2, 1)) for box in seen + clutter])
        first_id = 1 if frame < num_frames // 2 else 11
        tracked.append([(first_id + n, *box) for n, box in enumerate(truth[-1])])
    ids = [[1, 2] for _ in range(num_frames)]
    return result(annotation(truth, ids=ids, name=name), detections(found), tracks(tracked))


@pytest.fixture(scope="session")
def write_page():
    """Write the HTML report of results and return its path."""
    from stdet.config import EvaluationConfig
    from stdet.evaluation.report import evaluate_sequences
    from stdet.report.html_report import write_html_report

    def read_frame(name, frame_index):
        seed = [frame_index, *name.encode()]
        return np.random.default_rng(seed).random((64, 64), np.float32)

    def write(folder, results, *, confidence=0.5, has_images=True, **changes):
        config = EvaluationConfig()
        arguments = {
            "title": "A report",
            "report": evaluate_sequences(results, config, confidence=confidence),
            "results": results,
            "config": config,
            "read_frame": read_frame if has_images else None,
        }
        return write_html_report(folder, **{**arguments, **changes})

    return write


def box_result(case, *, name="s"):
    """One golden box case as a SequenceResult."""
    hw = tuple(case["images"][0]["hw"])
    return result(
        annotation([image["truth_xyxy"] for image in case["images"]], hw=hw, name=name),
        detections([image["detections_xyxy_score"] for image in case["images"]], hw=hw),
    )


def pytest_generate_tests(metafunc):
    """Run a test with an argument ``box_case``, ``mask_case`` or ``track_case`` on each case."""
    for argument, file in [
        ("box_case", "boxes.json"),
        ("mask_case", "masks.json"),
        ("track_case", "tracks.json"),
    ]:
        if argument in metafunc.fixturenames:
            cases = json.loads((GOLDEN / file).read_text(encoding="utf-8"))["cases"]
            metafunc.parametrize(argument, cases, ids=[case["name"][:3] for case in cases])
