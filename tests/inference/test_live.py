import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import stdet
from stdet.config import TrackerConfig
from stdet.errors import ConfigError
from stdet.inference import pipeline
from stdet.inference.detector import Detector
from stdet.inference.live import LiveTracker
from stdet.inference.pipeline import LIVE_LATENCY, StreamingTracker
from stdet.inference.track_files import live_options
from stdet.inference.track_options import TrackOptions
from stdet.io.array_source import ArraySource
from stdet.io.live.source import LiveSource


def _frames(dtype, num_frames=40):
    """A still scene of noise, over which a bright target moves."""
    rng = np.random.default_rng(0)
    still = rng.normal(0.3, 0.02, (48, 64))
    images = []
    for index in range(num_frames):
        image = still + rng.normal(0, 0.004, still.shape)
        image[20:22, 5 + index : 7 + index] += 0.4
        images.append(np.clip(image, 0, 1))
    top = {np.uint8: 255, np.uint16: 9000, np.float32: 1}[dtype]
    return (np.stack(images) * top).astype(dtype)


def _rows(frames):
    return [
        (
            f.index,
            f.time,
            f.tracks.ids.tolist(),
            f.tracks.xyxy.tolist(),
            f.detections.scores.tolist(),
        )
        for f in frames
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_pushed_frames_give_what_track_gives(dtype):
    images = _frames(dtype)
    whole = list(stdet.track(iter(images), detector="framediff", fps=10))
    live = LiveTracker.from_classical("framediff", fps=10)
    for _ in range(2):  # A second stream begins anew.
        pushed = [frame for image in images for frame in live.push(image)]
        pushed += live.flush()
        assert _rows(pushed) == _rows(whole)
    assert [frame.index for frame in whole] == list(range(len(images)))
    assert any(len(frame.tracks) for frame in whole)


def test_results_come_late_by_the_delay():
    live = LiveTracker.from_classical("tophat")
    assert live.delay == TrackerConfig().lookahead
    counts = [len(live.push(image)) for image in _frames(np.uint8)]
    assert counts == [0] * live.delay + [1] * (40 - live.delay)
    assert len(live.flush()) == live.delay
    assert live.flush() == []


@pytest.mark.parametrize("weights", [None, "stdet_n"])
@pytest.mark.parametrize("latency", [0, 2])
def test_with_a_latency_every_frame_comes_so_much_later_from_the_first_on(weights, latency):
    if weights is None:
        live = LiveTracker.from_classical("framediff", latency=latency)
    else:
        live = LiveTracker.from_weights(weights, device="cpu", latency=latency)
    images = _frames(np.uint8, 24)
    cut = np.random.default_rng(9).permuted(images[12:].reshape(12, -1), axis=1)
    found = []
    for index, image in enumerate([*images[:12], *cut.reshape(12, 48, 64)]):
        results = live.push(image)
        assert [frame.index for frame in results] == [index - latency] * (index >= latency)
        found += results
    found += live.flush()
    assert live.delay == latency
    assert [frame.index for frame in found] == list(range(24))


def test_live_sources_have_little_latency_unless_told():
    source = SimpleNamespace(address=SimpleNamespace(label="camera 0"))
    assert live_options(source, TrackOptions()).latency == LIVE_LATENCY < TrackerConfig().lookahead
    assert live_options(source, TrackOptions(latency=0)).latency == 0
    with pytest.raises(ConfigError, match="camera 0: is live; --smooth goes with files"):
        live_options(source, TrackOptions(smooth=True))


@pytest.mark.parametrize(
    ("kind", "latency", "wanted"),
    [(LiveSource, None, LIVE_LATENCY), (LiveSource, 0, 0), (ArraySource, None, None)],
)
def test_track_has_the_latency_of_live_runs_on_live_sources(monkeypatch, kind, latency, wanted):
    latencies = []

    def run(tracker, source, **options):
        assert isinstance(source, kind)
        latencies.append(tracker.config.latency)
        return iter(())

    opened = contextlib.nullcontext(kind.__new__(kind))
    monkeypatch.setattr(pipeline, "open_frames", lambda source, **options: opened)
    monkeypatch.setattr(StreamingTracker, "run", run)
    assert list(stdet.track("0", detector="framediff", latency=latency)) == []
    assert latencies == [wanted]


def test_more_latency_never_finds_the_target_later():
    def first_frame(latency):
        frames = stdet.track(_frames(np.uint8), detector="framediff", latency=latency)
        return min(frame.index for frame in frames if len(frame.tracks))

    firsts = [first_frame(latency) for latency in (0, 2, 5, 20)]
    assert firsts == sorted(firsts, reverse=True)
    assert firsts[0] > firsts[-1]


def test_short_deep_stream_waits_for_its_end():
    live = LiveTracker.from_classical("tophat")
    assert [live.push(image) for image in _frames(np.uint16, 4)] == [[]] * 4
    assert [frame.index for frame in live.flush()] == [0, 1, 2, 3]


def test_indices_may_jump_and_must_grow():
    live = LiveTracker.from_classical("tophat")
    images = _frames(np.uint8, 3)
    live.push(images[0])
    live.push(images[1], index=4)
    with pytest.raises(ValueError, match="frame 2 comes after frame 4"):
        live.push(images[2], index=2)
    live.push(images[2])
    assert [frame.index for frame in live.flush()] == [0, 4, 5]


def test_stack_list_generator_and_file_give_the_same_tracks(tmp_path):
    images = _frames(np.uint8, 30)
    for index, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{index:03}.png")
    sources = (
        images,
        list(images),
        iter(images),
        np.repeat(images[..., None], 3, axis=3),
        tmp_path,
    )
    found = [_rows(stdet.track(source, detector="tophat")) for source in sources]
    assert found[0] == found[1] == found[2] == found[3] == found[4]


def test_part_of_an_iterator_keeps_its_numbering():
    found = stdet.track(iter(_frames(np.uint8)), detector="tophat", start=10, num_frames=5)
    assert [frame.index for frame in found] == [10, 11, 12, 13, 14]


def test_prediction_has_one_entry_per_frame_with_scores_of_single_frames():
    images = _frames(np.uint8, 8)
    detector = Detector.from_classical("tophat")
    found = detector.predict(images)
    assert [one.frame_index for one in found] == list(range(8))
    tracker = StreamingTracker(detector, TrackerConfig(lookahead=None), confidence=0.0)
    for one, tracked in zip(found, tracker.run(ArraySource(images)), strict=True):
        np.testing.assert_array_equal(one.scores, tracked.detections.scores)
