"""Properties of transforms: their algebra, the images that they move, and coverage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from stdet.registration.transform import Transform

SHIFTS = st.tuples(st.floats(-40, 40), st.floats(-40, 40))
POINTS = np.array([[0.0, 0.0], [3.5, 7.25], [-20.0, 11.0]])


@st.composite
def transforms(draw) -> Transform:
    """Draw a rotation, a zoom along each axis, a mirror and a translation."""
    angle, mirror = draw(st.floats(-3, 3)), draw(st.sampled_from([-1, 1]))
    zoom = [draw(st.floats(0.5, 2)) * mirror, draw(st.floats(0.5, 2))]
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Transform.affine(np.array(turn) @ np.diag(zoom), draw(SHIFTS))


def scene(side: int = 96) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(0).random((side, side)), 3.0)
    return ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)


@given(transforms())
def test_inverse_leads_every_point_back(transform):
    np.testing.assert_allclose(
        transform.inverse().apply(transform.apply(POINTS)), POINTS, atol=1e-9
    )
    np.testing.assert_allclose((transform @ transform.inverse()).matrix, np.eye(3), atol=1e-9)


@given(transforms(), transforms())
def test_composition_does_the_right_one_first(second, first):
    np.testing.assert_allclose(
        (second @ first).apply(POINTS), second.apply(first.apply(POINTS)), atol=1e-9
    )


@given(transforms(), transforms(), transforms())
def test_composition_is_associative_and_has_the_identity(one, two, three):
    np.testing.assert_allclose(
        ((one @ two) @ three).matrix, (one @ (two @ three)).matrix, atol=1e-9
    )
    np.testing.assert_array_equal((one @ Transform.identity()).matrix, one.matrix)
    np.testing.assert_array_equal((Transform.identity() @ one).matrix, one.matrix)


@given(transforms(), transforms())
def test_conjugation_is_the_same_motion_in_other_coordinates(transform, by):
    moved = transform.conjugate(by)
    np.testing.assert_allclose(moved.matrix, (by @ transform @ by.inverse()).matrix, atol=1e-7)
    np.testing.assert_allclose(
        moved.apply(by.apply(POINTS)), by.apply(transform.apply(POINTS)), atol=1e-7
    )


@given(SHIFTS, SHIFTS, transforms())
def test_translations_are_exact_to_the_last_bit(one, two, by):
    first, second = Transform.translation(one), Transform.translation(two)
    np.testing.assert_array_equal(first.offset_xy, one)
    np.testing.assert_array_equal(first.inverse().offset_xy, np.negative(one))
    np.testing.assert_array_equal((second @ first).offset_xy, np.add(one, two))
    np.testing.assert_array_equal(first.apply(POINTS), POINTS + one)
    np.testing.assert_array_equal(first.displacements(POINTS), np.tile(one, (3, 1)))
    for result in (first.inverse(), second @ first, first.conjugate(by)):
        np.testing.assert_array_equal(result.matrix[:2, :2], np.eye(2))
    mirror = Transform.affine([[-1, 0], [0, 1]], (37.0, 0.0))
    np.testing.assert_array_equal(first.conjugate(mirror).offset_xy, np.multiply(one, (-1, 1)))
    zoom = Transform.affine(np.diag([0.7, 1.3]), (11.0, -5.0))
    np.testing.assert_array_equal(first.conjugate(zoom).offset_xy, np.multiply(one, (0.7, 1.3)))


@given(transforms(), st.integers(1, 60), st.integers(1, 60))
def test_no_point_of_a_frame_moves_farther_than_the_largest_displacement(transform, height, width):
    y, x = np.mgrid[0 : height + 0.1 : height / 4, 0 : width + 0.1 : width / 4]
    inside = np.abs(transform.displacements(np.stack([x, y], axis=-1)))
    np.testing.assert_allclose(transform.largest_displacement((height, width)), inside.max())


def test_largest_displacement_of_a_translation_is_its_longer_part():
    assert Transform.translation((-3.0, 2.0)).largest_displacement((4, 9)) == 3.0


def test_warp_of_no_motion_is_a_copy():
    image = scene(24)
    found = Transform.identity().warp(image)
    np.testing.assert_array_equal(found.image, image)
    assert found.is_covered.all()
    assert not np.shares_memory(found.image, image)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (3.0, -2.0), (-7.3, 0.6)])
def test_warp_by_steps_is_every_so_many_pixels(shift):
    image = np.random.default_rng(0).random((20, 31)).astype(np.float32)
    turn = Transform.affine([[0.9, -0.1], [0.2, 1.1]], shift)
    for transform in (Transform.translation(shift), turn):
        whole, part = transform.warp(image), transform.warp(image, step=3)
        np.testing.assert_allclose(part.image, whole.image[::3, ::3], atol=1e-5)
        np.testing.assert_array_equal(part.is_covered, whole.is_covered[::3, ::3])


def test_warp_moves_content_by_whole_and_half_pixels():
    image = np.zeros((5, 6), np.float32)
    image[2, 3] = 1.0
    whole = Transform.translation((-2.0, 1.0)).warp(image).image
    assert whole[3, 1] == 1.0
    assert whole.sum() == 1.0
    half = Transform.translation((0.5, 0.0)).warp(image).image
    np.testing.assert_allclose(half[2], [0, 0, 0, 0.5, 0.5, 0])


@pytest.mark.parametrize(
    ("shift", "columns", "rows"),
    [
        ((0.0, 0.0), range(6), range(4)),
        ((2.0, 0.0), range(2, 6), range(4)),
        ((1.5, 0.0), range(2, 6), range(4)),
        ((-1.5, 0.0), range(4), range(4)),
        ((0.0, -0.25), range(6), range(3)),
        ((9.0, 0.0), [], range(4)),
        ((0.0, -9.0), range(6), []),
    ],
)
def test_pixels_are_covered_whose_centre_the_image_shows(shift, columns, rows):
    expected = np.zeros((4, 6), np.bool_)
    expected[np.ix_(list(rows), list(columns))] = True
    image = np.ones((4, 6), np.float32)
    for linear in (np.eye(2), np.eye(2) * (1 + 1e-9)):  # The second is no translation.
        found = Transform.affine(linear, shift).warp(image)
        np.testing.assert_array_equal(found.is_covered, expected)
        # Beyond its edge an image is repeated.
        np.testing.assert_allclose(found.image, 1)


@settings(max_examples=100, deadline=None)
@given(transforms(), st.tuples(st.floats(-4e-3, 4e-3), st.floats(-4e-3, 4e-3)))
def test_covered_is_what_leads_back_into_the_image(affine, perspective):
    matrix = affine.matrix.copy()
    matrix[2, :2] = perspective
    transform = Transform(matrix)
    image = np.ones((24, 37), np.float32)
    rows, columns = np.mgrid[:24, :37] + 0.5
    homogeneous = np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
    x, y, weight = np.linalg.inv(matrix) @ homogeneous / np.linalg.inv(matrix)[2, 2]
    beyond = [0.5 - x / weight, x / weight - 36.5, 0.5 - y / weight, y / weight - 23.5, -weight]
    farthest = np.max(beyond, axis=0).reshape(image.shape)
    is_covered = transform.warp(image).is_covered
    assert is_covered[farthest < 0].all()
    assert not is_covered[farthest > 0.01].any()


@settings(max_examples=40, deadline=None)
@given(SHIFTS)
def test_warp_of_a_translation_is_that_of_an_affine_map_beside_it(shift):
    image = scene(48)
    exact = Transform.translation(shift).warp(image)
    beside = Transform.affine(np.eye(2) * (1 + 1e-9), shift).warp(image)
    np.testing.assert_allclose(exact.image, beside.image, atol=1e-5)
    assert (exact.is_covered != beside.is_covered).sum() <= sum(image.shape)


@settings(max_examples=40, deadline=None)
@given(transforms(), st.tuples(st.floats(-8, 8), st.floats(-8, 8)))
def test_warp_of_a_warped_image_is_that_of_the_composition(turn, shift):
    image, second = scene(), Transform.translation(shift)
    around = Transform.translation((48, 48)) @ Transform.affine(turn.matrix[:2, :2], (0, 0))
    first = around @ Transform.translation((-48, -48))
    halfway = first.warp(image)
    twice, once = second.warp(halfway.image), (second @ first).warp(image)
    was_seen = second.warp(halfway.is_covered.astype(np.float32)).image == 1
    is_seen = once.is_covered & twice.is_covered & was_seen
    if is_seen.sum() < 100:
        return
    assert np.abs(twice.image - once.image)[is_seen].mean() < 0.02


@pytest.mark.parametrize(
    ("augmented", "by"),
    [
        (lambda image: image[:, ::-1], Transform.affine([[-1, 0], [0, 1]], (64, 0))),
        (lambda image: image[::-1], Transform.affine([[1, 0], [0, -1]], (0, 64))),
        (lambda image: image.T, Transform.affine([[0, 1], [1, 0]], (0, 0))),
        (lambda image: image[5:, 3:], Transform.translation((-3, -5))),
        # Twice the size: every pixel becomes four.
        (lambda image: image.repeat(2, 0).repeat(2, 1), Transform.affine(np.eye(2) * 2, (0, 0))),
    ],
)
@pytest.mark.parametrize(
    "motion",
    [
        Transform.translation((3.0, -2.0)),
        Transform.translation((-2.0, 4.0)),
        Transform.affine([[0.99, -0.05], [0.05, 0.99]], (3.0, -2.0)),
    ],
)
def test_conjugate_is_the_motion_between_augmented_images(augmented, by, motion):
    before = scene(64)
    after = motion.warp(before)
    expected, is_covered = augmented(after.image), augmented(after.is_covered)
    found = motion.conjugate(by).warp(np.ascontiguousarray(augmented(before)))
    is_seen = is_covered & found.is_covered
    assert is_seen.mean() > 0.7
    assert np.abs(found.image - expected)[is_seen].max() < 0.08  # Copies of pixels have steps.


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(2), "expected 3x3 finite"),
        (np.diag([1, np.nan, 1]), "expected 3x3 finite"),
        (np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0]]), "to infinity"),
    ],
)
def test_what_is_no_map_of_the_plane_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        Transform(matrix)


def test_map_to_a_line_has_no_inverse_and_matrices_cannot_be_written():
    with pytest.raises(ValueError, match="Singular"):
        Transform.affine([[1, 0], [0, 0]], (0, 0)).inverse()
    with pytest.raises(ValueError, match="read-only"):
        Transform.identity().matrix[0, 0] = 2
