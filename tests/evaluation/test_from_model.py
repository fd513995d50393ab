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
    untracked,
)
from stdet.evaluation.report import SequenceResult, evaluate_sequences
from stdet.inference.detector import Detector
from stdet.inference.stages.frames import DetectedFrame, StreamFrame
from stdet.inference.stages.track import OperatingPoint, Track
from stdet.inference.trained_network import network_of_detector
from stdet.models.build import build_detector
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
