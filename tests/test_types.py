import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.types import UNKNOWN_TRACK_ID, Detections, SequenceAnnotation, Tracks

BOXES = np.array([[0, 0, 2, 2], [1, 1, 4, 5], [3, 0, 4, 1]], np.float32)


def _detections(**changes) -> Detections:
    columns = {
        "boxes_xyxy": BOXES,
        "scores": np.array([0.9, 0.5, 0.5], np.float32),
        "class_ids": np.zeros(3, np.int64),
        "frame_index": 7,
        "image_hw": (10, 20),
    }
    return Detections(**{**columns, **changes})


def _tracks(rows: list[tuple[int, int]], **changes) -> Tracks:
    """Tracks of (frame, id) rows; the box of row k is (k, 0, k + 1, 1)."""
    num = len(rows)
    left = np.arange(num, dtype=np.float32)
    columns = {
        "frame_indices": np.array([frame for frame, _ in rows], np.int64),
        "track_ids": np.array([track_id for _, track_id in rows], np.int64),
        "boxes_xyxy": np.stack([left, left * 0, left + 1, left * 0 + 1], axis=1),
        "scores": np.ones(num, np.float32),
        "probabilities": np.ones(num, np.float32),
        "class_ids": np.zeros(num, np.int64),
        "detection_indices": np.arange(num, dtype=np.int64),
    }
    return Tracks(**{**columns, **changes})


def _annotation(**changes) -> SequenceAnnotation:
    columns = {
        "name": "s",
        "num_frames": 5,
        "image_hw": (10, 20),
        "fps": None,
        "frame_indices": np.array([0, 2, 2]),
        "track_ids": np.array([1, 1, 2]),
        "boxes_xyxy": BOXES.copy(),
        "class_ids": np.zeros(3, np.int64),
        "is_ignored": np.zeros(3, np.bool_),
    }
    return SequenceAnnotation(**{**columns, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes_xyxy": BOXES[:, :3]}, r"shape \(3, 3\); expected \(N, 4\)"),
        ({"boxes_xyxy": BOXES[0]}, r"shape \(4,\)"),
        ({"boxes_xyxy": np.full_like(BOXES, np.nan)}, "not finite"),
        ({"boxes_xyxy": np.full_like(BOXES, 3e38)}, r"beyond 1e\+09 pixels"),
        ({"boxes_xyxy": np.full_like(BOXES, -3e38)}, r"beyond 1e\+09 pixels"),
        ({"boxes_xyxy": BOXES[:, [2, 1, 0, 3]]}, "x2 < x1"),
        ({"scores": np.ones(2, np.float32)}, r"Detections\.scores has 2 rows; expected 3"),
        ({"class_ids": np.zeros(4, np.int64)}, "class_ids has 4 rows"),
        ({"scores": np.array([1.1, 0.5, 0.4], np.float32)}, r"outside \[0, 1\]"),
        ({"scores": np.array([0.5, np.nan, 0.4], np.float32)}, "NaN"),
        ({"scores": np.array([0.4, 0.5, 0.6], np.float32)}, "descending"),
    ],
)
def test_detections_refuse_what_breaks_the_contract(changes, message):
    with pytest.raises(ValueError, match=message):
        _detections(**changes)


def test_picked_detections_keep_frame_and_size():
    found = _detections()
    for picked in (found[found.scores >= 0.6], found[:1], found[np.array([0])]):
        assert len(picked) == 1
        assert picked.boxes_xyxy.tolist() == [[0, 0, 2, 2]]
        assert (picked.frame_index, picked.image_hw) == (7, (10, 20))
    assert len(found[found.scores > 1]) == 0


def test_detections_cannot_be_picked_out_of_order():
    with pytest.raises(ValueError, match="descending"):
        _detections()[np.array([2, 0])]


def test_empty_detections_have_no_rows_and_four_columns():
    empty = Detections.empty(frame_index=3, image_hw=(4, 5))
    assert len(empty) == 0
    assert empty.boxes_xyxy.shape == (0, 4)
    assert len(empty[empty.scores > 0.5]) == 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=8))
