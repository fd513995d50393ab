from functools import partial

import numpy as np
import pytest
from footage_of_spots import Spots, footage_of
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from stdet.boxes import centres_xy
from stdet.changes import geometry
from stdet.changes.footage import Footage
from stdet.changes.homography import carry_boxes, moved, warp
from stdet.types import SequenceAnnotation

RNG = np.random.default_rng
SPOTS = Spots(num_frames=8, hw=(48, 64))


def shifted(x: float, y: float) -> np.ndarray:
    matrix = np.eye(3)
    matrix[:2, 2] = x, y
    return matrix


def shift_all(footage, x: float, y: float):
    return moved(footage, np.tile(shifted(x, y), (len(footage), 1, 1)), footage.truth.image_hw)


def rows_equal(one, other) -> None:
    np.testing.assert_array_equal(one.frame_indices, other.frame_indices)
    np.testing.assert_array_equal(one.track_ids, other.track_ids)
    np.testing.assert_array_equal(one.is_ignored, other.is_ignored)
    np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "strength"),
    [
        (geometry.roll, {"degrees": 0.0}),
        (geometry.zoom, {"least": 1.0, "most": 1.0}),
        (geometry.hand, {"shift_px": 0.0, "roll_degrees": 0.0, "zoom_share": 0.0}),
        (geometry.jerks, {"least_px": 0.0, "most_px": 0.0}),
        (geometry.perspective, {"tilt": 0.0}),
        (geometry.turn, {"quarters": 0}),
        (geometry.turn, {"quarters": 4}),
        (geometry.resize, {"factor": 1.0}),
    ],
)
def test_change_of_strength_zero_is_the_identity(change, strength):
    footage = footage_of(SPOTS)
    found = change(footage, RNG(0), **strength)
    rows_equal(found.truth, footage.truth)
    np.testing.assert_array_equal(found.read(5), footage.read(5))


def test_target_at_the_edge_is_no_other_target_after_an_identity():
    footage = shift_all(footage_of(SPOTS), -18.0, 0.0)
    assert footage.truth.is_ignored.any()
    again = shift_all(footage, 0.0, 0.0)
    rows_equal(again.truth, footage.truth)


coordinate = st.floats(-50, 50)


@given(
    centre=st.tuples(coordinate, coordinate),
    sides=st.tuples(st.floats(1, 20), st.floats(1, 20)),
    angle=st.floats(0, 7),
    factor=st.floats(0.3, 3),
    tilt=st.tuples(st.floats(-1e-3, 1e-3), st.floats(-1e-3, 1e-3)),
)
def test_carried_box_surrounds_the_ellipse_that_the_box_enclosed(
    centre, sides, angle, factor, tilt
):
    matrix = np.eye(3)
    matrix[:2, :2] = factor * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    matrix[2, :2] = tilt
    half = np.array(sides) / 2
    (box,) = carry_boxes(np.array([[*(centre - half), *(centre + half)]]), matrix[None])

    def project(points):
        found = np.column_stack([points, np.ones(len(points))]) @ matrix.T
        return found[:, :2] / found[:, 2:]

    np.testing.assert_allclose((box[:2] + box[2:]) / 2, project([centre])[0], atol=1e-3)
    # A small ellipse, since perspective bends a large one.
    phases = np.linspace(0, 2 * np.pi, 721)
    small = np.stack([np.cos(phases), np.sin(phases)], axis=1) * half * 1e-3
    extent = np.ptp(project(centre + small), axis=0) * 1e3
    np.testing.assert_allclose(box[2:] - box[:2], extent, rtol=0.01)


def test_quarter_turn_swaps_the_sides_of_boxes():
    found = geometry.turn(footage_of(SPOTS), RNG(0), quarters=1)
    sides = found.truth.boxes_xyxy[:, 2:] - found.truth.boxes_xyxy[:, :2]
    np.testing.assert_allclose(sides, np.tile([8.0, 6.0], (16, 1)), atol=1e-4)


def test_four_quarter_turns_one_by_one_lead_back():
    footage = footage_of(SPOTS)
    found = footage
    for _ in range(4):
        found = geometry.turn(found, RNG(0), quarters=1)
    rows_equal(found.truth, footage.truth)
    np.testing.assert_array_equal(found.read(3), footage.read(3))


def test_whole_shift_moves_pixels_without_changing_them():
    image = RNG(0).random((20, 30), dtype=np.float32)
    found = warp(image, shifted(3, 2), (20, 30))
    np.testing.assert_allclose(found[2:, 3:], image[:-2, :-3], atol=1e-5)


def test_half_a_pixel_there_and_half_a_pixel_on_blurs_little():
    # The spline keeps a spot of 1.5 px; bilinear sampling would take a fifth of it.
    image = SPOTS.image(0)
    found = warp(warp(image, shifted(0.5, 0.5), (48, 64)), shifted(-0.5, -0.5), (48, 64))
    assert np.abs(found - image)[8:-8, 8:-8].max() < 0.008


