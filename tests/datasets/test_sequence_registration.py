"""Bad pixels and transforms of sequences: those of a stream, measured once, shared."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stdet.datasets.frame_cache import FrameCache
from stdet.datasets.sequence_registration import MOST_BAD, SequenceRegistration
from stdet.registration import bad_pixels
from stdet.registration.background_features import LAGS, STEADY_FROM
from stdet.registration.camera_motion import CameraMotion
from stdet.registration.prepared_frame import PreparedFrame
from stdet.registration.registered_stream import register_frames
from stdet.registration.transform import Transform
from stdet.types import SequenceAnnotation


class Panning:
    """Acts as a sequence of a panning camera with a hot pixel, and counts what is read."""

    name, files = "panning", (Path("panning"),)
    annotation = SequenceAnnotation.empty(name="panning", num_frames=40, image_hw=(48, 64))

    def __init__(self):
        scene = gaussian_filter(np.random.default_rng(0).random((200, 240)), 1.5)
        scene = (0.2 + 0.5 * (scene - scene.min()) / np.ptp(scene)).astype(np.float32)
        self.frames = [
            Transform.translation(np.array([-1.3, -0.4]) * at).warp(scene).image[20:68, 20:84]
            for at in range(40)
        ]
        for frame in self.frames:
            frame[20, 30] = 1.0
        self.reads = []

    def read_raw(self, index):
        self.reads.append(index)
        return self.frames[index]

    def to_float(self, raw):
        return raw


def register(sequence, *, replaces_bad_pixels=True, megabytes=8):
    return SequenceRegistration(
        [sequence], FrameCache(megabytes), replaces_bad_pixels=replaces_bad_pixels
    )


def offsets(transforms):
    return np.array([transform.offset_xy for transform in transforms])


def test_frames_and_transforms_are_those_of_the_stream():
    sequence = Panning()
    found = register(sequence)
    frames = list(register_frames(map(sequence.read_raw, range(40)), LAGS))
    assert len(frames) == 40
    assert frames[0].image[20, 30] < 0.9 < found.read(sequence, 0)[20, 30]
    for index, frame in enumerate(frames):
        # Frames that wait are rid of what is found to be bad meanwhile.
        if index >= STEADY_FROM:
            np.testing.assert_array_equal(found.read(sequence, index), frame.image)
        pairs = np.array([[index + step, index] for step in frame.steps])
        np.testing.assert_allclose(
            offsets(found.transforms(sequence, pairs)), offsets(frame.transforms), atol=1e-5
        )
    assert found.read(sequence, 39)[20, 30] < 0.9


def test_backwards_in_time_the_background_moves_the_other_way():
    sequence = Panning()
    there, back = register(sequence).transforms(sequence, np.array([[19, 39], [39, 19]]))
    np.testing.assert_allclose(back.matrix, there.inverse().matrix, atol=1e-5)
    assert np.abs(there.offset_xy - [-26.0, -8.0]).max() < 0.5


def test_motion_is_that_of_the_stream_since_the_earliest():
    sequence = Panning()
    found = register(sequence, replaces_bad_pixels=False).motion(sequence, np.array([9, 5, 6, 5]))
    camera = CameraMotion()
    poses = [camera.push(PreparedFrame(sequence.read_raw(index))) for index in range(10)]
    expected = [poses[5].to(poses[index]).rounded() for index in (9, 5, 6, 5)]
    np.testing.assert_array_equal(offsets(found), offsets(expected))


def test_without_replacement_frames_are_read_as_they_are():
    sequence = Panning()
    found = register(sequence, replaces_bad_pixels=False)
    assert found.read(sequence, 39) is sequence.frames[39]
    assert sequence.reads == [39]


def test_a_sequence_is_streamed_once():
    sequence = Panning()
    found = register(sequence)
    for index in (39, 3, 39):
        found.read(sequence, index)
    found.motion(sequence, np.array([0, 39]))
    assert sequence.reads == list(range(40))


def test_tables_hold_what_another_process_need_not_measure_again(monkeypatch):
    sequence = Panning()
    first, second = register(sequence), register(sequence)
    first.share()
    expected_frame = first.read(sequence, 39)
    expected = first.transforms(sequence, np.array([[12, 30]]))
    # What a loader process inherits when it starts.
    second._poses, second._runs, second._bad = first._poses, first._runs, first._bad
    monkeypatch.setattr("stdet.registration.camera_motion.align", lambda *_, **__: 1 / 0)
    np.testing.assert_array_equal(second.read(sequence, 39), expected_frame)
    found = second.transforms(sequence, np.array([[12, 30]]))
    np.testing.assert_array_equal(offsets(found), offsets(expected))


@pytest.mark.parametrize("num_bad", [MOST_BAD, MOST_BAD + 1])
def test_more_bad_pixels_than_the_tables_hold_are_found_by_each_process(monkeypatch, num_bad):
    sequence = Panning()
    first, second = register(sequence), register(sequence)
    places = np.arange(num_bad) * 3
    monkeypatch.setattr(bad_pixels.BadPixels, "indices", places, raising=False)
    monkeypatch.setattr(bad_pixels.BadPixels, "__init__", lambda self: None)
    monkeypatch.setattr(bad_pixels.BadPixels, "clean", lambda self, frame: frame)
    monkeypatch.setattr(bad_pixels.BadPixels, "learn", lambda self, frame, pose: None)
    first.read(sequence, 0)
    second._bad = first._bad
    sequence.reads.clear()
    second._frames = FrameCache(0)
    second.read(sequence, 0)
    assert second._known_bad[sequence.files[0], "panning"][0].tolist() == places.tolist()
    assert len(sequence.reads) == (1 if num_bad <= MOST_BAD else 41)


def test_frames_of_both_sides_of_a_cut_are_not_registered():
    sequence = Panning()
    scene = gaussian_filter(np.random.default_rng(1).random((2, 96, 150)), (0, 1.5, 1.5)) * 3
    sequence.frames = [scene[at // 25][:, at : at + 96].astype(np.float32) for at in range(40)]
    sequence.annotation = SequenceAnnotation.empty(name="cut", num_frames=40, image_hw=(96, 96))
    found = register(sequence)
    there, across = found.transforms(sequence, np.array([[10, 20], [20, 30]]))
    assert there is not None
    assert across is None
