"""A camera that jerks, from frames to tracks, files and scores of a split."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

import stdet
from stdet.classical.methods import OPERATING_POINTS
from stdet.config import TrackerConfig
from stdet.evaluation.from_model import track_detections, track_results, untracked
from stdet.formats.track_json import read_track_json
from stdet.inference.detector import Detector
from stdet.inference.stages.frames import StreamFrame
from stdet.inference.track_files import track_to_files
from stdet.inference.track_options import TrackOptions
from stdet.types import SequenceAnnotation

NUM_FRAMES, EVERY, HW = 64, 13, (96, 128)
CONFIDENCE = OPERATING_POINTS["framediff"]


@pytest.fixture(scope="module")
def frames():
    """A window that jumps by 20 px over a scene in which a small target moves."""
    rng = np.random.default_rng(0)
    clouds = gaussian_filter(rng.normal(size=(150, 190)), 3)
    images = []
    for index in range(NUM_FRAMES):
        image = 0.4 + 0.06 * clouds / clouds.std() + rng.normal(0, 0.003, clouds.shape)
        y, x = 70 + index // 6, 60 + index
        image[y : y + 2, x : x + 2] += 0.3
        top, left = [(20, 20), (36, 32), (20, 44), (36, 56), (24, 40)][index // EVERY]
        image = image[top : top + HW[0], left : left + HW[1]]
        images.append((np.clip(image, 0, 1) * 255).astype(np.uint8))
    return np.stack(images)


@pytest.fixture(scope="module")
def tracked(frames):
    return list(stdet.track(frames, detector="framediff"))


@pytest.fixture(scope="module")
def result(frames):
    """The same frames as a sequence of a data set, without truth."""
    nothing = np.zeros(0, np.int64)
    annotation = SequenceAnnotation(
        name="jerks",
        num_frames=NUM_FRAMES,
        image_hw=HW,
        fps=None,
        frame_indices=nothing,
        track_ids=nothing,
        boxes_xyxy=np.zeros((0, 4), np.float32),
        class_ids=nothing,
        is_ignored=np.zeros(0, np.bool_),
    )
    scaled = (frames / np.float32(255)).astype(np.float32)
    given = [StreamFrame.of_scaled(index, image) for index, image in enumerate(scaled)]
    return untracked(annotation, Detector.from_classical("framediff").start().run(given))


def test_every_frame_says_how_the_camera_moved(tracked):
    assert tracked[0].from_previous.problem == "no frame before"
    for frame in tracked[1:]:
        is_jerk = frame.index % EVERY == 0
        assert (np.abs(frame.from_previous.transform.offset_xy).max() > 10) == is_jerk


def test_target_keeps_its_id_through_every_jerk(tracked):
    assert {tuple(frame.tracks.ids.tolist()) for frame in tracked[2:]} == {(1,)}


def test_split_is_scored_with_the_motions_of_the_stream(tracked, result):
    (one,) = track_results([result], TrackerConfig(), confidence=CONFIDENCE, as_detected=[result])
    expected = stdet.Tracks.concatenate([frame.tracks for frame in tracked])
    np.testing.assert_array_equal(one.tracks.track_ids, expected.track_ids)
    np.testing.assert_array_equal(one.tracks.boxes_xyxy, expected.boxes_xyxy)
    # Without them the target is lost at every jerk.
    resting = [replace(result, motions=())]
    (other,) = track_results(resting, TrackerConfig(), confidence=CONFIDENCE, as_detected=resting)
    num_seen, num_expected = (
        np.count_nonzero(tracks.detection_indices >= 0) for tracks in (other.tracks, expected)
    )
    assert num_seen < num_expected - 4 * 2


def test_motions_of_some_frames_are_refused(result):
    with pytest.raises(ValueError, match="63 motions of 64 frames"):
        replace(result, motions=result.motions[1:])


def test_detections_and_motions_of_a_file_give_its_tracks(frames, tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{index:03}.png")
    options = TrackOptions(out_dir=tmp_path / "o", detector="framediff", with_video=False)
    track_to_files(folder, options)
    path = tmp_path / "o" / "clip.json"
    content = json.loads(path.read_text())
    trusted = [entry["camera_motion"]["is_trusted"] for entry in content["frames"]]
    assert trusted == [False] + [True] * (NUM_FRAMES - 1)
    read = read_track_json(path)
    again = track_detections(
        [read.detections[index] for index in sorted(read.detections)],
        TrackerConfig(),
        confidence=read.confidence,
        motions=[read.motions[index] for index in sorted(read.detections)],
    )
    assert len(read.detections) == NUM_FRAMES
    np.testing.assert_array_equal(again.track_ids, read.tracks.track_ids)
    np.testing.assert_allclose(again.boxes_xyxy, read.tracks.boxes_xyxy, atol=0.01)
