"""Sensor, recording and timing."""

import numpy as np
import pytest
from footage_of_spots import Spots, footage_of

from stdet.changes import recording, sensor, timing

RNG = np.random.default_rng
SPOTS = Spots(num_frames=100, hw=(48, 64))


@pytest.mark.parametrize(
    ("change", "strength"),
    [
        (sensor.add_noise, {"levels": 0.0}),
        (sensor.add_stripes, {"levels": 0.0}),
        (sensor.change_contrast, {"factor": 1.0}),
        (sensor.step_gain, {"least": 0.0, "most": 0.0}),
        (recording.save_as_h264, {"crf": 0}),
        (recording.burn_in_text, {"share": 0.0}),
        (timing.take_every, {"step": 1}),
        (timing.drop, {"share": 0.0}),
        (timing.repeat, {"share": 0.0}),
    ],
)
def test_change_of_strength_zero_is_the_identity(change, strength):
    footage = footage_of(SPOTS)
    found = change(footage, RNG(0), **strength)
    np.testing.assert_array_equal(found.truth.boxes_xyxy, footage.truth.boxes_xyxy)
    np.testing.assert_array_equal(found.truth.is_ignored, footage.truth.is_ignored)
    np.testing.assert_array_equal(found.indices, footage.indices)
    for position in (0, 60):
        np.testing.assert_array_equal(found.read(position), footage.read(position))


def test_swapped_twice_is_unchanged():
    footage = footage_of(SPOTS)
    once = sensor.swap_polarity(footage, RNG(0))
    np.testing.assert_allclose(once.read(3) + footage.read(3), 1, atol=1e-6)
    again = sensor.swap_polarity(once, RNG(0))
    np.testing.assert_array_equal(again.read(3), footage.read(3))


def test_noise_has_the_deviation_asked_for_and_is_new_in_each_frame():
    footage = footage_of(SPOTS)
    found = sensor.add_noise(footage, RNG(0), levels=4.0)
    first, second = (found.read(i) - footage.read(i) for i in (0, 1))
    assert 255 * first.std() == pytest.approx(4.0, rel=0.1)
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.1


def test_stripes_run_along_columns_and_change_slowly():
    footage = footage_of(SPOTS)
    found = sensor.add_stripes(footage, RNG(0), levels=3.0)
    first, second = (found.read(i) - footage.read(i) for i in (0, 1))
    columns = 255 * first.mean(axis=0)
    assert columns.std() == pytest.approx(3.0, rel=0.4)
    assert np.corrcoef(columns, second.mean(axis=0))[0, 1] > 0.95


def test_contrast_is_about_the_mean():
    footage = footage_of(SPOTS)
    found = sensor.change_contrast(footage, RNG(0), factor=0.5).read(0)
    before = footage.read(0)
    assert found.mean() == pytest.approx(float(before.mean()), abs=0.002)
    assert found.std() == pytest.approx(float(before.std()) / 2, rel=0.05)


def test_gain_steps_and_goes_on():
    footage = footage_of(SPOTS, noise=0.0)
    found = sensor.step_gain(footage, RNG(0), least=0.2, most=0.2)
    gains = np.array([np.ptp(found.read(i)) / np.ptp(footage.read(i)) for i in range(100)])
    assert np.abs(np.diff(gains)).max() > 0.03
    assert (np.abs(np.diff(gains)) < 0.02).mean() > 0.6


def test_jpeg_and_h264_lose_something_but_little():
    footage = footage_of(SPOTS)
    for found in (
        recording.save_as_jpeg(footage, RNG(0), quality=35),
        recording.save_as_h264(footage, RNG(0), crf=28),
    ):
        error = 255 * np.abs(found.read(70) - footage.read(70))
        assert 0.5 < error.mean() < 10


def test_marks_stand_still_and_what_they_cover_is_ignored():
    # A target that moves along under the reticle.
    hw = (64, 80)
    footage = footage_of(Spots(num_frames=40, hw=hw), noise=0.0)
    found = recording.burn_in_text(footage, RNG(0), share=1.0)
    is_marked = [np.abs(found.read(i) - footage.read(i)) > 1e-3 for i in (0, 1)]
    middle = (slice(hw[0] // 2 - 12, hw[0] // 2 + 12), slice(28, 52))
    np.testing.assert_array_equal(is_marked[0][middle], is_marked[1][middle])
    assert is_marked[0][middle].any()
    assert (is_marked[0] != is_marked[1]).any()  # The clock runs.
    for row, box in enumerate(found.truth.boxes_xyxy):
        position = int(found.truth.frame_indices[row])
        x, y = ((box[:2] + box[2:]) / 2).astype(int)
        is_hidden = abs(found.read(position)[y, x] - footage.read(position)[y, x]) > 1e-3
        assert found.truth.is_ignored[row] == is_hidden


def test_lower_rates_keep_indices_and_truth():
    footage = footage_of(SPOTS)
    found = timing.take_every(footage, RNG(0), step=3)
    assert found.indices.tolist() == list(range(0, 100, 3))
    np.testing.assert_array_equal(found.read(5), footage.read(15))
    rows, expected = found.truth.rows_at(5), footage.truth.rows_at(15)
    np.testing.assert_array_equal(found.truth.boxes_xyxy[rows], footage.truth.boxes_xyxy[expected])


def test_lost_frames_are_some_and_the_rest_keeps_indices():
    footage = footage_of(SPOTS)
    found = timing.drop(footage, RNG(0), share=0.2)
    assert 70 <= len(found) <= 90
    assert found.indices[0] == 0
    assert (np.diff(found.indices) > 0).all()
    last = len(found) - 1
    np.testing.assert_array_equal(found.read(last), footage.read(int(found.indices[last])))


def test_truth_of_a_repeated_frame_is_that_of_the_frame_that_is_shown():
    footage = footage_of(SPOTS)
    found = timing.repeat(footage, RNG(0), share=0.2)
    assert found.indices.tolist() == list(range(100))
    num_repeated = 0
    for position in range(1, 100):
        is_repeated = (found.read(position) == found.read(position - 1)).all()
        boxes = [found.truth.boxes_xyxy[found.truth.rows_at(i)] for i in (position - 1, position)]
        assert (boxes[0] == boxes[1]).all() == is_repeated
        num_repeated += int(is_repeated)
    assert 10 <= num_repeated <= 30


def test_h264_reads_a_long_sequence_group_by_group():
    footage = footage_of(SPOTS)
    read_positions = []

    def render(image, position):
        read_positions.append(position)
        return image

    found = recording.save_as_h264(footage.with_pixels(render), RNG(0), crf=28)
    found.read(0)
    assert read_positions == list(range(recording.KEY_FRAME_EVERY))
    found.read(recording.KEY_FRAME_EVERY - 1)
    assert len(read_positions) == recording.KEY_FRAME_EVERY
    found.read(99)
    assert read_positions[-4:] == [96, 97, 98, 99]
