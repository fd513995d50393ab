"""Detections on left-out sequences come back from their files to the last bit."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequence_results import annotation, detections, result

from stdet.cli import main
from stdet.errors import DataError
from stdet.evaluation.left_out_files import has_left_out, read_left_out, write_left_out
from stdet.registration.frame_motion import FrameMotion
from stdet.registration.transform import Transform

HW = (48, 64)
NAMES = ["data5_1477-1496", "data5_2701-2720", "easy1", "20190925_101846_1_4", "a b"]

sides = st.floats(0.125, 16, width=32)
places = st.floats(0, 40, width=32)
boxes = st.tuples(places, places, sides, sides).map(
    lambda v: (
        v[0],
        v[1],
        np.float32(v[0]) + np.float32(v[2]),
        np.float32(v[1]) + np.float32(v[3]),
    )
)
rows = st.tuples(boxes, st.floats(0, 1, width=32)).map(lambda v: (*v[0], v[1]))
frames = st.lists(
    st.tuples(st.lists(boxes, max_size=2), st.lists(rows, max_size=4, unique_by=lambda row: row)),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(frames, min_size=1, max_size=len(NAMES)), st.booleans(), st.integers(0, 2))
def test_files_give_back_the_same_truth_and_detections(sequences, has_ids, seed):
    rng = np.random.default_rng(seed)
    made = {}
    for name, content in zip(NAMES, sequences, strict=False):
        truth, found = ([frame[column] for frame in content] for column in (0, 1))
        flags = [[bool(rng.integers(2)) for _ in frame] for frame in truth]
        made[name] = result(
            annotation(
                truth,
                ids=[list(range(1, len(f) + 1)) for f in truth] if has_ids else None,
                ignored=flags,
                hw=HW,
                name=name,
            ),
            detections(
                found,
                classes=[[int(c) for c in rng.integers(2, size=len(f))] for f in found],
                hw=HW,
            ),
        )
        motions = [
            FrameMotion.known(Transform.affine(rng.normal(size=(2, 2)), rng.normal(size=2)))
            if rng.integers(2)
            else FrameMotion.unknown("a cut")
            for _ in content
        ]
        if rng.integers(3):
            made[name] = replace(made[name], motions=motions)
    with tempfile.TemporaryDirectory() as folder:
        write_left_out(Path(folder), "daub", list(made.values()), num_classes=2)
        read = read_left_out(Path(folder), "daub")
    assert sorted(r.annotation.name for r in read) == sorted(made)
    for back in read:
        first = made[back.annotation.name]
        for column in ("frame_indices", "track_ids", "boxes_xyxy", "class_ids", "is_ignored"):
            expected = getattr(first.annotation, column)
            np.testing.assert_array_equal(getattr(back.annotation, column), expected)
        assert (back.annotation.num_frames, back.annotation.image_hw) == (
            first.annotation.num_frames,
            HW,
        )
        assert len(back.motions) == len(first.motions)
        for motion, other in zip(back.motions, first.motions, strict=True):
            assert motion.problem == other.problem
            if other.is_trusted:
                np.testing.assert_allclose(
                    motion.transform.matrix, other.transform.matrix, atol=1e-9
                )
        for frame, other in zip(back.detections, first.detections, strict=True):
            assert frame.frame_index == other.frame_index
            for column in ("boxes_xyxy", "scores", "class_ids"):
                np.testing.assert_array_equal(getattr(frame, column), getattr(other, column))


@pytest.fixture
def folder(tmp_path):
    """Files of two sequences, in which one target of two is found."""
    made = [
        result(annotation([[(1, 1, 5, 5)]], name=name), detections([[(1, 1, 5, 5, score)]]))
        for name, score in (("one", 0.9), ("two", 0.2))
    ]
    write_left_out(tmp_path / "left_out", "sky", made, num_classes=1)
    return tmp_path / "left_out"


@pytest.mark.parametrize("name", ["sky.truth.json", "sky.detections.json"])
def test_torn_file_is_named_with_what_to_do(folder, name):
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=rf"{name}.*delete .*sky\.detections\.json") as caught:
        read_left_out(folder, "sky")
    assert "\n" not in str(caught.value)
    (folder / name).unlink()
    with pytest.raises(DataError, match=name):
        read_left_out(folder, "sky")


@pytest.mark.parametrize(
    "text", ["", "[]", '{"one": [{}]}', '{"one": 3}', '{"one": []', '{"two": [[1, 0, 0]]}']
)
def test_damaged_motions_are_named_with_what_to_do(folder, text):
    (folder / "sky.motions.json").write_text(text)
    with pytest.raises(DataError, match=r"sky\.motions\.json: .*delete .*sky\.detections\.json"):
        read_left_out(folder, "sky")


def test_files_without_motions_are_read_as_of_a_camera_at_rest(folder):
    (folder / "sky.motions.json").unlink()
    assert [len(result.motions) for result in read_left_out(folder, "sky")] == [0, 0]


def test_files_are_there_once_the_detections_are(folder):
    assert has_left_out(folder, "sky")
    assert not has_left_out(folder, "daub")
    assert sorted(path.name for path in folder.iterdir()) == [
        "sky.detections.json",
        "sky.motions.json",
        "sky.truth.json",
    ]
    (folder / "sky.detections.json").unlink()
    assert not has_left_out(folder, "sky")


def test_evaluate_scores_the_files(folder, tmp_path):
    report = tmp_path / "report.json"
    pair = ["--truth", folder / "sky.truth.json", "--predictions", folder / "sky.detections.json"]
    more = ["--json", report, "--set", "postprocess.confidence=0.5"]
    assert main(["evaluate", *map(str, [*pair, *more])]) == 0
    content = json.loads(report.read_text())
    assert content["pd_fa"]["pd"] == 0.5
    assert content["per_sequence"].keys() == {"one", "two"}
