import json
import math

import numpy as np
import pytest

from stdet.dataset_check.stats import dataset_statistics, format_statistics, write_statistics

LINES = """
a/0.bmp 0,0,2,2,0
a/1.bmp 3,4,7,6,0
a/2.bmp
a/3.bmp 0,0,3,3,0 10,10,16,16,0
b/0.bmp 0,0,30,30,0 5,5,5,9,0
"""


@pytest.fixture
def statistics(tmp_path):
    (tmp_path / "list.txt").write_text(LINES)
    (tmp_path / "readme.txt").write_text("Read me.")
    return dataset_statistics([tmp_path])


def test_targets_and_frames_are_counted(statistics):
    (split,) = statistics.splits
    assert (split.split, split.num_sequences, split.num_frames) == ("list", 2, 5)
    # The box without area counts as bad and nowhere else.
    assert (split.num_targets, split.num_bad_boxes, split.num_empty_frames) == (5, 1, 1)
    # Per frame 1, 1, 0, 2, 1.
    assert split.min_targets_per_frame == 0
    assert split.median_targets_per_frame == 1
    assert split.max_targets_per_frame == 2


def test_sizes_are_roots_of_areas_and_an_edge_belongs_to_the_lower_bin(statistics):
    size = statistics.splits[0].size_px
    # 2, sqrt(8), 3, 6, 30.
    assert size.counts == (3, 0, 1, 0, 0, 1)
    assert size.median == 3
    assert size.percentile_99 == pytest.approx(30 - 0.04 * 24)


def test_steps_are_counted_between_consecutive_frames_of_one_target(statistics):
    step = statistics.splits[0].step_px
    # Centres (1, 1) and (5, 5); the target is absent in frame 2.
    assert step.num_values == 1
    assert step.median == pytest.approx(math.hypot(4, 4))
    assert statistics.splits[0].num_linked_sequences == 1


def test_uniform_motion_has_that_step(split_writer):
    corners = np.stack([5 + 1.5 * np.arange(30), np.full(30, 9)], axis=1)
    (split,) = dataset_statistics([split_writer.write({"train": {"a": corners}})]).splits
    assert split.step_px.num_values == 29
    assert split.step_px.median == split.step_px.percentile_99 == 1.5
    assert split.num_linked_sequences == 0
    assert split.size_px.counts == (0, 30, 0, 0, 0, 0)


def test_text_shows_every_number_and_what_was_left_out(statistics):
    text = format_statistics(statistics)
    assert "frames               5, without targets 1" in text
    assert "per frame min 0, median 1, max 2" in text
    assert "unusable boxes       1, left out" in text
    assert "<= 3 px        3  60.0 % ########################" in text
    assert "In 1 of 2 sequences targets were linked" in text
    assert "readme.txt is no label file; left out." in text


def test_split_without_targets_has_no_percentiles(tmp_path):
    (tmp_path / "l.txt").write_text("a/0.bmp\na/1.bmp\n")
    statistics = dataset_statistics([tmp_path])
    assert "step per frame: none" in format_statistics(statistics)
    write_statistics(tmp_path / "s.json", statistics)
    size = json.loads((tmp_path / "s.json").read_text())["splits"][0]["size_px"]
    assert (size["num_values"], size["median"], size["counts"]) == (0, None, [0] * 6)
