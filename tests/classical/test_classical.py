"""Hand cases that every classical detector must pass, and those that tell them apart."""

import numpy as np
import pytest

from stdet.boxes import centres_xy
from stdet.classical.methods import METHODS, OPERATING_POINTS
from stdet.config import PostprocessConfig
from stdet.inference.detector import Detector
from stdet.inference.stages.frames import StreamFrame

SINGLE_FRAME = ("tophat", "lcm")
TEMPORAL = ("framediff", "rpca")
HW = (48, 64)
FLAT = np.full(HW, 0.4, np.float32)


def detector(method, **config):
    return Detector.from_classical(method, PostprocessConfig(**config))


def run(method, frames, **config):
    return run_in(detector(method, **config), frames)


def run_in(one, frames):
    given = (StreamFrame.of_scaled(index, frame) for index, frame in enumerate(frames))
    return [frame.detections for frame in one.start().run(given)]


def with_pixel(row, column, value):
    frame = FLAT.copy()
    frame[row, column] = value
    return frame


def clutter(hw, seed=0):
    """Texture with structure at all sizes, in [0, 1], float32."""
    rng = np.random.default_rng(seed)
    total = sum(
        np.kron(rng.random((hw[0] // size + 1, hw[1] // size + 1)), np.ones((size, size)))[
            : hw[0], : hw[1]
        ]
        for size in (2, 8, 32)
    )
    return (total / 3).astype(np.float32)


def moving(num_frames, *, step=1, value=0.2, seed=0):
    """A camera at rest over noise, and a target of 2 x 2 px that moves right."""
    rng = np.random.default_rng(seed)
    still = clutter((64, 96)) * 0.3
    frames = []
    for index in range(num_frames):
        frame = still + rng.normal(0, 0.004, still.shape).astype(np.float32)
        column = 10 + step * index
        frame[30:32, column : column + 2] += value
        frames.append(frame.astype(np.float32))
    return frames


@pytest.mark.parametrize("value", [1.0, 0.45, 0.0], ids=["saturated", "dim", "dark"])
@pytest.mark.parametrize("method", SINGLE_FRAME)
def test_one_pixel_on_flat_ground_is_found_at_its_place(method, value):
    (frame,) = detector(method).start().push(StreamFrame.of_scaled(7, with_pixel(20, 33, value)))
    found = frame.detections
    assert (found.frame_index, found.image_hw) == (7, HW)
    assert found.scores[0] > OPERATING_POINTS[method]
    # The pixel in column 33 of row 20 has its middle at (33.5, 20.5); the box is 8 px wide.
    np.testing.assert_allclose(found.boxes_xyxy[0], [29.5, 16.5, 37.5, 24.5], atol=0.02)
    confident = found[found.scores >= OPERATING_POINTS[method]]
    assert len(confident) == 1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("hw", [(1, 1), (2, 3), (9, 5), HW])
def test_frames_of_one_grey_level_hold_nothing_whatever_their_size(method, value, hw):
    frames = [np.full(hw, value, np.float32)] * 10
    assert [len(found) for found in run(method, frames)] == [0] * 10


@pytest.mark.parametrize("method", METHODS)
def test_one_grey_level_that_changes_holds_nothing(method):
    frames = [np.full(HW, 0.2 + 0.05 * index, np.float32) for index in range(12)]
    assert [len(found) for found in run(method, frames)] == [0] * 12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("hw", [(1, 1), (2, 3), (3, 40), (5, 5)])
def test_tiny_frames_of_noise_are_no_error(method, hw):
    frames = np.random.default_rng(0).random((10, *hw), np.float32)
    for found in run(method, frames):
        assert (found.boxes_xyxy[:, 2:] <= [hw[1], hw[0]]).all()
        assert (found.boxes_xyxy >= 0).all()


def test_a_spot_that_stays_leaves_no_difference():
    frames = [with_pixel(20, 33, 0.9)] * 15
    assert [len(found) for found in run("framediff", frames)] == [0] * 15


@pytest.mark.parametrize("method", TEMPORAL)
def test_a_spot_that_stays_in_noise_is_below_the_operating_point(method):
    frames = moving(30, value=0.0)
    for frame in frames:
        frame[30:32, 40:42] += 0.5
    for found in run(method, frames):
        assert not (found.scores >= OPERATING_POINTS[method]).any()


@pytest.mark.parametrize("value", [0.2, -0.2], ids=["bright", "dark"])
@pytest.mark.parametrize("method", TEMPORAL)
def test_a_spot_that_moves_is_the_strongest_on_its_frame(method, value):
    num_frames = 40
    found = run(method, moving(num_frames, value=value))
    assert [d.frame_index for d in found] == list(range(num_frames))
    # From the first frame on: later frames stand in for the past.
    for index in range(num_frames):
        # Columns 10 + index and the next one, rows 30 and 31.
        np.testing.assert_allclose(
            centres_xy(found[index].boxes_xyxy[:1]), [[11 + index, 31]], atol=0.6
        )
        assert found[index].scores[0] > 0.6
        assert not (found[index].scores[1:] > 0.5).any()


@pytest.mark.parametrize("method", TEMPORAL)
def test_a_panning_camera_over_a_still_scene_finds_nothing_above_the_operating_point(method):
    canvas = clutter((100, 200))
    canvas[50, 80] = 1.0  # A still hot spot.
    # Whole pixels, two per frame: the overlap of successive frames is exact.
    frames = [canvas[20:84, 2 * index : 2 * index + 96].copy() for index in range(30)]
    for found in run(method, frames):
        assert not (found.scores >= OPERATING_POINTS[method]).any()


@pytest.mark.parametrize("method", TEMPORAL)
def test_a_frame_alone_has_no_detections(method):
    (found,) = run(method, [clutter(HW)])
    assert len(found) == 0


@pytest.mark.parametrize("num_frames", [6, 9, 14])
@pytest.mark.parametrize("method", TEMPORAL)
def test_a_spot_that_moves_is_found_in_a_short_sequence(method, num_frames):
    for index, found in enumerate(run(method, moving(num_frames, step=4))):
        np.testing.assert_allclose(
            centres_xy(found.boxes_xyxy[:1]), [[11 + 4 * index, 31]], atol=0.6
        )
        # No ghosts where it is in other frames.
        assert not (found.scores[1:] > 0.5).any()


@pytest.mark.parametrize("method", METHODS)
def test_every_start_forgets_everything(method):
    frames = moving(24)
    once = detector(method)
    first = run_in(once, frames)
    run_in(once, frames[::-1])
    again = run_in(once, frames)
    assert any(len(found) for found in first)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("method", METHODS)
def test_a_frame_depends_on_at_most_twenty_frames_before_it(method):
    """Memory is bounded, and after the start nothing looks ahead."""
    frames = moving(45)
    whole = run(method, frames)
    end = run(method, frames[20:])
    for index in range(40, 45):
        np.testing.assert_allclose(whole[index].boxes_xyxy, end[index - 20].boxes_xyxy, atol=1e-3)
        np.testing.assert_allclose(whole[index].scores, end[index - 20].scores, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_frames_of_one_stream_have_one_size(method):
    frames = [np.zeros((8, 8), np.float32), np.zeros((8, 9), np.float32)]
    with pytest.raises(ValueError, match=r"frame 1 is \(8, 9\); the stream began with \(8, 8\)"):
        run(method, frames)


@pytest.mark.parametrize("method", METHODS)
def test_score_floor_and_largest_count_are_kept(method):
    frames = moving(25, seed=3)
    counts = []
    for found in run(method, frames, score_floor=0.3, max_detections=4):
        assert (found.scores >= 0.3).all()
        counts.append(len(found))
    assert 1 <= max(counts) <= 4
