"""What is drawn of the camera: where the grid lies, what is tinted, what is left alone."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from stdet.io.camera_drawing import draw_scene, write_state
from stdet.io.drawing import draw_frame
from stdet.registration.camera_motion import CameraPose, PoseState
from stdet.registration.frame_motion import RegistrationQuality
from stdet.registration.transform import Transform
from stdet.types import Tracks

HW = (64, 96)


def pose_at(transform: Transform, *, state: PoseState = "measured") -> CameraPose:
    quality = RegistrationQuality(model="similarity", error_px=0.02, unexplained=0, inliers=0.9)
    return CameraPose(run=1, from_start=transform, state=state, quality=quality)


def grid_of(transform: Transform, *, state: PoseState = "measured", hw=HW) -> NDArray[np.int64]:
    """Return what the grid adds to a black frame, (H, W)."""
    black = np.zeros((*hw, 3), np.uint8)
    drawn = draw_scene(black, pose_at(transform, state=state), None, scale=1)
    return drawn.astype(np.int64).sum(axis=2)


@pytest.mark.parametrize("shift_xy", [(5, 0), (-3, 7), (90, -61)])
def test_grid_moves_with_the_scene(shift_xy: tuple[int, int]) -> None:
    is_line = grid_of(Transform.translation(shift_xy)) > 60
    # A line on the edge between two pixels lies half in each; cells are 16 pixels wide.
    for axis, (num, middle) in enumerate([(HW[1], HW[1] // 2), (HW[0], HW[0] // 2)]):
        found = [at for at in range(2, num - 2) if is_line.all(axis=axis)[at]]
        steps = [(at - middle - shift_xy[axis]) % 16 for at in range(2, num - 2)]
        assert found == [at for at, step in enumerate(steps, 2) if step in (0, 15)]


def test_middle_of_the_first_frame_stands_out_wherever_it_is() -> None:
    drawn = grid_of(Transform.translation((10, -6)))
    assert drawn.mean(axis=0).argmax() in (48 + 10 - 1, 48 + 10)
    assert drawn.mean(axis=1).argmax() in (32 - 6 - 1, 32 - 6)


def test_lines_keep_their_distance_under_zoom() -> None:
    shares = [(grid_of(Transform.affine(z * np.eye(2), (0, 0))) > 0).mean() for z in (0.1, 1, 9)]
    assert min(shares) > 0.5 * max(shares)


def test_lost_frame_has_no_grid_and_an_assumed_one_another_colour() -> None:
    assert not grid_of(Transform.identity(), state="lost").any()
    black = np.zeros((*HW, 3), np.uint8)
    colours = [
        draw_scene(black, pose_at(Transform.identity(), state=state), None, scale=1).max(
            axis=(0, 1)
        )
        for state in ("measured", "assumed")
    ]
    assert colours[0][2] > colours[0][0]
    assert colours[1][0] > colours[1][2]


def test_ignored_pixels_are_tinted_and_stay_legible() -> None:
    is_ignored = np.zeros(HW, np.bool_)
    is_ignored[4:12, 20:30] = True
    grey = np.random.default_rng(0).integers(0, 256, (*HW, 1), np.uint8).repeat(3, axis=2)
    pose = pose_at(Transform.identity(), state="lost")
    enlarged = grey.repeat(2, axis=0).repeat(2, axis=1)
    drawn = draw_scene(enlarged, pose, is_ignored, scale=2)
    is_tinted = (drawn != enlarged).any(axis=2)
    np.testing.assert_array_equal(is_tinted, is_ignored.repeat(2, axis=0).repeat(2, axis=1))
    levels = enlarged[is_tinted][:, 1].astype(float)
    assert np.corrcoef(levels, drawn[is_tinted][:, 1])[0, 1] > 0.99


def test_grid_leaves_what_is_in_a_box_as_it_is() -> None:
    pixels = np.full((512, 512), 90, np.uint8)
    tracks = Tracks(
        frame_indices=np.zeros(1, np.int64),
        track_ids=np.ones(1, np.int64),
        boxes_xyxy=np.array([[254, 254, 258, 258]], np.float32),
        scores=np.ones(1, np.float32),
        probabilities=np.ones(1, np.float32),
        class_ids=np.zeros(1, np.int64),
        detection_indices=np.zeros(1, np.int64),
    )
    drawn = draw_frame(pixels, None, tracks, {}, pose=pose_at(Transform.identity()))
    assert (drawn[254:258, 254:258] == 90).all()
    assert (drawn[256, 300:400] != 90).any()


@pytest.mark.parametrize("hw", [(3, 5), (20, 400), (400, 20), (64, 64)])
def test_state_is_written_on_frames_of_any_size(hw: tuple[int, int]) -> None:
    image = Image.new("RGB", (hw[1], hw[0]), (255, 255, 255))
    write_state(ImageDraw.Draw(image), pose_at(Transform.identity()), image.size)
    assert (np.array(image) < 255).any()


@given(
    numbers=st.lists(st.floats(-50, 50), min_size=8, max_size=8),
    state=st.sampled_from(["measured", "assumed"]),
)
@settings(max_examples=100, deadline=None)
def test_any_pose_can_be_drawn(numbers: list[float], state: PoseState) -> None:
    matrix = np.append(numbers, 1.0).reshape(3, 3)
    matrix[2, :2] /= 1000
    # Poses are maps of whole frames to whole frames, with a way back.
    assume(abs(np.linalg.det(matrix)) > 1e-6 and abs(np.linalg.inv(matrix)[2, 2]) > 1e-6)
    assert grid_of(Transform(matrix), state=state).shape == HW
