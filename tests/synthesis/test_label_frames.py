from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.synthesis import label_frames as module
from stdet.synthesis.label_frames import LabelFrames, are_points
from stdet.synthesis.settings import NO_DISTRACTORS, DistractorConfig
from stdet.types import SequenceAnnotation

HW = (96, 128)


def truth_of(boxes_of_frames, *, hw=HW):
    """Truth with the boxes of each frame, whose identities are their places in the list."""
    rows = [(f, n, box) for f, boxes in enumerate(boxes_of_frames) for n, box in enumerate(boxes)]
    return SequenceAnnotation(
        name="a",
        num_frames=len(boxes_of_frames),
        image_hw=hw,
        fps=None,
        frame_indices=np.array([row[0] for row in rows], np.int64),
        track_ids=np.array([row[1] + 1 for row in rows], np.int64),
        boxes_xyxy=np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
        class_ids=np.zeros(len(rows), np.int64),
        is_ignored=np.zeros(len(rows), np.bool_),
    )


@pytest.fixture
def bright(monkeypatch):
    """Targets so bright that rounding does not move their centroids, and nothing burnt in."""
    usual = module.label_scene

    def scene(num_frames, hw):
        made = usual(num_frames, hw)
        return replace(
            made,
            background=replace(
                made.background, mean_range=(0.3, 0.3), contrast_range=(0.01, 0.01)
            ),
            targets=replace(made.targets, scr_range=(15.0, 15.0), flicker_range=(0.0, 0.0)),
            distractors=DistractorConfig(**NO_DISTRACTORS),
            sensor=replace(made.sensor, noise_range=(0.01, 0.01)),
        )

    monkeypatch.setattr(module, "label_scene", scene)


def light_of(box, *, points, seed):
    """Return the light that a target adds to its frame, levels of 8 bits."""
    with_target = next(iter(LabelFrames(truth_of([[box]]), points=points, seed=seed)))
    without = next(iter(LabelFrames(truth_of([[]]), points=points, seed=seed)))
    return with_target.astype(float) - without


@pytest.mark.usefixtures("bright")
@pytest.mark.parametrize("points", [False, True])
def test_centroid_of_a_target_is_the_centre_of_its_box(points):
    @given(
        st.floats(12, 116),
        st.floats(12, 84),
        st.floats(4, 16),
        st.floats(4, 16),
        st.integers(0, 9),
    )
    @settings(max_examples=40, deadline=None)
    def centroid_is_centre(x, y, width, height, seed):
        light = light_of(
            (x - width / 2, y - height / 2, x + width / 2, y + height / 2),
            points=points,
            seed=seed,
        )
        columns, rows = np.arange(HW[1]) + 0.5, np.arange(HW[0]) + 0.5
        found = np.array([light.sum(0) @ columns, light.sum(1) @ rows]) / light.sum()
        assert np.hypot(*(found - (x, y))) < 0.5

    centroid_is_centre()


@pytest.mark.usefixtures("bright")
def test_larger_boxes_give_larger_targets_and_points_do_not():
    small, large = (50, 40, 56, 46), (45, 35, 61, 51)

    def area(box, *, points):
        light = np.abs(light_of(box, points=points, seed=3))
        return int((light > 0.5 * light.max()).sum())

    assert area(large, points=False) > 3 * area(small, points=False)
    assert area(large, points=True) == area(small, points=True)


def test_frames_are_the_same_each_time_and_others_with_another_seed():
    truth = truth_of([[(10, 10, 20, 18)], [(12, 10, 22, 18)], []])
    made = LabelFrames(truth, points=False, seed=4)
    first, again = np.stack(list(made)), np.stack(list(made))
    other = np.stack(list(LabelFrames(truth, points=False, seed=5)))
    assert first.dtype == np.uint8
    assert first.shape == (3, *HW)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(first, np.stack(list(LabelFrames(truth, points=False, seed=4))))
    assert (first != other).mean() > 0.5
    assert (first[0] != first[1]).mean() > 0.2  # The noise is of each frame.


def test_camera_takes_the_shaking_of_targets_and_leaves_their_flight():
    shake = np.array([0, 12, -9, 7, -12, 10, -4, 9, -11, 5, 0, 8, -8, 3, -6, 12] * 2, float)
    flight = 1.5 * np.arange(len(shake))
    boxes = [
        [(30 + f + s, 40, 38 + f + s, 48), (50 + f + s, 20, 58 + f + s, 28)]
        for f, s in zip(flight, shake, strict=True)
    ]
    made = LabelFrames(truth_of(boxes), points=False, seed=0)
    # A target of the frame, seen against the scene: its place in the frame plus the camera's.
    against_scene = flight + shake + made.camera.corners_xy[:, 0]
    steps = np.diff(against_scene)
    assert np.diff(flight + shake).std() > 10
    assert steps.std() < 3


def test_sequence_longer_than_memory_is_drawn_frame_by_frame():
    empty = truth_of([[]] * 4000, hw=(512, 640))
    frames = iter(LabelFrames(empty, points=False, seed=0))
    assert next(frames).shape == (512, 640)


def test_boxes_of_one_size_are_points():
    same = truth_of([[(x, 5, x + 8, 13)] for x in range(10)])
    other = truth_of([[(x, 5, x + 8 + x % 3, 13)] for x in range(10)])
    assert are_points([same])
    assert not are_points([same, other])
    assert not are_points([truth_of([[], []])])
