"""Tests of the spans of a moved image's rows."""

import numpy as np
import pytest

from stdet.registration.row_spans import RowSpans

HW = (24, 37)


def _spans(kind: str) -> RowSpans:
    if kind == "whole":
        return RowSpans.whole(HW)
    turn = {"shifted": 0.0, "turned": 0.2, "gone": 0.0}[kind]
    shift = 90.0 if kind == "gone" else 5.0
    cosine, sine = np.cos(turn), np.sin(turn)
    back = np.array([[cosine, -sine, shift], [sine, cosine, -3.0], [0, 0, 1]])
    return RowSpans.of_warp(back, HW, HW)


@pytest.mark.parametrize("kind", ["whole", "shifted", "turned", "gone"])
@pytest.mark.parametrize("rows", [slice(0, 24), slice(0, 3), slice(7, 24), slice(11, 12)])
def test_what_is_cleared_is_what_the_mask_leaves_out(kind, rows):
    spans = _spans(kind)
    values = np.random.default_rng(0).random(HW).astype(np.float32)[rows] + 1
    expected = np.where(spans.mask()[rows], values, 0)
    spans.clear_outside(values, rows)
    np.testing.assert_array_equal(values, expected)


def test_masks_are_as_full_as_they_should_be():
    shares = [_spans(kind).mask().mean() for kind in ("whole", "shifted", "turned", "gone")]
    assert shares[0] == 1
    np.testing.assert_allclose(shares[1], 32 * 21 / (24 * 37))
    assert 0.5 < shares[2] < 1
    assert shares[3] == 0
