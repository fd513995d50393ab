import json
from pathlib import Path

import numpy as np
import pytest

from stdet.datasets.sequences import open_sequences
from stdet.errors import DataError
from stdet.formats.video_boxes import read_video_boxes
from stdet.io.video.source import VideoWriter

HW = (32, 48)


def _write_video(path: Path, num_frames: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, hw=HW, fps=10.0) as writer:
        for index in range(num_frames):
            writer.write(np.full((*HW, 3), 20 * index, np.uint8))


def _read(path: Path, **options):
    """The sequences of labelled videos."""
    return open_sequences(read_video_boxes(path, **options))


def _write_json(tmp_path: Path, boxes: object, stem: str = "a") -> Path:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps({stem: {"boxes_xywh": boxes}}))
    return path


def test_json_boxes_are_continuous_corners_and_null_is_absent(tmp_path):
    _write_video(tmp_path / "videos/a.mp4")
    (video,) = _read(_write_json(tmp_path, [[1.5, 2, 3, 4], None, [2, 2, 8, 6]]))
    truth = video.annotation
    assert (truth.name, truth.num_frames, truth.image_hw, truth.fps) == ("a", 3, HW, 10.0)
    assert truth.frame_indices.tolist() == [0, 2]
    assert truth.boxes_xyxy.tolist() == [[1.5, 2, 4.5, 6], [2, 2, 10, 8]]
    assert truth.track_ids.tolist() == [1, 1]
    assert video.source.path == tmp_path / "videos/a.mp4"


def test_text_beside_each_video_with_zeros_or_nothing_where_absent(tmp_path):
    for stem in ("b", "a"):
        _write_video(tmp_path / f"{stem}.mp4")
    (tmp_path / "a.txt").write_text("1,2,3,4\n\n0,0,0,0\n5,5,2,2\n")
    (tmp_path / "b.txt").write_text("0,0,0,0\n")
    first, second = _read(tmp_path)
    assert (first.annotation.name, second.annotation.name) == ("a", "b")
    assert first.annotation.frame_indices.tolist() == [0, 3]
    assert first.annotation.boxes_xyxy.tolist() == [[1, 2, 4, 6], [5, 5, 7, 7]]
    assert (second.annotation.num_frames, len(second.annotation)) == (1, 0)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[1, 2, 3]], r"a frame 0: box \[1, 2, 3\]; expected four numbers"),
        ([None, [1, 2, 3, "4"]], "a frame 1: box"),
        ([7], "a frame 0: box 7"),
        ({}, "lacks boxes_xywh"),
        ([], "a: labels no frame"),
        ([None] * 5, "has 5 entries, but .* has 4 frames"),
        ([None, [1, 1, 0, 4]], "1 unusable boxes; the first, frame 1 .* has no area"),
        ([[48, 1, 2, 2]], "lies outside its 48x32 frame"),
    ],
)
def test_malformed_json_boxes_are_refused(tmp_path, boxes, message):
    _write_video(tmp_path / "a.mp4")
    with pytest.raises(DataError, match=message):
        read_video_boxes(_write_json(tmp_path, boxes))


def test_unusable_boxes_can_be_dropped(tmp_path, caplog):
    _write_video(tmp_path / "a.mp4")
    path = _write_json(tmp_path, [[1, 1, 0, 4], [1, 1, 2, 2]])
    (video,) = _read(path, bad_boxes="drop")
    assert video.annotation.frame_indices.tolist() == [1]
    assert "1 unusable boxes" in caplog.text


