from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.metrics.detection.pd_fa import mask_pd_fa
from stdet.metrics.masks.compatibility import PublishedCounts, PublishedModes, published_modes

MODES = ("basicirstd", "area_key", "dtum")


def draw_mask(rectangles, hw=(16, 16)):
    mask = np.zeros(hw, bool)
    for row0, row1, column0, column1 in rectangles:
        mask[row0:row1, column0:column1] = True
    return mask


def said(counts):
    return counts.num_hits, counts.num_targets, counts.false_pixels


def masks(densities=(0.0, 0.01, 0.1, 0.4)):
    """A prediction and a truth of random pixels, of one random size."""

    def draw(height, width, density, gt_density, seed):
        rng = np.random.default_rng(seed)
        return rng.random((height, width)) < density, rng.random((height, width)) < gt_density

    sizes, some = st.integers(1, 30), st.sampled_from(densities)
    return st.builds(draw, sizes, sizes, some, some, st.integers(0, 10_000))


@pytest.mark.parametrize("mode", MODES)
def test_golden_numbers_of_published_code(mask_case, mode):
    modes = published_modes(draw_mask(mask_case["prediction"]), draw_mask(mask_case["truth"]))
    counts, expected = getattr(modes, mode), mask_case["published_code"][mode]
    assert said(counts) == (
        expected["num_hits"],
        expected["num_targets"],
        expected["false_pixels"],
    )
    assert counts.num_pixels == 256


def test_table_in_the_docs_holds_the_golden_numbers(mask_case):
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {mask_case['name']} |")]
    false = {"false_pixels": mask_case["false_component_pixels"]}
    expected = [mask_case | false, *(mask_case["published_code"][mode] for mode in MODES)]
    assert row.replace("**", "").strip("| ").split(" | ")[1:] == [
        f"{c['num_hits']}/{c['num_targets']}, {c['false_pixels']}" for c in expected
    ]


def test_basicirstd_changes_when_the_image_is_flipped_and_the_definition_does_not():
    # Golden M3: the upper target takes the blob that the lower one needs. Flipped, the other comes
    # first and leaves it a blob.
    prediction = draw_mask([(5, 6, 7, 8), (7, 8, 5, 6)])
    truth = draw_mask([(5, 6, 5, 6), (6, 7, 9, 10)])
    assert said(published_modes(prediction, truth).basicirstd) == (1, 2, 1)
    assert said(published_modes(prediction[::-1], truth[::-1]).basicirstd) == (2, 2, 0)
    assert mask_pd_fa(prediction, truth).num_hits == 2
    assert mask_pd_fa(prediction[::-1], truth[::-1]).num_hits == 2


def test_unrounded_distance_of_three_pixels_hits_in_some_places():
    # L-shaped components have centroids in thirds, where floats say 19/3 - 10/3 < 3.
    hits = []
    for shift in range(12):
        truth, prediction = np.zeros((2, 4, 24), bool)
        for mask, column in [(truth, shift), (prediction, shift + 3)]:
            mask[1, column : column + 2] = mask[2, column] = True
        hits.append(published_modes(prediction, truth).basicirstd.num_hits)
    assert set(hits) == {0, 1}


def test_area_key_forgets_false_blobs_as_large_as_a_hit_and_keeps_the_others():
    # One hit of 4 px; false blobs of 4, 4 and 2 px.
    prediction = draw_mask([(2, 4, 2, 4), (10, 12, 2, 4), (10, 12, 8, 10), (2, 3, 10, 12)])
    modes = published_modes(prediction, draw_mask([(2, 4, 2, 4)]))
    assert said(modes.area_key) == (1, 1, 2)
    assert said(modes.basicirstd) == (1, 1, 10)


def test_area_key_counts_a_blob_as_large_as_a_hit_of_another_image():
    hit = published_modes(draw_mask([(2, 4, 2, 4)]), draw_mask([(2, 4, 2, 4)]))
    noise = published_modes(draw_mask([(2, 4, 2, 4)]), draw_mask([]))
    assert said((hit + noise).area_key) == (1, 1, 4)


