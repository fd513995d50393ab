from dataclasses import replace

import numpy as np
import pytest
import torch
from scenes import SyntheticConfig

from stdet.config import PostprocessConfig, StdetConfig, TrackerConfig
from stdet.datasets.splits import load_sequences
from stdet.evaluation.from_model import (
    detect_sequence,
    rescore_results,
    score_sequences,
    track_detections,
    track_results,
    untracked,
)
from stdet.evaluation.report import SequenceResult, evaluate_sequences
from stdet.inference.detector import Detector
from stdet.inference.stages.frames import DetectedFrame, StreamFrame
from stdet.inference.stages.track import OperatingPoint, Track
from stdet.inference.trained_network import network_of_detector
from stdet.models.build import build_detector
from stdet.registration.contrast_peaks import Peaks
from stdet.tracking.tracker import Tracker
from stdet.types import Detections, SequenceAnnotation, Tracks


def _detector(network, config):
    return Detector.from_network(
        network_of_detector(
            network,
            model=config.model,
            config=config.postprocess,
            device=torch.device("cpu"),
        )
    )


@pytest.mark.parametrize("confidence", [0.3, None])
def test_scoring_scores_what_the_stream_says(
    tmp_path, tiny_model, lively, write_coco_split, confidence
):
    config = StdetConfig(
        model=tiny_model(), postprocess=PostprocessConfig(confidence=confidence, max_detections=5)
    )
    data = write_coco_split(
        tmp_path, [SyntheticConfig(num_frames=5, hw=(32, 32), num_targets=1, name="s")]
    )
    (sequence,) = load_sequences(data, "train")
    network = lively(build_detector(config.model))
    detector = _detector(network, config)
    detections = untracked(sequence.annotation, detect_sequence(detector, sequence)).detections
    assert [d.frame_index for d in detections] == list(range(5))

    detector = _detector(network.train(), config)
    scored = score_sequences(detector, config, [sequence], title="t")
    assert not network.training
    if confidence is not None:
        assert scored.confidence == confidence
    tracks = track_detections(detections, config.tracker, confidence=scored.confidence)
    result = SequenceResult(annotation=sequence.annotation, detections=detections, tracks=tracks)
    wanted = evaluate_sequences(
        rescore_results([result], config.tracker),
        config.evaluation,
        confidence=scored.confidence,
    )
    # As text, because undefined scores are NaN.
    assert repr(scored.report.overall) == repr(wanted.overall)


def test_paths_of_a_stream_and_of_results_are_scored_alike():
    rng = np.random.default_rng(0)

    def frames(count):
        for index in range(count):
            corners = rng.uniform(0, 80, (4, 2)).astype(np.float32)
            yield Detections.from_unsorted(
                np.concatenate([corners, corners + 4], axis=1),
                rng.uniform(0.01, 0.99, 4).astype(np.float32),
                frame_index=index,
                image_hw=(100, 100),
            )

    results = []
    for count in (9, 2):
        none = np.zeros(0, np.int64)
        truth = SequenceAnnotation(
            name="a",
            num_frames=count,
            image_hw=(100, 100),
            fps=None,
            frame_indices=none,
            track_ids=none,
            boxes_xyxy=np.zeros((0, 4), np.float32),
            class_ids=none,
            is_ignored=np.zeros(0, np.bool_),
        )
        results.append(
            SequenceResult(
                annotation=truth, detections=tuple(frames(count)), tracks=Tracks.empty()
            )
        )
    rescored = rescore_results(results, TrackerConfig(lookahead=3))
    for result, scored in zip(results, rescored, strict=True):
        image = np.zeros((100, 100), np.float32)
        given = [
            DetectedFrame.of(StreamFrame.of_scaled(index, image), found)
            for index, found in enumerate(result.detections)
        ]
        track = Track(Tracker(lookahead=3), OperatingPoint(0.5))
        outputs = [frame.detections for frame in track.run(given)]
        assert len(outputs) == len(result.detections)
        for one, other in zip(outputs, scored.detections, strict=True):
            np.testing.assert_array_equal(one.scores, other.scores)
            np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)


def test_results_are_tracked_along_the_peaks_of_their_frames(result_of_a_dim_target):
    seen, blind = result_of_a_dim_target, replace(result_of_a_dim_target, peaks=())
    followed, lost = track_results(
        [seen, blind], TrackerConfig(), confidence=0.5, as_detected=[seen, blind]
    )
    assert len(followed.tracks) == len(seen.detections)
    assert set(followed.tracks.track_ids.tolist()) == {1}
    assert len(lost.tracks) < 30


def test_peaks_of_some_frames_are_refused(result_of_a_dim_target):
    with pytest.raises(ValueError, match="a: peaks of 39 frames of 40; expected one entry each"):
        replace(result_of_a_dim_target, peaks=result_of_a_dim_target.peaks[1:])


@pytest.fixture
def result_of_a_dim_target():
    """Detected in 25 frames, and in 15 later ones the only peak."""
    none = np.zeros(0, np.int64)
    places = [np.array([20.0 + index, 50.0]) for index in range(40)]
    boxes = [np.array([[*(xy - 3), *(xy + 3)]], np.float32) for xy in places]
    return SequenceResult(
        annotation=SequenceAnnotation(
            name="a",
            num_frames=40,
            image_hw=(100, 100),
            fps=None,
            frame_indices=none,
            track_ids=none,
            boxes_xyxy=np.zeros((0, 4), np.float32),
            class_ids=none,
            is_ignored=np.zeros(0, np.bool_),
        ),
        detections=tuple(
            Detections.from_unsorted(
                box[: int(index < 25)],
                np.ones(int(index < 25)),
                frame_index=index,
                image_hw=(100, 100),
            )
            for index, box in enumerate(boxes)
        ),
        tracks=Tracks.empty(),
        peaks=tuple(Peaks(xy=xy[None], strengths=np.array([4.0])) for xy in places),
    )