def test_rows_in_any_order_come_out_sorted_with_their_boxes(scores):
    num = len(scores)
    left = np.arange(num, dtype=np.float32)
    found = Detections.from_unsorted(
        np.stack([left, left, left + 1, left + 1], axis=1),
        np.array(scores, np.float32),
        frame_index=0,
        image_hw=(10, 10),
        class_ids=np.arange(num),
    )
    # Equal scores keep the order in which they came.
    order = sorted(range(num), key=lambda row: -scores[row])
    assert found.class_ids.tolist() == order
    assert found.boxes_xyxy[:, 0].tolist() == order
    assert found.scores.tolist() == [scores[row] for row in order]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(0, 0)], "at least 1"),
        ([(0, UNKNOWN_TRACK_ID)], "at least 1"),
        ([(1, 1), (0, 1)], "not sorted"),
        ([(0, 2), (0, 1)], "not sorted"),
        ([(0, 1), (0, 1)], "repeat an id"),
    ],
)
def test_tracks_refuse_wrong_ids_and_order(rows, message):
    with pytest.raises(ValueError, match=message):
        _tracks(rows)


def test_tracks_refuse_columns_of_other_length():
    with pytest.raises(ValueError, match=r"Tracks\.detection_indices has 1 rows; expected 2"):
        _tracks([(0, 1), (1, 1)], detection_indices=np.zeros(1, np.int64))


def test_tracks_of_one_frame_are_its_rows():
    tracks = _tracks([(0, 1), (2, 1), (2, 5), (3, 5)])
    assert tracks.at_frame(2).track_ids.tolist() == [1, 5]
    assert tracks.at_frame(2).boxes_xyxy[:, 0].tolist() == [1, 2]
    assert [len(tracks.at_frame(frame)) for frame in (-1, 0, 1, 3, 4)] == [0, 1, 0, 1, 0]


def test_concatenated_frames_give_the_whole():
    tracks = _tracks([(0, 1), (2, 1), (2, 5), (3, 5)])
    again = Tracks.concatenate([tracks.at_frame(frame) for frame in range(5)])
    for field in dataclasses.fields(Tracks):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(tracks, field.name))
    assert len(Tracks.concatenate([])) == 0
    assert len(Tracks.concatenate([Tracks.empty(), Tracks.empty()])) == 0


def test_concatenation_refuses_frames_that_go_back():
    with pytest.raises(ValueError, match="not sorted"):
        Tracks.concatenate([_tracks([(3, 1)]), _tracks([(2, 1)])])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_indices": np.array([0, 2, 5])}, "outside its 5 frames"),
        ({"frame_indices": np.array([-1, 2, 2])}, "outside its 5 frames"),
        ({"frame_indices": np.array([2, 0, 2])}, "not sorted by frame"),
        ({"track_ids": np.array([1, 2, 2])}, "repeat an id"),
        ({"track_ids": np.array([1, 0, 2])}, "at least 1, or -1 in every row"),
        ({"track_ids": np.array([1, UNKNOWN_TRACK_ID, 2])}, "at least 1, or -1 in every row"),
        ({"is_ignored": np.zeros(2, np.bool_)}, "is_ignored has 2 rows"),
        ({"boxes_xyxy": np.full_like(BOXES, np.inf)}, "not finite"),
    ],
)
def test_annotation_refuses_what_breaks_the_contract(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        _annotation(**changes)
    assert "SequenceAnnotation('s')" in str(caught.value)


def test_annotation_without_identities_says_so():
    assert _annotation().has_identities
    assert not _annotation(track_ids=np.full(3, UNKNOWN_TRACK_ID)).has_identities
    assert SequenceAnnotation.empty(name="e", num_frames=2, image_hw=(4, 4)).has_identities


@pytest.mark.parametrize(
    "column", ["frame_indices", "track_ids", "boxes_xyxy", "class_ids", "is_ignored"]
)
def test_annotation_arrays_cannot_be_written(column):
    annotation = _annotation()
    with pytest.raises(ValueError, match="read-only"):
        getattr(annotation, column)[0] = 1


def test_rows_of_a_frame_are_a_slice_and_empty_frames_are_real():
    annotation = _annotation()
    slices = [annotation.rows_at(frame) for frame in range(5)]
    assert [(at.start, at.stop) for at in slices] == [(0, 1), (1, 1), (1, 3), (3, 3), (3, 3)]
    empty = SequenceAnnotation.empty(name="e", num_frames=9, image_hw=(4, 4), fps=25.0)
    assert (len(empty), empty.num_frames, empty.fps) == (0, 9, 25.0)
    assert empty.rows_at(8) == slice(0, 0)


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        _detections().frame_index = 3  # type: ignore[misc]


@pytest.mark.parametrize("probability", [-0.1, 1.1])
def test_tracks_refuse_a_probability_that_is_none(probability):
    with pytest.raises(ValueError, match=r"probabilities lie outside \[0, 1\]"):
        _tracks([(0, 1)], probabilities=np.full(1, probability, np.float32))
