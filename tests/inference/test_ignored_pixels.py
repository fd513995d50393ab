"""Pixels that the user says do not belong to the scene: no motion, no alarms, no pull."""

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import stdet
from stdet.inference.stages.frames import DetectedFrame, StreamFrame
from stdet.inference.stages.read import LeaveOutBlank
from stdet.io.frame_source import Frame
from stdet.io.intensity.spoilt_pixels import SpoiltPixels
from stdet.registration.background_features import LAGS, background_features
from stdet.registration.registered_stream import RegisteredStream
from stdet.registration.transform import Transform
from stdet.types import Detections

HW = (96, 128)
CLOCK = (slice(4, 40), slice(30, 126))
STEP_XY = (-0.9, -0.3)


def burnt_in_clock(num_frames=60, *, with_text=True, contrast=0.02):
    """A scene that moves by ``STEP_XY`` a frame under a clock, and a tick that goes along it."""
    rng = np.random.default_rng(3)
    scene = gaussian_filter(rng.standard_normal((160, 220)), 2.5)
    scene = 0.35 + contrast * scene / scene.std()
    frames = []
    for index in range(num_frames):
        shift = np.float32([[1, 0, STEP_XY[0] * index], [0, 1, STEP_XY[1] * index]])
        frame = cv2.warpAffine(scene, shift, HW[::-1], flags=cv2.INTER_CUBIC)
        frame = frame + rng.normal(0, 0.002, HW)
        text = (frame.clip(0, 1) * 255).round().astype(np.uint8)
        if with_text:
            cv2.putText(text, f"{1237 * (index // 5):06d}", (32, 24), 2, 0.75, 255, 2)
            x = 34 + round(1.4 * index)
            text[35:38, x : x + 2] = 255
        frames.append(text)
    return frames


def is_clock():
    is_ignored = np.zeros(HW, bool)
    is_ignored[CLOCK] = True
    return is_ignored


def register(frames, is_ignored):
    stream = RegisteredStream(LAGS)
    found = [
        one
        for frame in frames
        for one in stream.push(frame / np.float32(255), None, is_ignored=is_ignored)
    ]
    return found + stream.flush()


def largest_error(registered):
    """Largest error of where the scene lies, against the first frame, at any corner, pixels."""
    errors = []
    for index, one in enumerate(registered):
        moved = registered[0].pose.to(one.pose)
        true = Transform.translation(np.multiply(STEP_XY, index))
        errors.append(
            np.inf if moved is None else (moved @ true.inverse()).largest_displacement(HW)
        )
    return max(errors)


def rows(frames):
    return [
        (f.index, f.tracks.ids.tolist(), f.tracks.xyxy.tobytes(), f.detections.xyxy.tobytes())
        for f in frames
    ]


def test_a_clock_pulls_registration_unless_it_is_ignored():
    frames = burnt_in_clock()
    alone = largest_error(register(burnt_in_clock(with_text=False), None))
    assert largest_error(register(frames, None)) > 1
    assert largest_error(register(frames, is_clock())) < max(2 * alone, 0.2)


def test_a_clock_alarms_unless_it_is_ignored():
    frames = burnt_in_clock(contrast=0.1)
    tracked = [len(one.tracks) for one in stdet.track(frames, detector="framediff")]
    assert sum(tracked) > 30
    found = list(stdet.track(frames, detector="framediff", ignore=is_clock()))
    # A false alarm at the border may last for some frames.
    assert sum(len(one.tracks) for one in found) < 10


@pytest.mark.parametrize("detector", ["framediff", "rpca", "tophat"])
def test_the_weakest_detections_keep_off_ignored_pixels(detector):
    def num_in_clock(**options):
        found = stdet.track(burnt_in_clock(30), detector=detector, confidence=0.01, **options)
        boxes = np.concatenate([one.detections.xyxy for one in found])
        columns, rows = ((boxes[:, :2] + boxes[:, 2:]) / 2).astype(int).T
        return is_clock()[rows, columns].sum()

    assert num_in_clock() > 0
    assert num_in_clock(ignore=is_clock()) == 0


def test_no_motion_is_seen_where_either_frame_is_ignored():
    is_ignored = is_clock()
    for one in register(burnt_in_clock(contrast=0.1), is_ignored):
        registered = one.frame
        assert not background_features(registered)[0][is_ignored].any()
        for number, transform in enumerate(registered.transforms):
            from_mask = transform.warp(is_ignored.astype(np.float32)).image > 0.05
            moved = registered.moved(number)
            assert not moved.is_covered[from_mask | is_ignored].any()
            over = registered.overlaid(number) - registered.image
            brighter = np.median(moved.image - registered.image)
            np.testing.assert_allclose(over[from_mask | is_ignored], brighter, atol=1e-6)


def test_detections_are_left_out_by_the_pixel_of_their_centre():
    is_ignored = np.zeros((8, 10), bool)
    is_ignored[2:4, 5:8] = True
    boxes = np.float32(
        [
            [5, 2, 6, 3],
            [4, 2, 5.9, 3],
            [7, 3, 8.8, 4.8],
            [7, 3, 9, 5],
            [-9, -9, 1, 1],
            [9, 7, 99, 9],
        ]
    )
    found = Detections(
        boxes_xyxy=boxes,
        scores=np.linspace(0.9, 0.4, 6, dtype=np.float32),
        class_ids=np.zeros(6, np.int64),
        frame_index=0,
        image_hw=(8, 10),
    )
    image = np.zeros((8, 10), np.float32)
    frame = StreamFrame(index=0, time=None, image=image, scaled=image, is_ignored=is_ignored)
    kept = DetectedFrame.of(frame, found).detections
    assert kept.xyxy.tolist() == boxes[[1, 3, 4, 5]].tolist()


@pytest.mark.parametrize("detector", ["framediff", "rpca"])
def test_an_empty_mask_changes_nothing(detector):
    frames = burnt_in_clock(40)
    without = list(stdet.track(frames, detector=detector))
    empty = list(stdet.track(frames, detector=detector, ignore=np.zeros(HW, bool)))
    assert rows(empty) == rows(without)


def test_pushed_frames_with_ignored_pixels_give_what_track_gives():
    frames = burnt_in_clock(40)
    whole = list(stdet.track(frames, detector="tophat", ignore=is_clock()))
    live = stdet.LiveTracker.from_classical("tophat", ignore=is_clock())
    pushed = [one for frame in frames for one in live.push(frame)]
    assert rows(pushed + live.flush()) == rows(whole)


def test_a_frame_with_text_alone_is_blank():
    frames = burnt_in_clock(6)
    for index in (2, 3):
        frames[index] = np.where(frames[index] == 255, 255, 40).astype(np.uint8)
    left_out = []
    stage = LeaveOutBlank(left_out.append, SpoiltPixels(is_clock()))
    kept = [one.index for one in stage.run(Frame(index=i, pixels=f) for i, f in enumerate(frames))]
    assert (kept, left_out) == ([0, 1, 4, 5], [2, 3])


@pytest.mark.parametrize(
    ("ignore", "message"),
    [
        (np.zeros(HW, np.uint8), "expected bool"),
        (np.zeros((2, *HW), bool), "expected bool"),
        (np.ones(HW, bool), "nothing would be seen"),
        (np.eye(96, dtype=bool), r"frame is \(96, 128\); expected \(96, 96\)"),
    ],
)
def test_what_is_no_mask_of_the_frames_is_refused(ignore, message):
    with pytest.raises(ValueError, match=message):
        list(stdet.track(burnt_in_clock(3), detector="tophat", ignore=ignore))
