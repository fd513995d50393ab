"""Drawings: size, what is where, what stays untouched, how long it takes."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stdet.io.drawing import Trails, draw_frame, render_scale, track_colour
from stdet.registration.transform import Transform
from stdet.types import Detections, Tracks

HW = (512, 640)


def make_tracks(
    boxes: list[list[float]], *, ids: list[int] | None = None, rows: list[int] | None = None
) -> Tracks:
    """Build the tracks of one frame; ``rows`` are detection indices, 0, 1, ... by default."""
    num = len(boxes)
    return Tracks(
        frame_indices=np.zeros(num, np.int64),
        track_ids=np.array(ids or range(1, num + 1), np.int64),
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.ones(num, np.float32),
        probabilities=np.full(num, np.nan, np.float32),
        class_ids=np.zeros(num, np.int64),
        detection_indices=np.array(rows or range(num), np.int64),
    )


def make_detections(boxes: list[list[float]]) -> Detections:
    return Detections.from_unsorted(
        np.array(boxes).reshape(-1, 4), np.full(len(boxes), 0.5), frame_index=0, image_hw=HW
    )


def grey(hw: tuple[int, int] = HW, *, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, hw, dtype=np.uint8)


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(pixels[:, :, None], 3, axis=2)


def colours_of(drawing: NDArray[np.uint8]) -> set[tuple[int, ...]]:
    return {tuple(colour) for colour in drawing.reshape(-1, 3).tolist()}


@pytest.mark.parametrize(
    ("hw", "scale"),
    [
        ((512, 640), 1),
        ((480, 720), 1),
        ((256, 320), 2),
        ((256, 256), 2),
        ((128, 128), 4),
        ((2160, 3840), 1),
        # A wide strip would grow to 20,480 px by its short side alone.
        ((16, 640), 3),
    ],
)
def test_drawing_is_enlarged_by_a_whole_factor(hw: tuple[int, int], scale: int) -> None:
    assert render_scale(hw) == scale
    drawing = draw_frame(grey(hw), None, Tracks.empty(), {})
    assert drawing.shape == (hw[0] * scale, hw[1] * scale, 3)
    assert drawing.dtype == np.uint8


def test_frame_without_targets_is_the_frame_itself() -> None:
    pixels = grey()
    empty = Detections.empty(frame_index=0, image_hw=HW)
    np.testing.assert_array_equal(draw_frame(pixels, empty, Tracks.empty(), {}), as_rgb(pixels))
    small = grey((128, 128))
    np.testing.assert_array_equal(
        draw_frame(small, None, Tracks.empty(), {})[::4, ::4], as_rgb(small)
    )


def test_frame_given_is_not_changed() -> None:
    pixels = grey()
    before = pixels.copy()
    draw_frame(pixels, None, make_tracks([[10, 10, 13, 13]]), {1: [(0, 0), (11, 11)]})
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize("rows", [[0], [-1]])
def test_box_is_drawn_around_the_target_and_not_over_it(rows: list[int]) -> None:
    # A 3 px target; its trail runs right through it. Three pixels around stay untouched.
    pixels = grey()
    tracks = make_tracks([[100, 200, 103, 203]], rows=rows)
    drawing = draw_frame(pixels, None, tracks, {1: [(60, 190), (101.5, 201.5)]})
    inside = (slice(197, 206), slice(97, 106))
    np.testing.assert_array_equal(drawing[inside], as_rgb(pixels)[inside])
    # The two-pixel line begins right outside.
    assert drawing[196, 97].tolist() != as_rgb(pixels)[196, 97].tolist()
    changed = (drawing != as_rgb(pixels)).any(axis=2)
    assert changed[180:220, 90:115].sum() > 40


def test_trail_of_another_track_does_not_cover_a_target() -> None:
    pixels = np.zeros(HW, np.uint8)
    tracks = make_tracks([[100, 200, 103, 203], [300, 200, 303, 203]])
    drawing = draw_frame(pixels, None, tracks, {2: [(50.0, 201.5), (301.5, 201.5)]})
    assert not drawing[197:206, 97:106].any()
    assert drawing[201, 60:90].any()


def test_track_is_drawn_in_its_own_colour() -> None:
    pixels = np.zeros(HW, np.uint8)
    drawing = draw_frame(pixels, None, make_tracks([[100, 200, 103, 203]], ids=[7]), {})
    assert track_colour(7) in colours_of(drawing)
    assert track_colour(8) not in colours_of(drawing)


def test_coasted_box_is_broken_and_darker() -> None:
    pixels = np.zeros(HW, np.uint8)
    box = [[100.0, 200.0, 130.0, 230.0]]
    solid = draw_frame(pixels, None, make_tracks(box, rows=[0]), {})[195:235, 95:135]
    dashed = draw_frame(pixels, None, make_tracks(box, rows=[-1]), {})[195:235, 95:135]
    num_lit = [int((side.max(axis=2) > 60).sum()) for side in (solid, dashed)]
    assert 0.3 * num_lit[0] < num_lit[1] < 0.7 * num_lit[0]
    assert dashed.max() < solid.max()


def test_only_detections_without_a_track_get_a_grey_box() -> None:
    pixels = np.zeros(HW, np.uint8)
    detections = make_detections([[100, 200, 103, 203], [300, 200, 303, 203]])
    drawing = draw_frame(pixels, detections, make_tracks([[300, 200, 303, 203]], rows=[1]), {})
    free, tracked = drawing[190:215, 90:115], drawing[190:215, 290:315]
    is_grey = [
        {colour for colour in colours_of(part) if colour[0] == colour[1] == colour[2] > 60}
        for part in (free, tracked)
    ]
    assert (len(is_grey[0]), len(is_grey[1])) == (1, 0)
    assert not draw_frame(pixels, None, Tracks.empty(), {}).any()


def test_id_stands_inside_the_drawing_at_every_border() -> None:
    # On a white frame only the ground of an id is black; four digits are some 32 x 10 px.
    pixels = np.full((100, 100), 255, np.uint8)
    corners = [
        [0, 0, 3, 3],
        [97, 0, 100, 3],
        [0, 97, 3, 100],
        [97, 97, 100, 100],
        [0, 0, 100, 100],
    ]
    for box in corners:
        tracks = make_tracks([[float(edge) for edge in box]], ids=[1234])
        rows, columns = np.nonzero(draw_frame(pixels, None, tracks, {}).max(axis=2) == 0)
        assert 28 <= np.ptp(columns) <= 40
        assert 8 <= np.ptp(rows) <= 16


def test_track_outside_the_frame_leaves_no_id_in_it() -> None:
    pixels = np.full(HW, 255, np.uint8)
    for box in ([-30, 50, -27, 53], [50, -30, 53, -27], [700, 50, 703, 53], [50, 600, 53, 603]):
        drawing = draw_frame(pixels, None, make_tracks([[float(edge) for edge in box]]), {})
        assert (drawing == 255).all()


@given(
    boxes=st.lists(
        st.tuples(
            st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1e6)
        ),
        max_size=4,
    ),
    is_coasted=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_any_finite_box_can_be_drawn(
    boxes: list[tuple[float, float, float, float]], is_coasted: bool
) -> None:
    corners = [[x, y, x + width, y + height] for x, y, width, height in boxes]
    tracks = make_tracks(corners, rows=[-1] * len(boxes) if is_coasted else None)
    trails = {i + 1: [(box[0], box[1]), (0.0, 0.0)] for i, box in enumerate(corners)}
    drawing = draw_frame(grey((64, 64)), make_detections(corners), tracks, trails)
    assert drawing.shape == (512, 512, 3)


@pytest.mark.parametrize(
    "pixels", [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32), np.zeros(8, np.uint8)]
)
def test_anything_but_a_grey_uint8_frame_is_an_error(pixels: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(H, W\)"):
        draw_frame(pixels, None, Tracks.empty(), {})


def test_colours_are_stable_bright_and_apart_from_their_neighbours() -> None:
    colours = np.array([track_colour(i) for i in range(1, 200)])
    assert track_colour(5) == track_colour(5)
    assert (colours.max(axis=1) == 255).all()
    assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 80


def test_trails_are_the_last_centres_oldest_first() -> None:
    trails = Trails(length=3)
    for i in range(5):
        trails.update(make_tracks([[i, 0, i + 2, 2]], ids=[9]))
    assert list(trails.points) == [9]
    assert list(trails.points[9]) == [(3, 1), (4, 1), (5, 1)]


def test_trails_forget_tracks_that_have_ended() -> None:
    trails = Trails()
    for track_id in range(1, 500):
        trails.update(make_tracks([[0, 0, 2, 2]], ids=[track_id]))
        assert list(trails.points) == [track_id]
    trails.update(Tracks.empty())
    assert not trails.points


def test_trail_without_length_is_an_error() -> None:
    with pytest.raises(ValueError, match="length is 0"):
        Trails(length=0)


def test_drawing_twenty_targets_takes_less_than_ten_milliseconds() -> None:
    rng = np.random.default_rng(0)
    centres = rng.uniform(20, 490, (20, 2))
    boxes = np.concatenate([centres - 2, centres + 2], axis=1).tolist()
    trails = {
        i + 1: [(float(x + j), float(y)) for j in range(30)] for i, (x, y) in enumerate(centres)
    }
    tracks, detections, pixels = make_tracks(boxes), make_detections(boxes), grey()
    durations = []
    for _ in range(9):
        begin = time.process_time()
        draw_frame(pixels, detections, tracks, trails)
        durations.append(time.process_time() - begin)
    assert np.median(durations) < 10e-3


def test_drawing_does_not_depend_on_the_last_digits_of_a_box():
    box = np.array([[20.0, 30.0, 28.0, 36.0]], np.float32)
    drawings = [
        draw_frame(grey((64, 96)), None, make_tracks(np.nextafter(box, toward).tolist()), {})
        for toward in (np.float32(0), np.float32(99))
    ]
    np.testing.assert_array_equal(drawings[0], drawings[1])


def test_trails_follow_the_scene() -> None:
    turn = Transform.affine([[0.0, -1.0], [1.0, 0.0]], (50.0, 0.0))
    steps = [None, Transform.translation((20.0, -5.0)), None, turn]
    trails, scene_xy = Trails(length=3), np.array([[1.0, 1], [2, 1], [3, 1], [4, 1]])
    camera = Transform.identity()
    for (x, y), step in zip(scene_xy, steps, strict=True):
        camera = camera if step is None else step @ camera
        (seen,) = camera.apply(np.array([[x, y]]))
        box = [*(seen - 1), *(seen + 1)]
        trails.update(make_tracks([box], ids=[9]), transform=step)
    np.testing.assert_allclose(trails.points[9], camera.apply(scene_xy[-3:]), atol=1e-4)
