"""What stays at its place of the picture while the scene moves is told from targets."""

import numpy as np
import pytest

from stdet.registration.camera_motion import CameraPose
from stdet.registration.fixed_places import FixedPlaces
from stdet.registration.frame_motion import RegistrationQuality
from stdet.registration.transform import Transform

HW = (512, 640)
SPOT = np.array([300.5, 200.5])


def _pose(offset, *, run=1, error_px=0.01):
    quality = RegistrationQuality(
        model="translation", error_px=error_px, unexplained=0.0, inliers=1.0
    )
    return CameraPose(
        run=run, from_start=Transform.translation(offset), state="measured", quality=quality
    )


def _learnt(offsets, places, *, clutter=20, seed=0, **pose):
    """Return whether the last place is fixed, by a camera at offsets and what is found."""
    rng = np.random.default_rng(seed)
    known = FixedPlaces()
    for offset, place in zip(offsets, places, strict=True):
        found = np.vstack([rng.uniform(0, 500, (clutter, 2)), place])
        known.learn(found, _pose(offset, **pose), HW)
    return bool(known.holds(np.atleast_2d(places[-1]))[0])


def _pan(num, step=2.0):
    return [(step * index, 0.0) for index in range(num)]


def test_a_spot_of_the_sensor_is_known_after_some_looks():
    rng = np.random.default_rng(1)
    places = SPOT + rng.normal(0, 0.4, (12, 2))
    assert _learnt(_pan(12), places)
    assert not _learnt(_pan(3), places[:3])


@pytest.mark.parametrize("error_px", [None, 1.0])
def test_nothing_is_learnt_where_the_motion_is_not_known(error_px):
    assert not _learnt(_pan(40), np.tile(SPOT, (40, 1)), error_px=error_px)


def test_a_camera_at_rest_or_that_shakes_tells_nothing():
    rng = np.random.default_rng(2)
    assert not _learnt([(0.0, 0.0)] * 60, np.tile(SPOT, (60, 1)))
    shake = rng.normal(0, 1.0, (200, 2))
    hovering = SPOT + shake  # In the scene it rests.
    assert not _learnt(shake, hovering)


@pytest.mark.parametrize("wander_px", [1.5, 3.0, 8.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_target_that_the_camera_follows_is_no_fixed_place(wander_px, seed):
    rng = np.random.default_rng(seed)
    places = SPOT + rng.normal(0, wander_px, (150, 2))
    assert not _learnt(_pan(150), places, seed=seed)


def test_what_rests_in_the_scene_is_no_fixed_place():
    offsets = _pan(40)
    assert not _learnt(offsets, SPOT + np.array(offsets))


def test_chance_makes_no_fixed_place_and_places_are_forgotten():
    rng = np.random.default_rng(3)
    known = FixedPlaces()
    for index in range(600):
        known.learn(rng.uniform(0, 500, (10, 2)), _pose((2.0 * index, 0.0)), HW)
    grid = np.stack(np.meshgrid(np.arange(500.0), np.arange(500.0)), axis=-1).reshape(-1, 2)
    assert known.holds(grid).mean() < 1e-3
    assert len(known._xy) <= 1100


def test_a_look_after_a_cut_has_another_scene_behind_it():
    known = FixedPlaces()
    for run in range(1, 5):
        known.learn(np.atleast_2d(SPOT), _pose((0.0, 0.0), run=run), HW)
    assert known.holds(np.atleast_2d(SPOT)).all()
