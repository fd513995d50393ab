import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.metrics.masks.iou import MaskIou, mask_iou


def bar(length, width=8):
    """A mask of one row whose first pixels are target."""
    return np.arange(width)[None] < length


def test_iou_is_of_the_sums_and_niou_the_mean_over_images():
    # 2 of 4 px, and 1 of 8 px.
    total = mask_iou(bar(2), bar(4)) + mask_iou(bar(8), bar(1))
    assert total.iou == 3 / 12
    assert total.niou == total.niou_all_images == (2 / 4 + 1 / 8) / 2


def test_images_without_targets_count_in_the_published_mean_only():
    # A perfect answer, an empty image left empty, and one with a false pixel.
    total = mask_iou(bar(4), bar(4)) + mask_iou(bar(0), bar(0)) + mask_iou(bar(1), bar(0))
    assert (total.niou, total.niou_all_images) == (1.0, 1 / 3)
    assert total.iou == 4 / 5


def test_undefined_overlaps_are_nan():
    for counts in [MaskIou(), mask_iou(bar(0), bar(0))]:
        assert math.isnan(counts.iou)
        assert math.isnan(counts.niou)
    assert mask_iou(bar(0), bar(0)).niou_all_images == 0
    assert math.isnan(MaskIou().niou_all_images)


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1), st.randoms())
@settings(max_examples=50, deadline=None)
def test_overlaps_do_not_depend_on_the_order_of_images_nor_on_which_mask_is_the_truth(
    lengths, random
):
    def total(pairs):
        return sum((mask_iou(bar(said), bar(true)) for said, true in pairs), start=MaskIou())

    one, other = total(lengths), total(random.sample(lengths, len(lengths)))
    assert one.iou == pytest.approx(other.iou, nan_ok=True)
    assert one.niou == pytest.approx(other.niou, nan_ok=True)
    assert one.iou == pytest.approx(total([pair[::-1] for pair in lengths]).iou, nan_ok=True)
    assert math.isnan(one.iou) or 0 <= one.iou <= 1


def test_masks_that_are_not_bool_are_refused():
    with pytest.raises(ValueError, match=r"expected bool \(H, W\)"):
        mask_iou(bar(1).astype(float), bar(1))
