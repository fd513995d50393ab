import dataclasses

import numpy as np
import pytest
from scipy.ndimage import shift as move

from stdet.boxes import centres_xy
from stdet.synthesis import RealBackground, SceneConfig, generate, plan_sequence
from stdet.synthesis.canvas import Layer
from stdet.synthesis.distractors import draw_spots
from stdet.synthesis.plan import stream
from stdet.synthesis.scene import Scene
from stdet.synthesis.settings import NO_DISTRACTORS, PROCEDURAL_KINDS

QUIET = NO_DISTRACTORS | {"cloud_speed_range": [0, 0]}
CLEAN = {
    "noise_range": [0.0, 0.0],
    "fixed_pattern_range": [0.0, 0.0],
    "stripe_range": [0.0, 0.0],
    "vignetting_range": [0.0, 0.0],
    "gain_steps_range": [0, 0],
    "h264_probability": 0.0,
    "bit_depth": 16,
}
ONE = {"num_range": [1, 1], "behind_probability": 0.0, "visible_probability": 1.0}


def scene(*, kind="clouds", camera="still", targets=None, distractors=None, sensor=None, **top):
    return SceneConfig(
        **{"num_frames": 8, "hw": (80, 96)} | top,
        background={"kinds": [kind], "contrast_range": [0.05, 0.05], "mean_range": [0.4, 0.4]},
        camera={"motions": [camera], "parallax_range": [0.0, 0.0]},
        targets=ONE | (targets or {}),
        distractors=QUIET | (distractors or {}),
        sensor=CLEAN | (sensor or {}),
    )


