"""What scores a proven path needs."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.tracking.evidence import needed_level

levels = st.lists(st.floats(-8, 8), max_size=30)


@given(found=levels, before=st.floats(-4, 0))
def test_needed_level_is_at_most_that_of_the_operating_point(
    found: list[float], before: float
) -> None:
    needed = needed_level(np.array(found), before)
    assert -math.log(max(len(found), 1)) <= needed <= 0


@given(found=levels, before=st.floats(-4, 0))
def test_more_targets_never_raise_it_and_more_clutter_never_lowers_it(
    found: list[float], before: float
) -> None:
    needed = needed_level(np.array(found), before)
    assert needed_level(np.array([*found, before]), before) <= needed
    assert needed_level(np.array([*found, before - 0.1]), before) >= needed


@given(num=st.integers(1, 50), level=st.floats(0, 8))
def test_targets_alone_lower_it_by_the_log_of_their_number(num: int, level: float) -> None:
    assert needed_level(np.full(num, level), 0.0) == pytest.approx(-math.log(num))
