import numpy as np
import pytest

from stdet.errors import DataError
from stdet.io.array_source import NUM_FIRST_FRAMES, ArraySource, open_frames, to_grey
from stdet.io.frame_source import EIGHT_BIT_SCALE, measure_intensity


def _deep(num_frames):
    """Frames of 14 bits whose scene grows brighter."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(5000, 5100 + 20 * i, (12, 16)).astype(np.uint16) for i in range(num_frames)
    ]


@pytest.mark.parametrize("kind", [np.asarray, list, iter], ids=["stack", "list", "iterator"])
def test_frames_of_arrays_come_in_order_with_their_index(kind):
    images = np.arange(4 * 6 * 8, dtype=np.uint8).reshape(4, 6, 8)
    source = ArraySource(kind(images), fps=5)
    assert (source.hw, source.bit_depth, source.scale) == ((6, 8), 8, EIGHT_BIT_SCALE)
    found = list(source.frames(1, 3))
    assert [frame.index for frame in found] == [1, 2]
    for frame in found:
        np.testing.assert_array_equal(frame.pixels, images[frame.index])


def test_scale_of_a_deep_stack_is_that_of_a_file():
    images = _deep(40)
    wanted = measure_intensity(lambda index: images[index], 40, container_bits=16).scale
    assert ArraySource(images).scale == wanted


def test_scale_of_deep_frames_from_an_iterator_is_that_of_the_first_sixteen():
    images = _deep(40)
    taken = []
    source = ArraySource(image for image in images if taken.append(1) is None)
    assert len(taken) == NUM_FIRST_FRAMES
    assert source.scale == ArraySource(images[:NUM_FIRST_FRAMES]).scale
    assert [frame.index for frame in source.frames()] == list(range(40))


def test_float_levels_are_taken_as_they_are():
    images = np.random.default_rng(0).random((3, 6, 8), np.float32)
    source = ArraySource(images)
    for frame in source.frames():
        np.testing.assert_array_equal(source.scale.apply(frame.pixels), images[frame.index])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_three_equal_channels_are_the_grey_levels(dtype):
    grey = (np.random.default_rng(0).random((6, 8)) * (1 if dtype == np.float32 else 255)).astype(
        dtype
    )
    found = to_grey(np.repeat(grey[:, :, None], 3, axis=2), index=0)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, grey, rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "wanted"),
    [
        (np.zeros((6, 8), np.float64), "frame 7 is float64; expected uint8, uint16, or float32"),
        (np.full((6, 8), 200.0, np.float32), "levels from 200 to 200; expected 0 to 1"),
        (np.full((6, 8), np.nan, np.float32), "levels from nan to nan"),
        (np.zeros(8, np.uint8), r"frame 7 is an array of shape \(8,\); expected \(H, W\)"),
        (np.zeros((6, 8, 4), np.uint8), r"shape \(6, 8, 4\)"),
        (np.zeros((0, 8), np.uint8), r"shape \(0, 8\)"),
    ],
)
def test_what_is_no_frame_is_refused_by_number(image, wanted):
    with pytest.raises(ValueError, match=wanted):
        to_grey(image, index=7)


def test_type_of_the_frames_cannot_change():
    source = ArraySource([np.zeros((6, 8), np.uint8), np.zeros((6, 8), np.uint16)])
    with pytest.raises(ValueError, match="frame 1 is uint16, the first one uint8"):
        list(source.frames())


def test_no_frames_are_an_error():
    for none in ([], iter(()), np.zeros((0, 6, 8), np.uint8)):
        with pytest.raises(DataError, match="holds no frames"):
            ArraySource(none)


def test_options_go_with_what_they_are_for(tmp_path):
    with pytest.raises(ValueError, match="fps=25 goes with arrays"):
        open_frames(tmp_path, fps=25)
    with pytest.raises(ValueError, match="stream=1 goes with a path"):
        open_frames([np.zeros((6, 8), np.uint8)], stream=1)
