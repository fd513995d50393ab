"""MOTChallenge files: what is written, what is read back, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stdet.errors import DataError, IncompleteInputError
from stdet.files.atomic_file import find_leftovers
from stdet.formats.mot import (
    MotWriter,
    read_annotation,
    read_tracks,
    write_annotation,
    write_tracks,
)
from stdet.formats.mot_folder import read_mot_folder
from stdet.types import UNKNOWN_TRACK_ID, SequenceAnnotation, Tracks

SAME_FOLDER = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def make_tracks(
    rows: list[tuple[int, int]],
    boxes: list[list[float]] | None = None,
    scores: list[float] | None = None,
) -> Tracks:
    """Build tracks from (frame index, id) rows."""
    num = len(rows)
    table = np.array(rows, np.int64).reshape(-1, 2)
    return Tracks(
        frame_indices=table[:, 0],
        track_ids=table[:, 1],
        boxes_xyxy=np.array(boxes or [[1, 2, 4, 6]] * num, np.float32).reshape(-1, 4),
        scores=np.array(scores or [0.5] * num, np.float32),
        probabilities=np.full(num, np.nan, np.float32),
        class_ids=np.zeros(num, np.int64),
        detection_indices=np.full(num, -1, np.int64),
    )


def assert_same_rows(actual: Tracks, expected: Tracks) -> None:
    np.testing.assert_array_equal(actual.frame_indices, expected.frame_indices)
    np.testing.assert_array_equal(actual.track_ids, expected.track_ids)
    np.testing.assert_array_equal(actual.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_array_equal(actual.scores, expected.scores)


def read_text(tmp_path: Path, text: str) -> Tracks:
    path = tmp_path / "tracks.txt"
    path.write_text(text)
    return read_tracks(path)


def read_truth(tmp_path: Path, text: str, *, num_frames: int | None = 10) -> SequenceAnnotation:
    path = tmp_path / "gt.txt"
    path.write_text(text)
    return read_annotation(path, name="s", image_hw=(100, 200), num_frames=num_frames)


def test_written_row_counts_frames_and_pixels_from_one(tmp_path: Path) -> None:
    # The one-pixel target in the top-left pixel of the first frame.
    path = tmp_path / "tracks.txt"
    write_tracks(path, make_tracks([(0, 1), (2, 7)], [[0, 0, 1, 1], [10.5, 20, 13.25, 24]]))
    assert path.read_text() == "1,1,1,1,1,1,0.5,-1,-1,-1\n3,7,11.5,21,2.75,4,0.5,-1,-1,-1\n"


# motmetrics 1.4 subtracts a tuple from a table, which pandas 3 warns of.
@pytest.mark.filterwarnings("ignore:Operation with")
def test_motmetrics_reads_our_corner(tmp_path: Path) -> None:
    motmetrics = pytest.importorskip("motmetrics")
    path = tmp_path / "tracks.txt"
    write_tracks(path, make_tracks([(4, 3)], [[10.5, 20, 13.25, 24]]))
    table = motmetrics.io.loadtxt(str(path), fmt="mot15-2D")
    assert table.index.tolist() == [(5, 3)]
    np.testing.assert_allclose(
        table[["X", "Y", "Width", "Height"]].to_numpy(), [[10.5, 20, 2.75, 4]]
    )


@given(
    boxes=st.lists(
        st.tuples(
            st.floats(-4096, 4096, width=32).filter(lambda x: abs(x) >= 0.25),
            st.floats(0.25, 4096, width=32),
            st.floats(0.0625, 300, width=32),
            st.floats(0.0625, 300, width=32),
        ),
        max_size=8,
    ),
    score=st.floats(0, 1, width=32),
)
@SAME_FOLDER
def test_reading_inverts_writing_exactly(
    tmp_path: Path, boxes: list[tuple[float, float, float, float]], score: float
) -> None:
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    corners[np.abs(corners) < 0.25] = 0.25
    corners = corners[(corners[:, 2:] > corners[:, :2]).all(axis=1)]
    tracks = make_tracks(
        [(i // 2, i + 1) for i in range(len(corners))], corners.tolist(), [score] * len(corners)
    )
    path = tmp_path / "tracks.txt"
    write_tracks(path, tracks)
    assert_same_rows(read_tracks(path), tracks)


def test_coordinates_near_zero_come_back_within_two_hundred_millionths(tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    box = [-1.23456789e-3, 1.7e-9, 0.1, 0.2]
    tracks = make_tracks([(0, 1)], [box])
    write_tracks(path, tracks)
    np.testing.assert_allclose(read_tracks(path).boxes_xyxy, tracks.boxes_xyxy, rtol=0, atol=2e-8)


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_empty_file_holds_no_tracks(tmp_path: Path, text: str) -> None:
    assert len(read_text(tmp_path, text)) == 0


def test_writing_no_tracks_makes_an_empty_file(tmp_path: Path) -> None:
    write_tracks(tmp_path / "tracks.txt", Tracks.empty())
    assert (tmp_path / "tracks.txt").read_text() == ""


def test_rows_of_other_trackers_are_read(tmp_path: Path) -> None:
    # Sorted by id, seven columns, spaces, a score of "none", numbers as numpy.savetxt writes them.
    tracks = read_text(
        tmp_path, "2, 1, 5, 5, 2, 2, -1\n\n1.000e+00,2.000e+00,3.5,4.5,2.0,2.0,2.5e-01,-1,-1,-1\n"
    )
    assert tracks.frame_indices.tolist() == [0, 1]
    assert tracks.track_ids.tolist() == [2, 1]
    assert tracks.boxes_xyxy.tolist() == [[2.5, 3.5, 4.5, 5.5], [4, 4, 6, 6]]
    assert tracks.scores.tolist() == [0.25, 1.0]
    assert tracks.detection_indices.tolist() == [-1, -1]


GOOD = "1,1,5,5,2,2,0.5,-1,-1,-1\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0,1,5,5,2,2,1", "frame 0, so the file counts from 0; MOT counts from 1"),
        ("-3,1,5,5,2,2,1", "frame -3; MOT counts from 1"),
        ("1.5,2,5,5,2,2,1", "frame is '1.5'; expected a whole number"),
        ("2,1.5,5,5,2,2,1", "id is '1.5'; expected a whole number"),
        ("2,x,5,5,2,2,1", "id is 'x'; expected a whole number"),
        ("2,1e300,5,5,2,2,1", "id is '1e300'; expected a whole number"),
        ("2,0,5,5,2,2,1", "id 0; MOT ids count from 1"),
        ("2,-1,5,5,2,2,1", "id -1; MOT ids count from 1"),
        ("2,1,nan,5,2,2,1", "left is 'nan'; expected a finite number"),
        ("2,1,5,inf,2,2,1", "top is 'inf'; expected a finite number"),
        ("2,1,5,5,0,2,1", "box of 0 x 2 px; expected positive sides"),
        ("2,1,5,5,2,-1,1", "box of 2 x -1 px; expected positive sides"),
        ("2,1,5,5,2,2", "6 columns; expected 7 to 10"),
        ("2,1,5,5,2,2,1,-1,-1,-1,-1", "11 columns; expected 7 to 10"),
        ("2 1 5 5 2 2 1", "1 columns; expected 7 to 10, separated by commas"),
        ("2,1,5,5,2,2,87", "score 87; expected 0 to 1, or -1 for none"),
        ("1,1,9,9,2,2,1", "frame 1 has id 1 already in line 1"),
    ],
)
def test_wrong_row_is_refused_with_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_text(tmp_path, GOOD + "\n" + row + "\n")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'tracks.txt'}:3: ")
    assert message in text
    assert "\n" not in text


def test_the_first_of_several_repeated_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="txt:3: frame 9 has id 4 already in line 2"):
        read_text(tmp_path, "1,1,5,5,2,2,1\n9,4,5,5,2,2,1\n9,4,5,5,2,2,1\n1,1,5,5,2,2,1\n")


def test_missing_or_binary_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.txt: does not exist"):
        read_tracks(tmp_path / "none.txt")
    (tmp_path / "video.mp4").write_bytes(b"\x00\xff\xfe\x80")
    with pytest.raises(DataError, match="not UTF-8 text"):
        read_tracks(tmp_path / "video.mp4")


@pytest.mark.parametrize("column", [2, 3])
def test_box_without_area_is_not_written(tmp_path: Path, column: int) -> None:
    box = [1.0, 2.0, 4.0, 6.0]
    box[column] = box[column - 2]
    with pytest.raises(ValueError, match=r"frame 5, track 2 has box .* without area"):
        write_tracks(tmp_path / "tracks.txt", make_tracks([(5, 2)], [box]))
    assert list(tmp_path.iterdir()) == []


def test_streamed_file_equals_the_file_written_at_once(tmp_path: Path) -> None:
    tracks = make_tracks([(0, 1), (0, 2), (1, 1), (3, 2)])
    write_tracks(tmp_path / "at_once.txt", tracks)
    with MotWriter(tmp_path / "streamed.txt") as writer:
        for frame_index in range(4):
            writer.write(tracks.at_frame(frame_index))
    assert (tmp_path / "streamed.txt").read_text() == (tmp_path / "at_once.txt").read_text()


def test_rows_lie_in_the_part_file_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "tracks.txt"
    path.write_text("old\n")
    with MotWriter(path) as writer:
        writer.write(make_tracks([(0, 1)]))
        (part,) = find_leftovers(tmp_path, path.name)
        assert part.read_text() == "1,1,2,3,3,4,0.5,-1,-1,-1\n"
        assert path.read_text() == "old\n"
    assert path.read_text() == "1,1,2,3,3,4,0.5,-1,-1,-1\n"
    assert not part.exists()


@pytest.mark.parametrize("error", [IncompleteInputError("ended early"), KeyboardInterrupt()])
def test_exception_keeps_what_was_committed_and_nothing_else(
    tmp_path: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)), MotWriter(tmp_path / "tracks.txt") as writer:  # noqa: PT012
        writer.write(make_tracks([(0, 1)]))
        raise error
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(type(error)), MotWriter(tmp_path / "tracks.txt") as writer:  # noqa: PT012
        writer.write(make_tracks([(0, 1)]))
        writer.commit(tmp_path / "other.txt")
        raise error
    assert list(tmp_path.iterdir()) == [tmp_path / "other.txt"]
    assert len(read_tracks(tmp_path / "other.txt")) == 1


def test_full_disk_is_one_line_and_leaves_whole_lines(tmp_path: Path, room_left) -> None:
    path = tmp_path / "tracks.txt"
    room_left(60)
    with MotWriter(path) as writer:
        for frame_index in range(2):
            writer.write(make_tracks([(frame_index, 1)]))
        with pytest.raises(DataError, match=r"tracks\.txt: cannot be written \(File too large\)"):
            writer.write(make_tracks([(2, 1)]))
    assert read_tracks(path).frame_indices.tolist() == [0, 1]
    with pytest.raises(DataError, match=r"tracks\.txt: cannot be written"):
        write_tracks(path, make_tracks([(0, 1), (1, 1), (2, 1)]))
    assert len(read_tracks(path)) == 2


def test_missing_folder_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "none" / "tracks.txt"
    with pytest.raises(DataError, match="cannot be written"), MotWriter(path):
        pass
    with pytest.raises(DataError, match="cannot be written"):
        write_tracks(path, Tracks.empty())


def test_writer_refuses_frames_out_of_order_and_use_outside_the_block(tmp_path: Path) -> None:
    writer = MotWriter(tmp_path / "tracks.txt")
    with pytest.raises(ValueError, match="not open"):
        writer.write(make_tracks([(0, 1)]))
    with writer:
        writer.write(make_tracks([(4, 1)]))
        with pytest.raises(ValueError, match="got frame 4 after frame 4"):
            writer.write(make_tracks([(4, 2)]))
    assert len(read_tracks(tmp_path / "tracks.txt")) == 1


def make_annotation(*, track_ids: list[int]) -> SequenceAnnotation:
    return SequenceAnnotation(
        name="s",
        num_frames=10,
        image_hw=(100, 200),
        fps=None,
        frame_indices=np.array([0, 0, 7]),
        track_ids=np.array(track_ids),
        boxes_xyxy=np.array([[0, 0, 1, 1], [5.5, 6, 8, 9], [3, 3, 5, 4]], np.float32),
        class_ids=np.array([0, 2, 0]),
        is_ignored=np.array([False, True, False]),
    )


@pytest.mark.parametrize("track_ids", [[1, 2, 1], [UNKNOWN_TRACK_ID] * 3])
def test_reading_truth_inverts_writing(tmp_path: Path, track_ids: list[int]) -> None:
    annotation = make_annotation(track_ids=track_ids)
    path = tmp_path / "gt.txt"
    write_annotation(path, annotation)
    again = read_annotation(path, name="s", image_hw=(100, 200), num_frames=10)
    assert (again.name, again.num_frames, again.image_hw, again.fps) == ("s", 10, (100, 200), None)
    for column in ("frame_indices", "track_ids", "boxes_xyxy", "class_ids", "is_ignored"):
        np.testing.assert_array_equal(getattr(again, column), getattr(annotation, column))


def test_truth_rows_are_written_with_flag_class_and_visibility(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    write_annotation(path, make_annotation(track_ids=[1, 2, 1]))
    assert path.read_text() == "1,1,1,1,1,1,1,1,1\n1,2,6.5,7,2.5,3,0,3,1\n8,1,4,4,2,1,1,1,1\n"


def test_truth_columns_are_flag_and_class(tmp_path: Path) -> None:
    # Seven columns, nine columns, nine without class, ten with world coordinates.
    truth = read_truth(
        tmp_path,
        "1,1,5,5,2,2,1\n2,1,5,5,2,2,0,3,0.5\n3,1,5,5,2,2,1,-1,-1\n4,1,5,5,2,2,1,-7.25,3.5,0\n",
    )
    assert truth.class_ids.tolist() == [0, 2, 0, 0]
    assert truth.is_ignored.tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("11,1,5,5,2,2,1,1,1", "frame 11 of a sequence of 10 frames"),
        ("2,0,5,5,2,2,1,1,1", "id 0; MOT ids count from 1, -1 means unknown"),
        ("2,-2,5,5,2,2,1,1,1", "id -2; MOT ids count from 1, -1 means unknown"),
        ("2,-1,5,5,2,2,1,1,1", "id -1 (unknown) in a file with known ids"),
        ("2,1,5,5,2,2,1,0,1", "class 0; MOT classes count from 1, -1 means none"),
        ("2,1,5,5,2,2,1,1.5,1", "class is '1.5'; expected a whole number"),
        ("2,1,5,5,2,2,nan,1,1", "score is 'nan'; expected a finite number"),
    ],
)
def test_wrong_truth_row_is_refused_with_file_and_line(
    tmp_path: Path, row: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_truth(tmp_path, f"1,1,5,5,2,2,1,1,1\n{row}\n")
    assert str(caught.value).startswith(f"{tmp_path / 'gt.txt'}:2: ")
    assert message in str(caught.value)


def test_length_of_a_sequence_is_the_callers_or_else_the_last_target(tmp_path: Path) -> None:
    assert read_truth(tmp_path, "3,1,5,5,2,2,1\n", num_frames=10).num_frames == 10
    assert read_truth(tmp_path, "3,1,5,5,2,2,1\n", num_frames=None).num_frames == 3
    assert read_truth(tmp_path, "", num_frames=None).num_frames == 0


SEQINFO = """[Sequence]
name=S-01
imDir=img1
frameRate=25
seqLength=3
imWidth=200
imHeight=100
imExt=.png
"""


def make_folder(tmp_path: Path, seqinfo: str = SEQINFO, *, num_images: int = 3) -> Path:
    folder = tmp_path / "folder"
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text("2,1,5,5,2,2,1,1,1\n")
    (folder / "seqinfo.ini").write_text(seqinfo)
    (folder / "img1").mkdir()
    for i in range(num_images):
        (folder / "img1" / f"{i + 1:06d}.PNG").touch()
    return folder


def test_folder_gives_name_length_size_and_rate(tmp_path: Path) -> None:
    truth = read_mot_folder(make_folder(tmp_path)).annotation
    assert (truth.name, truth.num_frames, truth.image_hw, truth.fps) == ("S-01", 3, (100, 200), 25)
    assert truth.frame_indices.tolist() == [1]


def test_folder_without_optional_keys_or_images_is_read(tmp_path: Path) -> None:
    folder = make_folder(
        tmp_path, "[Sequence]\nseqLength=3\nimWidth=200\nimHeight=100\n", num_images=0
    )
    (folder / "img1").rmdir()
    truth = read_mot_folder(folder).annotation
    assert (truth.name, truth.fps) == ("folder", None)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seqLength=3", "seqLength=3.5", "seqLength is '3.5'; expected a positive whole number"),
        ("imWidth=200", "imWidth=wide", "imWidth is 'wide'; expected a positive whole number"),
        ("imHeight=100", "imHeight=0", "imHeight is '0'; expected a positive whole number"),
        ("frameRate=25", "frameRate=-1", "frameRate is '-1'; expected a positive number"),
        ("[Sequence]", "[Other]", r"has 0 sections \[Sequence\]"),
        ("[Sequence]", "", "not an ini file"),
        ("seqLength=3", "seqLength=4", r"holds 3 images; seqinfo\.ini says seqLength 4"),
    ],
)
def test_wrong_seqinfo_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_mot_folder(make_folder(tmp_path, SEQINFO.replace(old, new)))


def test_missing_parts_of_a_folder_are_named(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    (folder / "gt" / "gt.txt").unlink()
    with pytest.raises(DataError, match=r"gt\.txt: does not exist"):
        read_mot_folder(folder)
    (folder / "seqinfo.ini").unlink()
    with pytest.raises(DataError, match=r"000001\.PNG: cannot be read"):
        read_mot_folder(folder)
