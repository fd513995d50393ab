"""The limit on the area of frames."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.errors import DataError
from stdet.io.frame_area import MAX_MEGAPIXELS, check_area


@given(st.integers(1, 2**40), st.integers(1, 2**40), st.floats(0.001, 1e6))
def test_exactly_the_frames_above_the_limit_are_refused(height: int, width: int, limit: float):
    if height * width / 1e6 <= limit:
        check_area((height, width), "a.png", max_megapixels=limit)
    else:
        with pytest.raises(DataError, match=r"a\.png: declares frames .* --max-megapixels"):
            check_area((height, width), "a.png", max_megapixels=limit)


def test_default_lets_large_sensors_pass_and_bombs_not():
    check_area((3000, 4000), "a.png")
    check_area((4096, 5120), "a.png")
    with pytest.raises(DataError, match="13300x13300"):
        check_area((13300, 13300), "bomb.png")
    assert MAX_MEGAPIXELS == 32


def test_frames_without_pixels_are_refused():
    with pytest.raises(DataError, match="export it again"):
        check_area((0, 5), "a.png")
