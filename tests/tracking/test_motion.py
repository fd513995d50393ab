"""The filter against hand-counted values, a textbook filter, and what any covariance must be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.registration.transform import Transform
from stdet.tracking.motion import SwitchingMotion
from stdet.tracking.states import MotionStates, StateArray

ONE, TWO = (1.0,), (0.05, 0.6)


def make_filter(
    *, measurement: float = 1.0, accelerations: tuple[float, ...] = ONE, speed: float = 4.0
) -> SwitchingMotion:
    return SwitchingMotion(
        measurement_std_px=measurement,
        acceleration_stds_px=accelerations,
        initial_speed_std_px=speed,
    )


def predicted(motion: SwitchingMotion, states: MotionStates, num_frames: int) -> MotionStates:
    return motion.predict(motion.mix(states), num_frames).states


def test_start_has_measured_centre_zero_velocity_and_configured_spread() -> None:
    states = make_filter(measurement=2.0, speed=3.0, accelerations=TWO).start(np.array([[5.0, 6]]))
    np.testing.assert_array_equal(states.means, [[[5, 6, 0, 0]] * 2])
    np.testing.assert_array_equal(states.covariances, [[[4.0, 0.0, 9.0]] * 2])
    np.testing.assert_array_equal(states.weights, [[0.5, 0.5]])


def test_one_predicted_frame_equals_the_hand_count() -> None:
    # Position variance 1 + 16 + 1/4, covariance with velocity 16 + 1/2, velocity variance 16 + 1.
    states = predicted(make_filter(), make_filter().start(np.array([[0.0, 0.0]])), 1)
    np.testing.assert_allclose(states.covariances, [[[17.25, 16.5, 17.0]]], rtol=1e-12)


def test_second_detection_equals_the_hand_count() -> None:
    # S = 17.25 + 1; gain 17.25 / 18.25 on position and 16.5 / 18.25 on velocity; innovation 8.
    motion = make_filter()
    states = predicted(motion, motion.start(np.array([[10.0, 20.0]])), 1)
    found = np.array([[18.0, 20.0]])
    expected = -64 / (2 * 18.25) - np.log(2 * np.pi * 18.25)
    np.testing.assert_allclose(
        motion.log_likelihoods(states, np.zeros(1, np.int64), found), [expected]
    )
    point = motion.update(states, found).combined()
    np.testing.assert_allclose(
        point.means, [[10 + 8 * 17.25 / 18.25, 20, 8 * 16.5 / 18.25, 0]], rtol=1e-12
    )
    np.testing.assert_allclose(point.covariances[0, 0], 17.25 / 18.25, rtol=1e-12)


@given(num_frames=st.integers(1, 12), speed=st.floats(-10, 10), acceleration=st.floats(0.1, 5))
@settings(max_examples=25, deadline=None)
def test_one_mode_predicts_n_frames_as_one_frame_n_times(
    num_frames: int, speed: float, acceleration: float
) -> None:
    motion = make_filter(accelerations=(acceleration,))
    begun = motion.start(np.zeros((1, 2)))
    means = np.array([[[1.0, 2.0, speed, -speed]]])
    start = MotionStates.of(means, begun.covariances, begun.weights)
    at_once = predicted(motion, start, num_frames)
    one_by_one = start
    for _ in range(num_frames):
        one_by_one = predicted(motion, one_by_one, 1)
    np.testing.assert_allclose(at_once.means, one_by_one.means, atol=1e-9)
    np.testing.assert_allclose(at_once.covariances, one_by_one.covariances, rtol=1e-9)


@given(
    steps=st.lists(
        st.tuples(
            st.integers(1, 50),
            st.one_of(st.none(), st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))),
        ),
        min_size=1,
        max_size=40,
    ),
    measurement=st.floats(1e-2, 1e2),
    accelerations=st.lists(st.floats(1e-2, 1e2), min_size=1, max_size=3),
    speed=st.floats(1e-2, 1e2),
)
@settings(max_examples=40, deadline=None)
def test_covariance_stays_positive_definite(
    steps: list[tuple[int, tuple[float, float] | None]],
    measurement: float,
    accelerations: list[float],
    speed: float,
) -> None:
    motion = make_filter(measurement=measurement, accelerations=tuple(accelerations), speed=speed)
    states = motion.start(np.zeros((1, 2)))
    for num_frames, centre in steps:
        states = predicted(motion, states, num_frames)
        if centre is not None:
            states = motion.update(states, np.array([centre]))
        for covariances in (states.covariances, states.combined().covariances):
            place, both, velocity = np.moveaxis(covariances, -1, 0)
            assert (place > 0).all()
            assert (velocity > 0).all()
            assert (place * velocity > both * both).all()
        np.testing.assert_allclose(states.weights.sum(axis=1), 1)
        assert np.isfinite(states.means).all()


def textbook_filter(
    centres: StateArray, *, measurement: float, acceleration: float, speed: float
) -> tuple[StateArray, StateArray]:
    """Filter one target with explicit matrices and P <- (I - K H) P."""
    transition = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    influence = np.array([[0.5, 0], [0, 0.5], [1, 0], [0, 1]])
    process = influence @ influence.T * acceleration**2
    observe = np.array([[1, 0, 0, 0], [0, 1, 0, 0.0]])
    mean = np.array([*centres[0], 0, 0])
    covariance = np.diag([measurement**2, measurement**2, speed**2, speed**2])
    for centre in centres[1:]:
        mean = transition @ mean
        covariance = transition @ covariance @ transition.T + process
        innovation_covariance = observe @ covariance @ observe.T + measurement**2 * np.eye(2)
        gain = covariance @ observe.T @ np.linalg.inv(innovation_covariance)
        mean = mean + gain @ (centre - observe @ mean)
        covariance = (np.eye(4) - gain @ observe) @ covariance
    return mean, covariance


def test_each_of_equal_modes_equals_a_textbook_filter_on_three_targets_at_once() -> None:
    centres = np.random.default_rng(0).normal(size=(3, 20, 2)).cumsum(axis=1) * 5
    for accelerations in ((0.7,), (0.7, 0.7)):
        motion = make_filter(measurement=1.5, accelerations=accelerations, speed=3.0)
        states = motion.start(centres[:, 0])
        for step in range(1, 20):
            states = motion.update(predicted(motion, states, 1), centres[:, step])
        point = states.combined()
        for target in range(3):
            mean, covariance = textbook_filter(
                centres[target], measurement=1.5, acceleration=0.7, speed=3.0
            )
            np.testing.assert_allclose(point.means[target], mean, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(
                point.covariances[target], covariance[[0, 0, 2], [0, 2, 2]], atol=1e-9
            )


def test_straight_flight_is_told_from_manoeuvres() -> None:
    motion = make_filter(measurement=0.3, accelerations=TWO)
    ages = np.arange(40)[:, None]
    straight = ages * [3.0, 1.0]
    turning = 20 * np.concatenate([np.cos(ages * 0.15), np.sin(ages * 0.15)], axis=1)
    noise = np.random.default_rng(0).normal(0, 0.3, (40, 2, 2))
    centres = np.stack([straight, turning], axis=1) + noise
    states = motion.start(centres[0])
    for found in centres[1:]:
        states = motion.update(predicted(motion, states, 1), found)
    assert states.weights[0, 0] > 0.8
    assert states.weights[1, 1] > 0.8


@pytest.mark.parametrize("num_frames", [1, 4])
def test_mixing_and_predicting_over_all_modes_equals_the_combined_states(num_frames: int) -> None:
    motion, rng = make_filter(accelerations=TWO), np.random.default_rng(0)
    states = motion.start(rng.uniform(0, 100, (5, 2)))
    for _ in range(3):
        states = predicted(motion, states, 1)
        seen = states.combined().means[:, :2] + rng.normal(0, 2, (5, 2))
        states = motion.update(states, seen)
    mixture = motion.mix(states)
    ahead = motion.predict(mixture, num_frames)
    for whole, parts in (
        (mixture.combined, states),
        (mixture.combined, mixture.states),
        (ahead.combined, ahead.states),
    ):
        np.testing.assert_allclose(whole.means, parts.combined().means, rtol=1e-12)
        np.testing.assert_allclose(whole.covariances, parts.combined().covariances, rtol=1e-10)


def test_no_targets_pass_through() -> None:
    motion = make_filter(accelerations=TWO)
    states = motion.update(predicted(motion, motion.start(np.zeros((0, 2))), 3), np.zeros((0, 2)))
    assert len(states) == len(states.combined()) == 0
    assert states.covariances.shape == (0, 2, 3)


@pytest.mark.parametrize("num_frames", [0, -1])
def test_predicting_no_time_or_backwards_is_an_error(num_frames: int) -> None:
    motion = make_filter()
    with pytest.raises(ValueError, match=f"num_frames is {num_frames}"):
        predicted(motion, motion.start(np.zeros((1, 2))), num_frames)


def test_carrying_turns_velocities_and_scales_variances() -> None:
    # A quarter turn and twice the size.
    transform = Transform.affine([[0.0, -2.0], [2.0, 0.0]], (5.0, 7.0))
    states = MotionStates.of(
        means=np.array([[[1.0, 2.0, 3.0, 4.0]]]),
        covariances=np.array([[[1.0, 0.5, 2.0]]]),
        weights=np.ones((1, 1)),
    )
    carried = states.carried(transform)
    np.testing.assert_allclose(carried.means, [[[1.0, 9.0, -8.0, 6.0]]], atol=1e-12)
    np.testing.assert_allclose(carried.covariances, [[[4.0, 2.0, 8.0]]], atol=1e-12)
    np.testing.assert_array_equal(states.means, [[[1.0, 2.0, 3.0, 4.0]]])
