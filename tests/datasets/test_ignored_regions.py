"""Regions that move, in which nothing is counted."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import SyntheticConfig

from stdet.boxes import centres_xy
from stdet.config import EvaluationConfig
from stdet.datasets.ignored_regions import ignore_regions, without_regions
from stdet.datasets.sequences import middle_of
from stdet.datasets.splits import load_sequences
from stdet.errors import DataError
from stdet.io.memory_source import MemorySource
from stdet.types import SequenceAnnotation

PATH = ((102, 10.0, 5.0, 4.0), (104, 14.0, 5.0, 4.0), (106, 14.0, 9.0, 8.0))


@pytest.fixture
def sequence(tmp_path, write_coco_split):
    """Images 0 to 9 with one target each, named as if they were 100 to 109."""
    config = SyntheticConfig(name="a", seed=0, num_frames=10, hw=(24, 32), num_targets=1)
    (found,) = load_sequences(write_coco_split(tmp_path, [config]), "train")
    files = tuple(file.with_name(f"f_{100 + at}_x.bmp") for at, file in enumerate(found.files))
    return replace(found, files=files)


def regions_of(truth):
    """Return frames, centres and sides of what is ignored."""
    rows = np.flatnonzero(truth.is_ignored)
    boxes = truth.boxes_xyxy[rows]
    return truth.frame_indices[rows].tolist(), centres_xy(boxes), boxes[:, 2] - boxes[:, 0]


def test_region_is_linear_between_numbers_of_images(sequence):
    (found,) = without_regions([sequence], {"a": [PATH], "another": [PATH]})
    frames, centres, sides = regions_of(found.annotation)
    assert frames == [2, 3, 4, 5, 6]
    np.testing.assert_allclose(centres, [[10, 5], [12, 5], [14, 5], [14, 7], [14, 9]])
    np.testing.assert_allclose(sides, [4, 4, 4, 6, 8])
    counted = ~found.annotation.is_ignored
    np.testing.assert_array_equal(
        found.annotation.boxes_xyxy[counted], sequence.annotation.boxes_xyxy
    )


def test_middle_of_a_sequence_keeps_its_numbers(sequence, tmp_path):
    images = np.zeros((4, 24, 32), np.uint8)
    truth = sequence.annotation.cut(3, 7)
    source = MemorySource("a", images, fps=None, bit_depth=8, scale=sequence.source.scale)
    cut = replace(sequence, annotation=truth, source=source, files=sequence.files[3:7])
    expected = [0, 1, 2, 3]  # Images 103 to 106.
    assert regions_of(without_regions([cut], {"a": [PATH]})[0].annotation)[0] == expected
    # Truth that was stored by itself has the numbers of the middle.
    assert regions_of(ignore_regions(truth, sequence, {"a": [PATH]}))[0] == expected


def test_frames_of_a_cut_video_count_from_its_start(sequence, tmp_path):
    source = MemorySource(
        "a", np.zeros((10, 24, 32), np.uint8), fps=None, bit_depth=8, scale=sequence.source.scale
    )
    video = replace(sequence, source=source, files=(tmp_path / "a7.avi",))
    path = tuple((frame - 100, *rest) for frame, *rest in PATH)
    whole = without_regions([video], {"a": [path]})[0].annotation
    assert regions_of(whole)[0] == [2, 3, 4, 5, 6]
    cut = without_regions([middle_of(video, 4)], {"a": [path]})[0].annotation
    assert regions_of(cut)[0] == [0, 1, 2, 3]


@pytest.mark.parametrize("is_known", [True, False])
def test_region_has_an_identity_of_its_own_where_targets_have_some(sequence, is_known):
    ids = np.full(len(sequence.annotation), 3 if is_known else -1)
    truth = replace(sequence.annotation, track_ids=ids)
    found = ignore_regions(truth, sequence, {"a": [PATH, PATH]})
    assert found.has_identities == is_known
    expected = {3, 4, 5} if is_known else {-1}
    assert set(found.track_ids.tolist()) == expected


def test_region_of_footage_without_targets(sequence):
    empty = SequenceAnnotation.empty(name="a", num_frames=10, image_hw=(24, 32))
    assert regions_of(ignore_regions(empty, sequence, {"a": [PATH]}))[0] == [2, 3, 4, 5, 6]


def test_images_without_numbers_are_refused_in_one_line(sequence):
    named = replace(sequence, files=tuple(file.with_name("x.bmp") for file in sequence.files))
    with pytest.raises(DataError, match="'a', whose images have no numbers"):
        without_regions([named], {"a": [PATH]})
    assert without_regions([named], {"b": [PATH]})[0].annotation is named.annotation


@pytest.mark.parametrize(
    "path", [(), ((2, 1, 1, 4), (2, 1, 1, 4)), ((2, 1, 1, 4), (1, 1, 1, 4)), ((2, 1, 1, 0),)]
)
def test_paths_that_are_none_are_refused(path):
    with pytest.raises(ValueError, match="ignored_regions of a needs"):
        EvaluationConfig(ignored_regions={"a": (path,)})
