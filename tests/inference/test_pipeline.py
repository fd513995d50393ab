from dataclasses import replace

import numpy as np
import pytest
import torch
from frame_sources import StubSource

from stdet.config import PostprocessConfig, StdetConfig, TrackerConfig
from stdet.errors import IncompleteInputError
from stdet.inference.checkpoint import save_weights
from stdet.inference.detector import Detector
from stdet.inference.network import NetworkInput
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.stages.detect import DetectWithNetwork, Look
from stdet.inference.stages.frames import DetectedFrame
from stdet.inference.stages.split import MAX_BRIDGED
from stdet.inference.stages.stage import InOwnThread
from stdet.inference.stages.times import StageTimes, timed
from stdet.inference.trained_network import network_of_detector
from stdet.io.array_source import ArraySource
from stdet.io.frame_source import Frame
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.models.build import build_detector
from stdet.types import Detections

CPU = torch.device("cpu")


def _alone(frame):
    return NetworkInput(channels=frame.scaled[None])


def _tracker_with_background(net, model):
    network = network_of_detector(net, model=model, config=PostprocessConfig(), device=CPU)
    return StreamingTracker(Detector.from_network(network), TrackerConfig(), confidence=0.5)


def test_output_is_five_frames_late_from_frame_23_on(tiny_model, lively):
    model = tiny_model(temporal={"num_frames": 3}, background=True)
    tracker = _tracker_with_background(lively(build_detector(model)), model)
    given = []

    def images():
        for frame in StubSource(range(30)).frames():
            given.append(frame.index)
            yield frame.pixels

    # An iterator is asked for the next frame only when one that was given is wanted.
    late = [given[-1] - t.index for t in tracker.run(ArraySource(images()))]
    assert late == [*range(23, 4, -1), *[5] * 6, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("indices", "gaps"),
    [(range(40), [10]), (range(60), [30]), ([*range(12), *range(13, 40)], [])],
)
def test_every_frame_comes_out_once_where_a_gap_cuts_the_wait(tiny_model, lively, indices, gaps):
    model = tiny_model(background=True)
    tracker = _tracker_with_background(lively(build_detector(model)), model)
    source = StubSource(indices, gaps=gaps)
    tracked = list(tracker.run(source))
    assert [t.index for t in tracked] == source.indices
    assert [t.detections.frame_index for t in tracked] == source.indices
    assert all(t.image[8, 4 + t.index % 8] == 250 for t in tracked)


class _KnownTarget(DetectWithNetwork):
    """The network's stage with its real ring and delay, that knows where the target is."""

    def __init__(self, net, seen):
        super().__init__(net)
        self.seen = seen

    def _decide(self, key):
        frame = self._ring[key - (self._num_taken - len(self._ring))].frame
        self.seen.append((frame.index, self._num_taken))
        x = 4.0 + frame.index % 8
        detections = Detections.from_unsorted(
            np.array([[x, 8, x + 1, 9], [0, 0, 1, 1]], np.float32),
            np.array([0.999, 0.2], np.float32),
            frame_index=frame.index,
            image_hw=(16, 16),
        )
        return DetectedFrame.of(frame, detections)


@pytest.fixture
def tracker_of(tiny_model, lively):
    def build(num_future_frames=0, lookahead=None):
        model = tiny_model(temporal={"num_future_frames": num_future_frames})
        net = network_of_detector(
            lively(build_detector(model)), model=model, config=PostprocessConfig(), device=CPU
        )
        seen = []
        config = TrackerConfig(false_tracks_per_hour=1e9, lookahead=lookahead)
        detector = Detector(
            lambda times: InOwnThread(
                Look((1,)).then(timed(_KnownTarget(net, seen), times)), "detect"
            )
        )
        tracker = StreamingTracker(detector, config, confidence=0.5)
        tracker.seen = seen
        return tracker

    return build


