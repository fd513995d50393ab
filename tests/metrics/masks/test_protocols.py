import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.metrics.masks.components import find_components
from stdet.metrics.masks.hierarchical_iou import overlap_priority
from stdet.metrics.masks.protocols import MaskProtocols, count_masks
from stdet.metrics.masks.shooting_rules import centroid_pixels, shooting_rules_mended

GOLDEN = Path(__file__).parents[2] / "golden" / "protocols.json"
CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
NAMES = [case["name"].split()[0] for case in CASES]


def draw(rectangles, hw=(16, 16)):
    mask = np.zeros(hw, bool)
    for row0, row1, column0, column1 in rectangles:
        mask[row0:row1, column0:column1] = True
    return mask


def count(prediction, truth):
    return count_masks(draw(prediction), draw(truth), radius_px=3.0)


def case(name):
    return CASES[NAMES.index(name)]


def some_masks():
    """A prediction and a truth of random pixels, of one random size."""

    def build(height, width, density, gt_density, seed):
        rng = np.random.default_rng(seed)
        return rng.random((height, width)) < density, rng.random((height, width)) < gt_density

    sizes, densities = st.integers(9, 24), st.sampled_from([0.0, 0.02, 0.1])
    return st.builds(build, sizes, sizes, densities, densities, st.integers(0, 10_000))


@pytest.mark.parametrize("expected", CASES, ids=NAMES)
@pytest.mark.parametrize("rule", ["basicirstd", "dnanet", "shooting", "shooting_mended"])
def test_published_rules_print_what_the_public_code_printed(expected, rule):
    counts = getattr(count(expected["prediction"], expected["truth"]), rule)
    assert expected[rule] == {
        "num_hits": counts.num_hits,
        "num_targets": counts.num_targets,
        "false_pixels": counts.false_pixels,
    }
    assert counts.num_pixels == 256


@pytest.mark.parametrize("expected", CASES, ids=NAMES)
@pytest.mark.parametrize("matching", ["distance_only", "overlap_priority"])
def test_hierarchical_iou_is_what_the_package_printed(expected, matching):
    counts = getattr(count(expected["prediction"], expected["truth"]), matching).as_printed
    hiou = counts.hiou
    assert expected[matching] == {
        "num_hits": counts.num_hits,
        "num_missed": counts.num_missed,
        "num_false": counts.num_false,
        "false_pixels": counts.false_pixels,
        # The package gives 0 where there is nothing to divide by.
        "hiou": 0.0 if math.isnan(hiou) else round(hiou, 12),
    }


def test_equal_areas_hide_a_false_component_from_dnanet_and_not_from_its_mended_rule():
    # M1: a hit of 4 px and, far away, a false component of 4 px.
    counts = count(case("M1")["prediction"], case("M1")["truth"])
    assert (counts.dnanet.num_hits, counts.dnanet.false_pixels) == (1, 0)
    assert (counts.basicirstd.num_hits, counts.basicirstd.false_pixels) == (1, 4)
    # One pixel less and DNANet sees it too.
    other = count([(2, 4, 2, 4), (10, 11, 10, 13)], [(2, 4, 2, 4)])
    assert other.dnanet.false_pixels == other.basicirstd.false_pixels == 3


def test_hierarchical_iou_is_the_product_of_segmentation_and_location():
    # A target of 4 px found whole, one of 8 px found by half, and one missed.
    counts = count(
        [(2, 4, 2, 4), (8, 10, 2, 4)], [(2, 4, 2, 4), (8, 10, 2, 6), (12, 13, 12, 13)]
    ).overlap_priority
    assert counts.segmentation_iou == (1 + 1 / 2) / 2
    assert counts.location_iou == 2 / 3
    assert counts.hiou == pytest.approx(counts.segmentation_iou * counts.location_iou)
    assert counts.errors.perception_sum == 1 / 2  # The other half of the second target.
    assert counts.errors.num_perception == 1  # The third, which nothing is near.