def test_same_seed_same_frames_and_another_seed_other_frames():
    config = SceneConfig(num_frames=4, hw=(64, 64))
    first, again, other = (generate(config, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.truth.boxes_xyxy, again.truth.boxes_xyxy)
    np.testing.assert_array_equal(first.masks, again.masks)
    assert (first.frames != other.frames).mean() > 0.5


def test_compressed_frames_repeat_and_stay_near_the_original():
    config = SceneConfig(
        num_frames=4,
        hw=(64, 64),
        sensor={"h264_probability": 1.0, "crf_range": [20, 20], "noise_range": [0.005, 0.005]},
    )
    raw = dataclasses.replace(
        config, sensor=dataclasses.replace(config.sensor, h264_probability=0.0)
    )
    first, again, plain = generate(config, seed=1), generate(config, seed=1), generate(raw, seed=1)
    np.testing.assert_array_equal(first.frames, again.frames)
    difference = np.abs(first.frames.astype(int) - plain.frames)
    assert 0 < difference.mean() < 4


@pytest.mark.parametrize("seed", range(6))
def test_centre_of_the_added_light_is_the_centre_of_the_true_box(seed):
    config = scene(
        targets={"size_range": [1.0, 12.0], "scr_range": [6, 6], "dark_probability": 0.0},
        hw=(128, 128),
    )
    empty = dataclasses.replace(
        config, targets=dataclasses.replace(config.targets, num_range=(0, 0))
    )
    made, background = generate(config, seed=seed), generate(empty, seed=seed)
    rows, columns = np.indices(config.hw) + 0.5
    centres = centres_xy(made.truth.boxes_xyxy)
    num_checked = 0
    for row, frame in enumerate(made.truth.frame_indices.tolist()):
        x, y = centres[row]
        if not (14 < x < 114 and 14 < y < 114):
            continue  # The border cuts the target.
        light = made.frames[frame].astype(np.float64) - background.frames[frame]
        centroid = np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()
        np.testing.assert_allclose(centroid, centres[row], atol=0.05)
        num_checked += 1
    assert num_checked > 4


@pytest.mark.parametrize("kind", PROCEDURAL_KINDS)
def test_achieved_scr_is_the_wanted_one_where_nothing_interferes(kind):
    config = scene(
        kind=kind,
        targets={"scr_range": [2.0, 6.0], "size_range": [2.0, 5.0], "dark_probability": 0.3},
        sensor={"noise_range": [0.005, 0.005]},
        hw=(128, 128),
    )
    wanted, achieved = [], []
    for seed in range(6):
        for row in generate(config, seed=seed).rows:
            x, y = row.centre_xy
            if 16 < x < 112 and 16 < y < 112:
                wanted.append(row.scr_wanted)
                achieved.append(row.scr_achieved)
    ratio = np.array(achieved) / np.array(wanted)
    # A target upon something bright may be brighter than wanted, hence the median.
    assert np.median(ratio) == pytest.approx(1, abs=0.08)
    assert np.percentile(ratio, 10) > 0.7


@pytest.mark.parametrize("camera", ["jitter", "pan", "bursts", "jumps"])
def test_background_moves_by_exactly_minus_the_camera(camera):
    config = scene(camera=camera, kind="terrain", targets={"num_range": [0, 0]}, num_frames=12)
    made = generate(config, seed=3)
    first = made.frames[0].astype(np.float64)
    shifts = made.plan.camera.shifts_xy()
    assert np.abs(shifts).max() > 0.05
    for frame, (dx, dy) in zip(made.frames, shifts, strict=True):
        if max(abs(dx), abs(dy)) > 20:
            continue
        # Whole pixels only: interpolating twice blurs, which is not what is tested.
        moved = move(first, (dy, dx), order=1)
        inner = (slice(24, 56), slice(24, 72))
        here = frame[inner].astype(np.float64)
        assert np.corrcoef(moved[inner].ravel(), here.ravel())[0, 1] > 0.9


def test_scene_spots_move_with_the_background_and_camera_spots_stay():
    config = scene(
        camera="pan", targets={"num_range": [0, 0]}, distractors={"hot_spots_range": [6, 6]}
    )
    plan = plan_sequence(config, seed=2)
    treeless = Scene(layers=[], kind="none", crowns_xy=np.zeros((0, 2)))
    spots = draw_spots(
        plan.scene.distractors, plan.scene.targets, plan.camera, treeless, stream(2, 4)
    )
    assert {spot.kind for spot in spots} == {"scene_spot", "camera_spot"}
    for spot in spots:
        expected = 0 if spot.kind == "camera_spot" else plan.camera.shifts_xy()
        np.testing.assert_allclose(
            spot.centres_xy - spot.centres_xy[0], expected + 0 * spot.centres_xy, atol=1e-9
        )


def test_tree_crowns_stay_on_their_trees_under_parallax():
    config = scene(
        camera="pan", targets={"num_range": [0, 0]}, distractors={"crowns_range": [5, 5]}
    )
    plan = plan_sequence(config, seed=2)
    trees = Layer(image=np.zeros((4, 4), np.float32), parallax=1.25)
    forest = Scene(layers=[trees], kind="forest", crowns_xy=np.full((5, 2), 100.0))
    spots = draw_spots(
        plan.scene.distractors, plan.scene.targets, plan.camera, forest, stream(2, 4)
    )
    assert [spot.kind for spot in spots] == ["crown"] * 5
    for spot in spots:
        on_tree = 100.0 - 1.25 * plan.camera.corners_xy
        assert np.abs(spot.centres_xy - on_tree).max() < 2.0  # It sways by 1.5 px.


def test_turning_camera_moves_points_about_the_middle():
    plan = plan_sequence(scene(camera="rotation", num_frames=30), seed=1)
    angles = plan.camera.angles
    assert np.abs(angles).max() > np.deg2rad(1)
    middle = np.array([48.0, 40.0])
    point = middle + np.array([10, 0])
    for time in (0, 12, 29):
        found = plan.camera.to_frame(point + plan.camera.corners_xy[time], time)
        expected = middle + 10 * np.array([np.cos(angles[time]), -np.sin(angles[time])])
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_hidden_target_has_no_row_and_half_hidden_one_is_ignored():
    config = scene(
        kind="horizon",
        targets={"num_range": [12, 12], "behind_probability": 1.0, "motions": ["straight"]},
        num_frames=20,
    )
    made = generate(config, seed=0)
    rows = {(row.frame_index, row.track_id): row.visible for row in made.rows}
    planned = made.plan.truth()
    hidden = [
        key
        for key in zip(planned.frame_indices.tolist(), planned.track_ids.tolist(), strict=True)
        if key not in rows
    ]
    assert hidden, "no target flew behind the land"
    assert min(rows.values()) >= 0.1
    for row, is_ignored in enumerate(made.truth.is_ignored.tolist()):
        key = (int(made.truth.frame_indices[row]), int(made.truth.track_ids[row]))
        assert is_ignored == (rows[key] < 0.5)
    in_front = dataclasses.replace(
        config, targets=dataclasses.replace(config.targets, behind_probability=0.0)
    )
    seen = generate(in_front, seed=0)
    np.testing.assert_array_equal(seen.truth.boxes_xyxy, planned.boxes_xyxy)
    assert not seen.truth.is_ignored.any()


def test_boxes_have_their_smallest_side_or_the_extent_of_the_target():
    small = plan_sequence(scene(targets={"size_range": [2.0, 2.0]}), seed=0).truth()
    sides = small.boxes_xyxy[:, 2:] - small.boxes_xyxy[:, :2]
    np.testing.assert_allclose(sides, 8, atol=1e-4)
    large = plan_sequence(
        scene(targets={"size_range": [15.0, 15.0], "exposure_range": [0.01, 0.01]}), seed=0
    ).truth()
    sides = large.boxes_xyxy[:, 2:] - large.boxes_xyxy[:, :2]
    assert 13 < sides.max() < 17


def test_crossing_pair_meets_in_one_point():
    config = scene(
        targets={"num_range": [2, 2], "crossing_probability": 1.0}, num_frames=20, hw=(128, 128)
    )
    first, second = plan_sequence(config, seed=4).targets
    distances = np.hypot(*(first.centres_xy - second.centres_xy).T)
    assert distances.min() < 1e-6
    assert distances.max() > 1


def test_mask_lies_within_the_boxes():
    made = generate(SceneConfig(num_frames=6, hw=(96, 96)), seed=9)
    assert made.masks.any()
    for frame in range(6):
        allowed = np.zeros((96, 96), bool)
        boxes = made.truth.boxes_xyxy[made.truth.rows_at(frame)]
        for x1, y1, x2, y2 in np.round(boxes).astype(int):
            allowed[max(y1 - 1, 0) : max(y2 + 1, 0), max(x1 - 1, 0) : max(x2 + 1, 0)] = True
        assert not (made.masks[frame] & ~allowed).any()


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.uint8), (14, np.uint16), (16, np.uint16)])
def test_levels_fill_the_bit_depth(bits, dtype):
    frames = generate(scene(sensor={"bit_depth": bits}), seed=0).frames
    assert frames.dtype == dtype
    assert 0.25 < frames.mean() / 2**bits < 0.6
    assert frames.max() < 2**bits


