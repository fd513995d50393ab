import contextlib
import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.errors import DataError
from stdet.files.atomic_file import find_leftovers
from stdet.formats.track_json import (
    Extent,
    TrackJsonWriter,
    read_extent,
    read_track_json,
)
from stdet.registration.frame_motion import NOT_REGISTERED, FrameMotion
from stdet.registration.transform import Transform
from stdet.types import Detections, Tracks

HEADER = {
    "source": "clip.mp4",
    "weights": "w",
    "confidence": 0.25,
    "fps": 25.0,
    "image_hw": [48, 64],
}


def _frame(index: int, boxes: list, ids: list[int], *, coasted: int = 0) -> tuple:
    """Detections, and a track of each id on the first boxes, of which the last ones coast."""
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.linspace(0.9, 0.3, len(rows), dtype=np.float32).round(4)
    found = Detections(
        boxes_xyxy=rows,
        scores=scores,
        class_ids=np.zeros(len(rows), np.int64),
        frame_index=index,
        image_hw=(48, 64),
    )
    num = len(ids)
    detection_indices = np.arange(num)
    detection_indices[num - coasted :] = -1
    tracks = Tracks(
        frame_indices=np.full(num, index),
        track_ids=np.array(ids, np.int64),
        boxes_xyxy=rows[:num],
        scores=scores[:num],
        probabilities=np.resize(np.array([0.99, np.nan], np.float32), num),
        class_ids=np.zeros(num, np.int64),
        detection_indices=detection_indices,
    )
    return found, tracks


def _write(path: Path, frames: list, error: BaseException | None = None) -> None:
    with TrackJsonWriter(path, HEADER) as writer:
        for (found, tracks), motion in zip(frames, itertools.cycle(MOTIONS), strict=False):
            writer.write(found, tracks, motion)
        if error is not None:
            raise error
        writer.is_complete = True


MOTIONS = [
    FrameMotion.unknown("no frame before"),
    FrameMotion.known(Transform.affine([[0.99, -0.02], [0.02, 0.99]], (3.25, -1.5))),
    FrameMotion.known(Transform.identity()),
]
FRAMES = [
    _frame(0, [[1, 2, 3, 4.5], [5, 5, 8, 8]], [2, 7], coasted=1),
    _frame(1, [], []),
    _frame(3, [[1.25, 2, 3.5, 4]], [2]),
]


def test_file_says_what_its_docstring_says(tmp_path):
    path = tmp_path / "clip.json"
    _write(path, FRAMES)
    content = json.loads(path.read_text())
    assert {key: content[key] for key in HEADER} == HEADER
    assert content["format"] == "stdet.tracks/1"
    assert (content["num_frames"], content["is_complete"]) == (3, True)
    assert content["frames"][0] == {
        "frame_index": 0,
        "camera_motion": {"is_trusted": False, "matrix": None, "problem": "no frame before"},
        "detections": [
            {"box_xyxy": [1, 2, 3, 4.5], "score": 0.9},
            {"box_xyxy": [5, 5, 8, 8], "score": 0.3},
        ],
        "tracks": [
            {
                "track_id": 2,
                "box_xyxy": [1, 2, 3, 4.5],
                "score": 0.9,
                "probability": 0.99,
                "is_coasted": False,
            },
            {
                "track_id": 7,
                "box_xyxy": [5, 5, 8, 8],
                "score": 0.3,
                "probability": None,
                "is_coasted": True,
            },
        ],
    }
    assert content["frames"][1] == {
        "frame_index": 1,
        "camera_motion": {
            "is_trusted": True,
            "matrix": [[0.99, -0.02, 3.25], [0.02, 0.99, -1.5], [0, 0, 1]],
        },
        "detections": [],
        "tracks": [],
    }