@pytest.mark.parametrize("lookahead", [None, 0, 3])
@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_every_frame_comes_out_once_with_its_own_pixels(tracker_of, num_future_frames, lookahead):
    tracked = list(tracker_of(num_future_frames, lookahead).run(StubSource(range(7))))
    assert [t.index for t in tracked] == list(range(7))
    assert [t.detections.frame_index for t in tracked] == list(range(7))
    assert [int(t.image[8].argmax()) for t in tracked] == [4, 5, 6, 7, 8, 9, 10]
    # With what comes later, the first of the two hits that confirm has its track, too.
    first = [1] if lookahead else []
    assert [t.tracks.track_ids.tolist() for t in tracked] == [first] + [[1]] * 6


@pytest.mark.parametrize("latency", [None, 0, 2])
def test_latency_does_not_change_the_kind_of_scores(tracker_of, latency):
    tracker = tracker_of(lookahead=None)
    tracker.config = replace(tracker.config, latency=latency)
    assert tracker.delay == 0
    for tracked in tracker.run(StubSource(range(3))):
        assert tracked.detections.scores.tolist() == [np.float32(0.999)]


@pytest.mark.parametrize("lookahead", [None, 3])
def test_detections_below_the_operating_point_do_not_come_out(tracker_of, lookahead):
    for tracked in tracker_of(lookahead=lookahead).run(StubSource(range(3))):
        assert tracked.detections.scores.tolist() == [pytest.approx(0.999)]


@pytest.mark.parametrize("lookahead", [None, 0, 3])
@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_gap_starts_the_detector_anew_and_ends_all_tracks(
    tracker_of, num_future_frames, lookahead
):
    tracker = tracker_of(num_future_frames, lookahead)
    tracked = list(tracker.run(StubSource(range(6), gaps=[3])))
    # After the gap a new target takes two hits again, and never the old id.
    first, second = ([1], [2]) if lookahead else ([], [])
    assert [t.tracks.track_ids.tolist() for t in tracked] == [first, [1], [1], second, [2], [2]]
    # No key frame of the first part was decided with frames of the second in the ring.
    assert all(pushed <= 3 for _, pushed in tracker.seen)


@pytest.mark.parametrize("lookahead", [None, 0, 3])
@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_tracks_are_predicted_over_an_unreadable_frame(tracker_of, num_future_frames, lookahead):
    tracker = tracker_of(num_future_frames, lookahead)
    tracked = list(tracker.run(StubSource([0, 1, 2, 4, 5])))
    assert [t.index for t in tracked] == [0, 1, 2, 4, 5]
    first = [1] if lookahead else []
    assert [t.tracks.track_ids.tolist() for t in tracked] == [first, [1], [1], [1], [1]]
    assert [pushed for _, pushed in tracker.seen] == (
        [1, 2, 3, 4, 5] if num_future_frames == 0 else [3, 4, 5, 5, 5]
    )


@pytest.mark.parametrize("num_missing", [MAX_BRIDGED, MAX_BRIDGED + 1])
def test_detector_starts_anew_after_a_long_hole_alone(tracker_of, num_missing):
    tracker = tracker_of()
    indices = [0, 1, 2, 3 + num_missing, 4 + num_missing]
    tracked = list(tracker.run(StubSource(indices)))
    assert [t.index for t in tracked] == indices
    assert [pushed for _, pushed in tracker.seen] == (
        [1, 2, 3, 4, 5] if num_missing <= MAX_BRIDGED else [1, 2, 3, 1, 2]
    )


def test_gap_at_an_unreadable_frame_still_ends_tracks(tracker_of):
    # Frame 3 follows a hole in the numbering and cannot be read itself.
    tracked = list(tracker_of().run(StubSource([0, 1, 2, 4, 5], gaps=[3])))
    assert [t.tracks.track_ids.tolist() for t in tracked] == [[], [1], [1], [], [2]]


@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_incomplete_input_is_reported_after_everything_usable(tracker_of, num_future_frames):
    tracked = []
    stream = tracker_of(num_future_frames).run(StubSource(range(4), is_incomplete=True))
    with pytest.raises(IncompleteInputError, match="ends early"):
        tracked.extend(stream)
    assert [t.index for t in tracked] == [0, 1, 2, 3]
    assert tracked[-1].tracks.track_ids.tolist() == [1]


def test_start_and_stop_keep_the_frame_numbers_of_the_source(tracker_of):
    tracked = list(tracker_of().run(StubSource(range(9), gaps=[2]), start=2, stop=5))
    assert [t.index for t in tracked] == [2, 3, 4]
    assert tracked[-1].tracks.track_ids.tolist() == [1]