def test_clip_is_played_as_it_is_and_targets_move_with_it():
    rng = np.random.default_rng(0)
    images = rng.random((5, 90, 100), np.float32)
    shifts = np.cumsum(rng.normal(0, 1, (5, 2)), axis=0)
    background = RealBackground(name="clip", images=images, shifts_xy=shifts)
    config = dataclasses.replace(
        scene(targets={"num_range": [0, 0]}),
        background={"kinds": ["real"], "paths": ["clip"]},
    )
    made = generate(config, seed=0, background=background)
    order = [0, 1, 2, 3, 4, 3, 2, 1]  # Eight frames from five images: to and fro.
    first = made.frames[0]
    np.testing.assert_array_equal(made.frames[6], made.frames[2])
    np.testing.assert_allclose(made.plan.camera.shifts_xy(), shifts[order] - shifts[0], atol=1e-9)
    assert (first != made.frames[1]).mean() > 0.9


def test_still_becomes_a_moving_camera():
    image = np.random.default_rng(0).random((60, 70), np.float32)
    background = RealBackground(name="still", images=image[None], shifts_xy=np.zeros((1, 2)))
    config = dataclasses.replace(
        scene(camera="pan", targets={"num_range": [0, 0]}),
        background={"kinds": ["real"], "paths": ["still.png"]},
    )
    frames = generate(config, seed=0, background=background).frames
    assert (frames[0] != frames[-1]).mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": {"scr_range": [-1.0, 2.0]}}, "begins below 0"),
        ({"targets": {"size_range": [1.0, 300.0]}}, "do not fit"),
        ({"targets": {"num_range": [0, 21]}}, "at most 20"),
        ({"background": {"kinds": ["real"]}}, "paths is empty"),
        ({"sensor": {"noise_range": [0.2, 0.1]}}, "smallest first"),
        ({"hw": [8, 8]}, "too small"),
    ],
)
def test_impossible_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SceneConfig(**changes)
