"""Detections and tracks as NumPy, pandas and supervision have them, there and back."""

import numpy as np
import pytest

from stdet import conversions
from stdet.types import Detections, Tracks


@pytest.fixture
def detections():
    return Detections.from_unsorted(
        np.array([[1, 2, 3, 4], [5, 6, 8, 9]], np.float32),
        np.array([0.25, 0.75], np.float32),
        frame_index=3,
        image_hw=(10, 20),
        class_ids=np.array([1, 0]),
    )


@pytest.fixture
def tracks():
    return Tracks(
        frame_indices=np.array([3, 3, 4]),
        track_ids=np.array([1, 7, 1]),
        boxes_xyxy=np.array([[1, 2, 3, 4], [5, 6, 8, 9], [2, 2, 4, 4]], np.float32),
        scores=np.array([0.5, 0.25, 0.75], np.float32),
        probabilities=np.array([1, 0.5, np.nan], np.float32),
        class_ids=np.array([0, 2, 0]),
        detection_indices=np.array([1, -1, 0]),
    )


def assert_same(one, other):
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(other, name))
        if isinstance(value, np.ndarray):
            assert value.dtype == getattr(other, name).dtype


def test_short_names_are_the_same_arrays(detections, tracks):
    assert detections.xyxy is detections.boxes_xyxy
    assert tracks.xyxy is tracks.boxes_xyxy
    assert tracks.ids is tracks.track_ids


def test_detections_come_back_from_numpy(detections):
    rows = detections.to_numpy()
    assert rows.dtype.names == ("frame_index", "x1", "y1", "x2", "y2", "score", "class_id")
    assert rows[0].tolist() == (3, 5.0, 6.0, 8.0, 9.0, 0.75, 0)
    where = {"frame_index": 3, "image_hw": (10, 20)}
    assert_same(Detections.from_numpy(rows, **where), detections)
    assert_same(Detections.from_numpy(rows[::-1], **where), detections)
    columns = {name: rows[name] for name in rows.dtype.names}
    assert_same(Detections.from_numpy(columns, **where), detections)


def test_tracks_come_back_from_numpy_in_any_order(tracks):
    rows = tracks.to_numpy()
    assert rows[1].tolist() == (3, 7, 5.0, 6.0, 8.0, 9.0, 0.25, 0.5, 2, -1)
    assert_same(Tracks.from_numpy(rows[[2, 0, 1]]), tracks)


def test_detections_of_one_frame_are_taken_from_rows_of_several(tracks):
    found = Detections.from_numpy(tracks.to_numpy(), frame_index=4, image_hw=(10, 20))
    np.testing.assert_array_equal(found.xyxy, [[2, 2, 4, 4]])
    none = Detections.from_numpy(tracks.to_numpy(), frame_index=5, image_hw=(10, 20))
    assert_same(none, Detections.empty(frame_index=5, image_hw=(10, 20)))


def test_columns_that_may_be_missing_have_their_defaults():
    rows = {name: np.ones(1) for name in (*conversions.BOX_COLUMNS, "score")}
    found = Detections.from_numpy(rows, frame_index=0, image_hw=(9, 9))
    assert found.class_ids.tolist() == [0]
    tracks = Tracks.from_numpy(rows | {"frame_index": np.array([2]), "track_id": np.array([5])})
    assert (tracks.class_ids.tolist(), tracks.detection_indices.tolist()) == ([0], [-1])
    with pytest.raises(ValueError, match="no column 'frame_index'; there are x1, y1, x2"):
        Tracks.from_numpy(rows)


def test_rows_come_back_from_pandas(detections, tracks):
    pandas = pytest.importorskip("pandas")
    table = tracks.to_dataframe()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == list(tracks.to_numpy().dtype.names)
    assert_same(Tracks.from_dataframe(table.sample(frac=1, random_state=0)), tracks)
    assert_same(Tracks.from_dataframe(Tracks.empty().to_dataframe()), Tracks.empty())
    again = Detections.from_dataframe(detections.to_dataframe(), frame_index=3, image_hw=(10, 20))
    assert_same(again, detections)


def test_supervision_reads_what_we_write_and_the_other_way(detections, tracks):
    supervision = pytest.importorskip("supervision")
    theirs = detections.to_supervision()
    assert isinstance(theirs, supervision.Detections)
    wanted = supervision.Detections(
        xyxy=detections.xyxy, confidence=detections.scores, class_id=detections.class_ids
    )
    assert theirs == wanted
    where = {"frame_index": 3, "image_hw": (10, 20)}
    assert_same(Detections.from_supervision(theirs, **where), detections)
    one = tracks.at_frame(3)
    theirs = one.to_supervision()
    assert theirs.tracker_id.tolist() == [1, 7]
    again = Tracks.from_supervision(theirs, frame_index=3)
    np.testing.assert_array_equal(
        again.to_numpy()[["track_id", "x1", "score"]], one.to_numpy()[["track_id", "x1", "score"]]
    )
    empty = supervision.Detections.empty()
    assert len(Detections.from_supervision(empty, **where)) == 0
    assert len(Tracks.from_supervision(empty, frame_index=3)) == 0
    assert len(Tracks.empty().to_supervision()) == 0
    with pytest.raises(ValueError, match="no tracker_id; set it first"):
        Tracks.from_supervision(wanted, frame_index=3)


@pytest.mark.parametrize("name", ["pandas", "supervision"])
def test_missing_library_is_named_with_how_to_install_it(detections, monkeypatch, name):
    monkeypatch.setitem(__import__("sys").modules, name, None)
    convert = detections.to_dataframe if name == "pandas" else detections.to_supervision
    with pytest.raises(ImportError, match=f"{name} is not installed; run `pip install {name}`"):
        convert()