@pytest.mark.parametrize(
    ("shift_px", "is_scored", "is_there"),
    [(-14.0, True, True), (-18.0, False, True), (-23.0, False, True), (-24.5, False, False)],
)
def test_what_is_cut_is_ignored_and_what_has_left_is_gone(shift_px, is_scored, is_there):
    # The first target's centre is at x = 19.5, its margin from 15.5 to 23.5.
    footage = footage_of(Spots(num_frames=1, hw=(48, 64), num_targets=1))
    truth = shift_all(footage, shift_px, 0.0).truth
    rows = truth.track_ids == 1
    assert bool(rows.any()) == is_there
    assert bool((~truth.is_ignored[rows]).any()) == is_scored


def test_mirror_image_of_a_target_is_ignored():
    # At x = 19.5 in the frame as it was; mirrored at -18.5, which a shift by 30 brings in.
    footage = footage_of(Spots(num_frames=2, hw=(48, 64), num_targets=1), noise=0.0)
    found = shift_all(footage, 30.0, 0.0)
    rows = found.truth.rows_at(0)
    assert found.truth.is_ignored[rows].tolist() == [False, True]
    assert found.truth.track_ids[rows][0] == 1 != found.truth.track_ids[rows][1]
    centres = centres_xy(found.truth.boxes_xyxy[rows])
    np.testing.assert_allclose(centres[:, 0], [49.5, 11.5], atol=1e-3)
    frame = found.read(0)
    for x, y in centres.tolist():
        assert frame[int(y), int(x)] > 0.6


def test_jerks_are_as_long_as_asked_for_and_stay_near():
    footage = footage_of(Spots(num_frames=400, hw=(256, 256), num_targets=1))
    found = geometry.jerks(footage, RNG(1), least_px=6.0, most_px=30.0)
    rows = ~found.truth.is_ignored
    assert rows.sum() > 360
    offsets = (
        (found.truth.boxes_xyxy[:, :2][rows][:, :2])
        - footage.truth.boxes_xyxy[found.truth.frame_indices[rows], :2]
    )
    steps = np.hypot(*np.diff(offsets, axis=0).T)
    is_jerk = steps > 1e-3
    assert 10 < is_jerk.sum() < 50
    assert steps[is_jerk].min() > 5.99
    assert np.abs(offsets).max() < 80


def test_every_sequence_of_two_frames_has_a_jerk():
    footage = footage_of(Spots(num_frames=2, hw=(128, 128), num_targets=1))
    found = geometry.jerks(footage, RNG(0), least_px=6.0, most_px=6.0)
    moved_xy = found.truth.boxes_xyxy[1, :2] - footage.truth.boxes_xyxy[1, :2]
    assert np.hypot(*moved_xy) == pytest.approx(6.0, abs=1e-3)


def test_half_the_size_has_no_aliases():
    image = np.tile(np.array([0.0, 1.0], np.float32), (16, 16))  # The finest pattern there is.
    footage = footage_of(Spots(num_frames=1, hw=(16, 32), num_targets=0))
    striped = footage.with_pixels(lambda old, position: image)
    found = geometry.resize(striped, RNG(0), factor=0.5).read(0)
    np.testing.assert_allclose(found[:, 2:-2], 0.5, atol=0.06)


@pytest.mark.parametrize("is_moved", [True, False])
def test_bad_pixel_is_replaced_before_frames_are_resampled(is_moved):
    hw, num_frames = (64, 80), 12
    rng = RNG(0)
    scene = gaussian_filter(rng.random((200, 240)), 2.0)
    scene = (0.2 + 0.5 * (scene - scene.min()) / np.ptp(scene)).astype(np.float32)

    def pan(position: int) -> np.ndarray:
        return scene[20 : 20 + hw[0], 20 + 2 * position :][:, : hw[1]].copy()

    def spoilt(position: int) -> np.ndarray:
        frame = pan(position)
        frame[30, 40] = 1.0
        return frame

    truth = SequenceAnnotation.empty(name="pan", num_frames=num_frames, image_hw=hw)
    clean, bad = (Footage.of(truth, read, bit_depth=8) for read in (pan, spoilt))
    change = (
        partial(geometry.resize, factor=2.0) if is_moved else partial(geometry.turn, quarters=2)
    )
    differences = [
        np.abs(change(bad, RNG(0)).read(at) - change(clean, RNG(0)).read(at)).max()
        for at in (0, num_frames - 1)
    ]
    if is_moved:  # In the first frame, too, in which no stream can know the pixel.
        assert max(differences) < 0.05
    else:
        assert min(differences) > 0.3