def test_second_run_of_one_tracker_starts_from_nothing(tracker_of):
    tracker = tracker_of(2)
    first = [t.tracks.track_ids.tolist() for t in tracker.run(StubSource(range(5)))]
    for _ in zip(range(2), tracker.run(StubSource(range(5))), strict=False):
        pass  # Left in the middle.
    again = [t.tracks.track_ids.tolist() for t in tracker.run(StubSource(range(5)))]
    assert again == first


def test_tracker_from_weights_uses_the_stored_operating_point(tmp_path, tiny_model):
    config = StdetConfig(model=tiny_model(), postprocess=PostprocessConfig(confidence=0.25))
    path = tmp_path / "w.safetensors"
    save_weights(path, build_detector(config.model).state_dict(), config, {})
    tracker = StreamingTracker.from_weights(str(path), confidence=None, device="cpu")
    assert tracker.confidence == 0.25
    given = StreamingTracker.from_weights(str(path), confidence=0.0, device="cpu")
    assert given.confidence == 0.0


@pytest.mark.parametrize("lookahead", [None, 3])
@pytest.mark.parametrize(("indices", "gaps"), [(range(12), [5]), ([0, 1, 2, 9, 10, 12], [])])
def test_frames_pushed_one_by_one_give_what_the_iterator_gives(
    tracker_of, indices, gaps, lookahead
):
    source = StubSource(indices, gaps=gaps)
    whole = list(tracker_of(2, lookahead).run(source))
    stages = tracker_of(2, lookahead).stages(
        scale=source.scale, watch=SceneWatch(source.path, source.scale), gaps=source.gaps
    )
    pushed = [out for frame in source.frames() for out in stages.push(frame)]
    pushed += stages.flush()
    assert [t.index for t in pushed] == [t.index for t in whole] == list(indices)
    for one, other in zip(pushed, whole, strict=True):
        for name in ("track_ids", "boxes_xyxy", "scores", "detection_indices"):
            np.testing.assert_array_equal(getattr(one.tracks, name), getattr(other.tracks, name))
        np.testing.assert_array_equal(one.detections.scores, other.detections.scores)


@pytest.mark.parametrize(("lookahead", "delay"), [(None, 2), (0, 2), (3, 5)])
def test_stages_say_how_many_frames_late_they_are(tracker_of, lookahead, delay):
    source = StubSource(())
    stages = tracker_of(2, lookahead).stages(
        scale=source.scale, watch=SceneWatch(source.path, source.scale), gaps=source.gaps
    )
    # No blank frames, which would wait for a scene.
    images = np.random.default_rng(0).integers(0, 255, (20, 16, 16), dtype=np.uint8)
    frames = [Frame(index=index, pixels=image) for index, image in enumerate(images)]
    counts = [len(list(stages.push(frame))) for frame in frames]
    assert stages.delay == delay
    assert counts == [0] * delay + [1] * (20 - delay)


def test_frames_carry_their_time_where_the_rate_is_known(tracker_of):
    source = StubSource([0, 1, 3])
    assert [t.time for t in tracker_of().run(source)] == [None] * 3
    source.fps = 25.0
    assert [t.time for t in tracker_of(2, 3).run(source)] == [0.0, 1 / 25, 3 / 25]


def test_first_frame_after_a_gap_says_so(tracker_of):
    tracked = tracker_of(2, 3).run(StubSource(range(8), gaps=[0, 3]))
    assert [t.index for t in tracked if t.follows_gap] == [3]


def test_times_are_kept_for_every_frame_of_every_stage(tracker_of):
    times = StageTimes()
    list(tracker_of(2, 3).run(StubSource(range(20), gaps=[9]), times=times))
    rows = times.rows()
    names = ["read", "blank", "scale", "detect", "track"]
    assert [row.name for row in rows] == names
    assert [row.num_frames for row in rows] == [20] * 5
    assert [row.num_frames_late for row in rows] == [0, 0, 0, 2, 3]
    assert all(0 < row.median_ms <= row.percentile_95_ms for row in rows)