def test_errors_tell_what_a_blob_takes_from_other_targets_and_from_the_background():
    # H2: 12 px over two targets of 4 px; of the union of the pair, 12 px, 4 are the other target's
    # and 4 are background.
    errors = count(case("H2")["prediction"], case("H2")["truth"]).overlap_priority.errors
    assert errors.merging_sum == pytest.approx(4 / 12)
    assert errors.interference_sum == pytest.approx(4 / 12)
    assert errors.perception_sum == 0
    assert (errors.num_perception, errors.num_single_to_multiple) == (0, 1)


def test_frames_without_anything_cost_the_package_a_target_and_the_mended_numbers_nothing():
    hit, nothing = count([(2, 4, 2, 4)], [(2, 4, 2, 4)]), count([], [])
    counts = (hit + nothing).overlap_priority
    assert (counts.pd, counts.hiou) == (1, 1)
    assert (counts.as_printed.pd, counts.as_printed.hiou) == (1 / 2, 1 / 3)
    assert (hit + nothing).distance_only.as_printed.pd == 1


def test_least_sum_of_distances_gives_up_a_pair_that_the_best_assignment_makes():
    counts = count(case("H4")["prediction"], case("H4")["truth"])
    assert (counts.definition.num_hits, counts.overlap_priority.num_hits) == (1, 0)


def test_shooting_rules_look_from_the_centroid_not_from_the_whole_target():
    # A target of 9 x 9 px is hit at its centre and not at its corner.
    truth = [(2, 11, 2, 11)]
    assert count([(6, 7, 6, 7)], truth).shooting.num_hits == 1
    assert count([(2, 3, 2, 3)], truth).shooting.num_hits == 0
    assert centroid_pixels(find_components(draw(truth))).centroids_rc.tolist() == [[6, 6]]


@given(some_masks(), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_mended_shooting_rules_do_not_depend_on_the_orientation(masks, is_flipped, is_mirrored):
    rows, columns = slice(None, None, -1 if is_flipped else 1), slice(None, None, -1)
    # Single pixels, whose centroids are whole numbers and flip exactly.
    prediction, truth = masks
    truth = truth & (np.add.outer(np.arange(truth.shape[0]), np.arange(truth.shape[1])) % 2 == 0)
    truth[1::2] = False
    flip = lambda m: m[rows, columns] if is_mirrored else m[rows]  # noqa: E731
    here, there = (
        shooting_rules_mended(find_components(p), find_components(t))
        for p, t in [(prediction, truth), (flip(prediction), flip(truth))]
    )
    assert here == there


@given(some_masks())
@settings(max_examples=60, deadline=None)
def test_own_masks_are_found_and_empty_ones_find_nothing(masks):
    truth, nothing = masks[1], np.zeros_like(masks[1])
    perfect = count_masks(truth, truth, radius_px=3.0)
    blank = count_masks(nothing, truth, radius_px=3.0)
    num = len(find_components(truth))
    assert perfect.definition.num_hits == perfect.overlap_priority.num_hits == num
    assert perfect.definition.false_component_pixels == 0
    assert perfect.overlap_priority.false_pixels == 0
    assert perfect.overlap_priority.hiou == pytest.approx(1 if num else np.nan, nan_ok=True)
    assert blank.shooting.num_hits == blank.overlap_priority.num_hits == 0
    assert blank.shooting.false_pixels == blank.overlap_priority.false_pixels == 0


@given(some_masks())
@settings(max_examples=60, deadline=None)
def test_counts_of_hierarchical_iou_agree_with_each_other(masks):
    found, targets = find_components(masks[0]), find_components(masks[1])
    counts = overlap_priority(found, targets)
    errors = counts.errors
    assert counts.num_hits + counts.num_missed == len(targets)
    assert counts.num_hits + counts.num_false == len(found)
    assert errors.num_interference + errors.num_multiple_to_single == counts.num_false
    assert errors.num_perception + errors.num_single_to_multiple == counts.num_missed
    # Of the union of each pair, what is not shared is one of the three errors.
    shares = errors.merging_sum + errors.interference_sum + errors.perception_sum
    assert counts.iou_sum + shares == pytest.approx(counts.num_hits)


def test_counts_add_up():
    total = count(case("M1")["prediction"], case("M1")["truth"]) + MaskProtocols()
    assert total == count(case("M1")["prediction"], case("M1")["truth"])