def test_reading_inverts_writing(tmp_path):
    path = tmp_path / "clip.json"
    _write(path, FRAMES)
    found = read_track_json(path)
    assert (found.name, found.image_hw, found.fps, found.confidence) == (
        "clip",
        (48, 64),
        25.0,
        0.25,
    )
    # Frame 2 was not read; it is there, and empty.
    assert found.num_frames == 4
    assert {index: len(frame) for index, frame in found.detections.items()} == {0: 2, 3: 1}
    np.testing.assert_allclose(found.detections[0].boxes_xyxy, FRAMES[0][0].boxes_xyxy)
    np.testing.assert_allclose(found.detections[0].scores, [0.9, 0.3])
    assert found.tracks.frame_indices.tolist() == [0, 0, 3]
    assert found.tracks.track_ids.tolist() == [2, 7, 2]
    assert found.tracks.boxes_xyxy[2].tolist() == [1.25, 2, 3.5, 4]
    assert {index: motion.problem for index, motion in found.motions.items()} == {
        0: "no frame before",
        1: None,
        3: None,
    }
    for index, motion in ((1, MOTIONS[1]), (3, MOTIONS[2])):
        np.testing.assert_array_equal(
            found.motions[index].transform.matrix, motion.transform.matrix
        )


def test_file_without_motions_is_read_as_of_unknown_ones(tmp_path):
    path = tmp_path / "clip.json"
    _write(path, FRAMES)
    content = json.loads(path.read_text())
    for entry in content["frames"]:
        del entry["camera_motion"]
    path.write_text(json.dumps(content))
    motions = read_track_json(path).motions
    assert [motion.transform for motion in motions.values()] == [None] * 3


@given(
    values=st.lists(st.floats(-0.3, 0.3), min_size=4, max_size=4),
    x=st.floats(-9e3, 9e3),
    rise=st.floats(-5e-5, 5e-5),
)
@settings(max_examples=25, deadline=None)
def test_any_motion_comes_back_to_a_thousandth_of_a_pixel(tmp_path_factory, values, x, rise):
    path = tmp_path_factory.mktemp("json") / "a.json"
    perspective = Transform(np.array([[1, 0, 0], [0, 1, 0], [rise, -rise, 1]]))
    transform = perspective @ Transform.affine(np.eye(2) + np.reshape(values, (2, 2)), (x, -x))
    with TrackJsonWriter(path, HEADER) as writer:
        writer.write(*FRAMES[0], FrameMotion.known(transform))
    corners = np.array([[0.0, 0], [2000, 0], [0, 2000], [2000, 2000]])
    found = read_track_json(path).motions[0].transform
    np.testing.assert_allclose(found.apply(corners), transform.apply(corners), atol=1e-3)


_box = st.tuples(*[st.floats(0, 1e4, width=32)] * 4).map(
    lambda v: [min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])]
)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(_box, max_size=3), max_size=4))
def test_any_boxes_come_back_to_a_thousandth_of_a_pixel(tmp_path_factory, boxes):
    path = tmp_path_factory.mktemp("json") / "a.json"
    frames = [_frame(i, rows, list(range(1, len(rows) + 1))) for i, rows in enumerate(boxes)]
    _write(path, frames)
    found = read_track_json(path)
    assert found.num_frames == len(frames)
    for index, (expected, _) in enumerate(frames):
        frame = found.detections.get(index, Detections.empty(frame_index=index, image_hw=(48, 64)))
        np.testing.assert_allclose(frame.boxes_xyxy, expected.boxes_xyxy, atol=1.6e-3)
    assert len(found.tracks) == sum(map(len, boxes))


def test_file_is_valid_after_every_frame(tmp_path):
    """So that what a killed run leaves can be read."""
    path = tmp_path / "a.json"
    with TrackJsonWriter(path, HEADER) as writer:
        for number, frame in enumerate(FRAMES, start=1):
            writer.write(*frame, NOT_REGISTERED)
            (part,) = find_leftovers(tmp_path)
            content = json.loads(part.read_text())
            assert (content["num_frames"], content["is_complete"]) == (number, False)
            assert len(content["frames"]) == number
            assert len(read_track_json(part).tracks)
            assert read_extent(part) == Extent(num_frames=number, is_complete=False)


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), RuntimeError("a bug")])
@pytest.mark.parametrize("num_frames", [0, 2])
def test_file_that_broke_off_is_valid_and_says_so(tmp_path, error, num_frames):
    path = tmp_path / "a.json"
    with (
        contextlib.nullcontext() if error is None else pytest.raises(type(error)),
        TrackJsonWriter(path, HEADER) as writer,
    ):
        for frame in FRAMES[:num_frames]:
            writer.write(*frame, NOT_REGISTERED)
        if error is not None:
            writer.finish()
            writer.commit()
        if error is not None:
            raise error
    content = json.loads(path.read_text())
    assert (content["num_frames"], content["is_complete"]) == (num_frames, False)
    assert read_track_json(path).num_frames == num_frames
    assert list(tmp_path.iterdir()) == [path]