def test_missing_and_ambiguous_videos_are_refused(tmp_path):
    path = _write_json(tmp_path, [])
    with pytest.raises(DataError, match=r"1 of 1 videos do not exist.*'a'"):
        read_video_boxes(path)
    _write_video(tmp_path / "x/a.mp4")
    _write_video(tmp_path / "y/a.mp4")
    with pytest.raises(DataError, match=r"fits .*x/a\.mp4 and .*y/a\.mp4"):
        read_video_boxes(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3,4\n1,2,3\n", r"a\.txt:2: box"),
        ("1,2,x,4\n", r"a\.txt:1: box '1,2,x,4'"),
        ("nan,2,3,4\n", "is not finite"),
        ("", r"a\.txt: labels no frame; .* in excluded_sequences"),
        (
            "0,0,0,1,0,0,0,0,1,0\n",
            r"a\.txt: holds 10 attributes of the whole video .* in excluded_sequences",
        ),
        ("0,0,0,1,0,0,0,0,1,0\n0,0,0,0\n", r"a\.txt:1: box .* expected four numbers"),
        (None, r"a\.txt: does not exist; .*needs a text file of its name"),
    ],
)
def test_malformed_text_is_refused_by_line(tmp_path, text, message):
    _write_video(tmp_path / "a.mp4")
    if text is not None:
        (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_video_boxes(tmp_path)


@pytest.mark.parametrize(("text", "message"), [("{", "not JSON"), ("[]", "holds a list")])
def test_file_that_is_no_json_object_is_refused(tmp_path, text, message):
    path = tmp_path / "boxes.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_video_boxes(path)


def test_folder_without_videos_and_missing_file_are_refused(tmp_path):
    with pytest.raises(DataError, match="holds no videos"):
        read_video_boxes(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        read_video_boxes(tmp_path / "boxes.json")


def _write_with_hole(path: Path) -> None:
    with VideoWriter(path, hw=HW, fps=10.0) as writer:
        for position in (0, 1, 2, 5, 6, 7):
            writer.write(np.full((*HW, 3), 20 * position, np.uint8), position=position)


def test_entries_follow_the_time_of_a_video_with_holes(tmp_path):
    _write_with_hole(tmp_path / "a.mp4")
    boxes = [[at, 2, 3, 4] for at in range(8)]
    boxes[3] = boxes[4] = None
    (video,) = _read(_write_json(tmp_path, boxes))
    assert video.annotation.num_frames == 8
    assert video.annotation.frame_indices.tolist() == [0, 1, 2, 5, 6, 7]
    assert abs(int(video.source.read(6).mean()) - 120) <= 3
    assert abs(int(video.source.read(4).mean()) - 40) <= 3  # As a player shows it.


def test_entries_that_count_the_pictures_of_a_video_with_holes_are_refused(tmp_path):
    _write_with_hole(tmp_path / "a.mp4")
    with pytest.raises(DataError, match=r"lie at 8 frame times .*is frame 3\)"):
        read_video_boxes(_write_json(tmp_path, [[at, 2, 3, 4] for at in range(6)]))


def test_text_may_be_mot_truth_of_several_targets(tmp_path):
    _write_video(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text(
        "1,4,2,3,4,5,1,-1,-1\n1,9,11,11,3,3,0,-1,-1\n3,4,3,3,4,5,1,1,1\n"
    )
    (video,) = _read(tmp_path)
    truth = video.annotation
    assert (truth.name, truth.num_frames, truth.fps) == ("a", 4, 10.0)
    assert truth.frame_indices.tolist() == [0, 0, 2]
    assert truth.track_ids.tolist() == [4, 9, 4]
    assert truth.is_ignored.tolist() == [False, True, False]
    assert truth.boxes_xyxy[0].tolist() == [1, 2, 5, 7]


def test_tracks_as_they_were_written_are_labels_of_their_video(tmp_path):
    """What `stdet track` says of a video can be corrected and trained on."""
    _write_video(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text("2,1,2,3,4,5,0.7431,-1,-1,-1\n")
    (video,) = _read(tmp_path)
    assert video.annotation.frame_indices.tolist() == [1]
    assert not video.annotation.is_ignored.any()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("5,1,2,3,4,5,1,1,1", r"a.txt:1: frame 5 of a sequence of 4 frames"),
        ("1,1,2,3,4,0,1,1,1", r"a.txt:1: "),
        ("1,1,60,3,4,5,1,1,1", r"a.txt.*frame 1, id 1"),
    ],
)
def test_mot_rows_that_do_not_fit_the_video_are_refused(tmp_path, row, message):
    _write_video(tmp_path / "a.mp4")
    (tmp_path / "a.txt").write_text(row + "\n")
    with pytest.raises(DataError, match=message):
        _read(tmp_path)
