"""The filter against hand-counted values, a textbook filter, and what any covariance must be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stdet.registration.transform import Transform
from stdet.tracking.motion import ConstantVelocityFilter, MotionStates, StateArray


def make_filter(
    *, measurement: float = 1.0, acceleration: float = 1.0, speed: float = 4.0
) -> ConstantVelocityFilter:
    return ConstantVelocityFilter(
        measurement_std_px=measurement,
        acceleration_std_px=acceleration,
        initial_speed_std_px=speed,
    )


def test_start_has_measured_centre_zero_velocity_and_configured_spread() -> None:
    states = make_filter(measurement=2.0, speed=3.0).start(np.array([[5.0, 6.0]]))
    np.testing.assert_array_equal(states.means, [[5, 6, 0, 0]])
    np.testing.assert_array_equal(states.covariances, [np.diag([4.0, 4.0, 9.0, 9.0])])


def test_one_predicted_frame_equals_the_hand_count() -> None:
    # Position variance 1 + 16 + 1/4, covariance with velocity 16 + 1/2, velocity variance 16 + 1.
    states = make_filter().predict(make_filter().start(np.array([[0.0, 0.0]])), 1)
    expected = np.kron([[17.25, 16.5], [16.5, 17.0]], np.eye(2))
    np.testing.assert_allclose(states.covariances, [expected], rtol=1e-12)


def test_second_detection_equals_the_hand_count() -> None:
    # S = 17.25 + 1; gain 17.25 / 18.25 on position and 16.5 / 18.25 on velocity; innovation 8.
    motion = make_filter()
    states = motion.predict(motion.start(np.array([[10.0, 20.0]])), 1)
    np.testing.assert_allclose(motion.innovation_covariances(states), [18.25 * np.eye(2)])
    states = motion.update(states, np.array([[18.0, 20.0]]))
    np.testing.assert_allclose(
        states.means, [[10 + 8 * 17.25 / 18.25, 20, 8 * 16.5 / 18.25, 0]], rtol=1e-12
    )
    np.testing.assert_allclose(states.covariances[0, 0, 0], 17.25 / 18.25, rtol=1e-12)


@given(num_frames=st.integers(1, 12), speed=st.floats(-10, 10), acceleration=st.floats(0.1, 5))
@settings(max_examples=25, deadline=None)
def test_predicting_n_frames_equals_predicting_one_frame_n_times(
    num_frames: int, speed: float, acceleration: float
) -> None:
    motion = make_filter(acceleration=acceleration)
    start = MotionStates(
        means=np.array([[1.0, 2.0, speed, -speed]]),
        covariances=motion.start(np.zeros((1, 2))).covariances,
    )
    at_once = motion.predict(start, num_frames)
    one_by_one = start
    for _ in range(num_frames):
        one_by_one = motion.predict(one_by_one, 1)
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
    measurement=st.floats(1e-3, 1e2),
    acceleration=st.floats(1e-3, 1e2),
    speed=st.floats(1e-3, 1e2),
)
@settings(max_examples=40, deadline=None)
def test_covariance_stays_symmetric_positive_definite(
    steps: list[tuple[int, tuple[float, float] | None]],
    measurement: float,
    acceleration: float,
    speed: float,
) -> None:
    motion = make_filter(measurement=measurement, acceleration=acceleration, speed=speed)
    states = motion.start(np.zeros((1, 2)))
    for num_frames, centre in steps:
        states = motion.predict(states, num_frames)
        if centre is not None:
            states = motion.update(states, np.array([centre]))
        np.testing.assert_array_equal(states.covariances, states.covariances.swapaxes(1, 2))
        np.linalg.cholesky(states.covariances)  # Raises unless positive definite.
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


def test_filter_equals_a_textbook_filter_on_three_targets_at_once() -> None:
    centres = np.random.default_rng(0).normal(size=(3, 20, 2)).cumsum(axis=1) * 5
    motion = make_filter(measurement=1.5, acceleration=0.7, speed=3.0)
    states = motion.start(centres[:, 0])
    for step in range(1, 20):
        states = motion.update(motion.predict(states, 1), centres[:, step])
    for target in range(3):
        mean, covariance = textbook_filter(
            centres[target], measurement=1.5, acceleration=0.7, speed=3.0
        )
        np.testing.assert_allclose(states.means[target], mean, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(states.covariances[target], covariance, atol=1e-9)


def test_no_targets_pass_through() -> None:
    motion = make_filter()
    states = motion.update(motion.predict(motion.start(np.zeros((0, 2))), 3), np.zeros((0, 2)))
    assert len(states) == 0
    assert states.covariances.shape == (0, 4, 4)


@pytest.mark.parametrize("num_frames", [0, -1])
def test_predicting_no_time_or_backwards_is_an_error(num_frames: int) -> None:
    with pytest.raises(ValueError, match=f"num_frames is {num_frames}"):
        make_filter().predict(MotionStates.empty(), num_frames)


def random_states(rng: np.random.Generator, num: int) -> MotionStates:
    roots = rng.normal(0, 2, (num, 4, 4))
    return MotionStates(
        means=rng.normal(0, 50, (num, 4)), covariances=roots @ roots.swapaxes(1, 2) + np.eye(4)
    )


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_carrying_by_two_transforms_equals_carrying_by_their_composition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = (
        Transform(np.eye(3) + rng.normal(0, [[0.1, 0.1, 30]] * 2 + [[1e-4, 1e-4, 0]]))
        for _ in range(2)
    )
    states = random_states(rng, 5)
    twice, once = states.carried(first).carried(second), states.carried(second @ first)
    np.testing.assert_allclose(twice.means, once.means, atol=1e-9)
    np.testing.assert_allclose(twice.covariances, once.covariances, atol=1e-9)
    back = twice.carried((second @ first).inverse())
    np.testing.assert_allclose(back.means, states.means, atol=1e-9)
    np.testing.assert_allclose(back.covariances, states.covariances, atol=1e-8)


def test_carried_states_are_those_of_carried_samples() -> None:
    rng = np.random.default_rng(0)
    transform = Transform.affine([[0.9, -0.3], [0.3, 0.9]], (12.0, -7.0))
    states = random_states(rng, 1)
    samples = rng.multivariate_normal(states.means[0], states.covariances[0], 200_000)
    # Where a target is now and in the next frame are two points of the picture.
    places, next_places = samples[:, :2], samples[:, :2] + samples[:, 2:]
    moved = transform.apply(places)
    carried = np.concatenate([moved, transform.apply(next_places) - moved], axis=1)
    found = states.carried(transform)
    np.testing.assert_allclose(found.means[0], carried.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(found.covariances[0], np.cov(carried.T), rtol=0.05, atol=0.2)


def test_carrying_by_the_identity_changes_no_bit() -> None:
    states = random_states(np.random.default_rng(0), 7)
    found = states.carried(Transform.identity())
    np.testing.assert_array_equal(found.means, states.means)
    np.testing.assert_array_equal(found.covariances, states.covariances)