def test_extent_is_read_from_the_end(tmp_path):
    path = tmp_path / "a.json"
    with TrackJsonWriter(path, HEADER) as writer:
        writer.write(*FRAMES[0], NOT_REGISTERED)
        writer.footer = {"holes": [3, 4]}
        writer.is_complete = True
    assert json.loads(path.read_text())["holes"] == [3, 4]
    assert read_extent(path) == Extent(num_frames=1, is_complete=True)
    for content in (b"", b"mine", b"\xff" * 200, path.read_bytes()[:-3]):
        path.write_bytes(content)
        assert read_extent(path) is None
    assert read_extent(tmp_path) is None
    assert read_extent(tmp_path / "none") is None


def test_failed_run_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "a.json"
    _write(path, FRAMES)
    before = path.read_bytes()
    with pytest.raises(DataError, match="elsewhere"):
        _write(path, FRAMES[:1], DataError("elsewhere: disk full"))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("size", range(420, 1000, 60))
def test_full_disk_is_one_line_and_leaves_valid_json(tmp_path, room_left, size):
    path = tmp_path / "a.json"
    num_written = 0
    room_left(size)
    with TrackJsonWriter(path, HEADER) as writer:
        with contextlib.suppress(DataError):
            for frame in FRAMES * 9:
                writer.write(*frame, NOT_REGISTERED)
                num_written += 1
        assert num_written < 9 * len(FRAMES)
    content = json.loads(path.read_text())
    assert (content["num_frames"], content["is_complete"]) == (num_written, False)
    assert len(content["frames"]) == num_written


def test_source_name_in_any_script_is_kept(tmp_path):
    path = tmp_path / "a.json"
    with TrackJsonWriter(path, {**HEADER, "source": "\u0432\u0438\u0434\u0435\u043e.mp4"}):
        pass
    assert json.loads(path.read_text())["source"] == "\u0432\u0438\u0434\u0435\u043e.mp4"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "is not JSON"),
        ("[1]", r"expected a JSON of `stdet track`"),
        ("{}", r"expected a JSON of `stdet track`"),
        ('{"format": "stdet.tracks/2"}', r"format 'stdet\.tracks/1'"),
        ('{"format": "stdet.tracks/1"}', "a frame is malformed"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_track_json(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.json: does not exist"):
        read_track_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content["frames"][0]["detections"][0].pop("score"),
        lambda content: content["frames"][0]["detections"][0].update(box_xyxy=[1, 2, 3]),
        lambda content: content["frames"][0]["detections"][0].update(box_xyxy=[9, 2, 3, 4]),
        lambda content: content["frames"][0]["detections"][0].update(score=float("nan")),
        lambda content: content["frames"][0]["tracks"][0].update(track_id=0),
        lambda content: content["frames"][0]["tracks"][0].update(track_id=7),
        lambda content: content["frames"][0].pop("frame_index"),
        lambda content: content["frames"][0]["camera_motion"].pop("problem"),
        lambda content: content["frames"][1].update(camera_motion=[1, 0, 0]),
        lambda content: content["frames"][1]["camera_motion"].update(matrix=None),
        lambda content: content["frames"][1]["camera_motion"].update(matrix=[[1, 0], [0, 1]]),
        lambda content: content["frames"][1]["camera_motion"].update(
            matrix=[[1, 0, float("nan")], [0, 1, 0], [0, 0, 1]]
        ),
        lambda content: content.update(frames={"a": 1}),
        lambda content: content.update(image_hw=48),
    ],
)
def test_malformed_content_is_a_data_error(tmp_path, spoil):
    path = tmp_path / "a.json"
    _write(path, FRAMES)
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"a\.json: a frame is malformed \("):
        read_track_json(path)


def test_track_file_is_frozen(tmp_path):
    _write(tmp_path / "a.json", FRAMES)
    with pytest.raises(dataclasses.FrozenInstanceError):
        read_track_json(tmp_path / "a.json").confidence = 1.0  # type: ignore[misc]