@pytest.mark.parametrize(
    ("row", "column", "num_hits", "false_pixels"),
    [(0, 8, 0, 1), (8, 0, 0, 1), (1, 8, 1, 1), (3, 8, 1, 1), (4, 8, 1, 0), (15, 15, 1, 0)],
)
def test_dtum_fails_on_the_upper_and_left_border_only(row, column, num_hits, false_pixels):
    mask = draw_mask([(row, row + 1, column, column + 1)])
    assert said(published_modes(mask, mask).dtum) == (num_hits, 1, false_pixels)


def test_dtum_windows_reach_one_and_four_pixels_from_the_nearest_true_pixel():
    truth = draw_mask([(8, 9, 6, 8)])
    for column, num_hits, false_pixels in [(8, 1, 0), (9, 0, 0), (11, 0, 0), (12, 0, 1)]:
        prediction = draw_mask([(8, 9, column, column + 1)])
        assert said(published_modes(prediction, truth).dtum) == (num_hits, 1, false_pixels)


@given(masks())
@settings(max_examples=100, deadline=None)
def test_what_the_rules_have_in_common_with_the_definition(pair):
    prediction, truth = pair
    counts, modes = mask_pd_fa(prediction, truth), published_modes(prediction, truth)
    for mode in MODES:
        published = getattr(modes, mode)
        assert published.num_targets == counts.num_targets
        assert published.num_pixels == counts.num_pixels
        assert 0 <= published.num_hits <= published.num_targets
        assert 0 <= published.false_pixels <= prediction.sum()
    assert modes.area_key.num_hits == modes.basicirstd.num_hits
    assert modes.area_key.false_pixels <= modes.basicirstd.false_pixels


SHAPES = [(1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3), (2, 5), (3, 4)]
"""Rectangles of eight different areas, each of at most 5 px."""


@given(st.permutations(range(8)), st.data())
@settings(max_examples=100, deadline=None)
def test_all_rules_agree_on_separate_blobs_of_different_areas_away_from_the_border(order, data):
    # One cell of 20 x 20 px per shape; targets and blobs of different cells are 10 px apart or
    # more, an answer lies within a pixel of its target.
    truth, prediction = np.zeros((2, 40, 80), bool)
    for cell, shape in enumerate(SHAPES[index] for index in order):
        row, column = 20 * (cell // 4) + 6, 20 * (cell % 4) + 6
        kind = data.draw(st.sampled_from(["hit", "miss", "false"]))
        if kind != "false":
            truth[row : row + shape[0], column : column + shape[1]] = True
        if kind != "miss":
            row += data.draw(st.integers(-1, 1)) if kind == "hit" else 0
            column += data.draw(st.integers(-1, 1)) if kind == "hit" else 0
            prediction[row : row + shape[0], column : column + shape[1]] = True
    counts, modes = mask_pd_fa(prediction, truth), published_modes(prediction, truth)
    for mode in MODES:
        assert said(getattr(modes, mode)) == (
            counts.num_hits,
            counts.num_targets,
            counts.false_component_pixels,
        ), mode


@given(st.lists(masks(), max_size=5), st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_counts_add_in_any_order(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    total, again = (
        sum((published_modes(*pair) for pair in some), start=PublishedModes())
        for some in (pairs, shuffled)
    )
    assert total == again


def test_rates_without_their_denominator_are_nan():
    assert np.isnan([PublishedCounts().pd, PublishedCounts().false_pixel_fraction]).all()
    empty = published_modes(draw_mask([]), draw_mask([]))
    for mode in MODES:
        assert np.isnan(getattr(empty, mode).pd)
        assert getattr(empty, mode).false_pixel_fraction == 0


def test_rates_are_of_the_sums():
    counts = PublishedCounts(num_targets=4, num_hits=1, false_pixels=2, num_pixels=8)
    assert (counts.pd, counts.false_pixel_fraction) == (0.25, 0.25)
    assert (counts + PublishedCounts(num_targets=1, num_pixels=2)).pd == 0.2


def test_masks_that_are_not_bool_are_refused():
    with pytest.raises(ValueError, match=r"expected bool \(H, W\)"):
        published_modes(np.zeros((4, 4), np.uint8), np.zeros((4, 4), bool))
