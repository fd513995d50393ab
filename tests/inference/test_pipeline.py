from pathlib import Path

import numpy as np
import pytest
import torch
from scenes import SyntheticConfig

from stdet.config import PostprocessConfig, StdetConfig, TrackerConfig
from stdet.datasets.clip_sampler import ClipShape, window_at
from stdet.datasets.input_geometry import InputGeometry, detector_input
from stdet.datasets.splits import load_sequences
from stdet.errors import IncompleteInputError
from stdet.evaluation.from_model import (
    detect_sequence,
    rescore_results,
    score_sequences,
    track_detections,
)
from stdet.evaluation.report import SequenceResult, evaluate_sequences
from stdet.inference import network
from stdet.inference.checkpoint import save_weights
from stdet.inference.detector import Detector
from stdet.inference.network import Network, NetworkInput
from stdet.inference.pipeline import StreamingTracker
from stdet.inference.postprocess import postprocess
from stdet.inference.stages.detect import DetectWithNetwork
from stdet.inference.stages.frames import DetectedFrame, StreamFrame
from stdet.inference.stages.rescore import Rescore
from stdet.inference.stages.split import MAX_BRIDGED
from stdet.inference.stages.times import StageTimes, timed
from stdet.io.frame_source import EIGHT_BIT_SCALE, ClosesOnExit, Frame
from stdet.io.intensity.scene_watch import SceneWatch
from stdet.models.build import build_detector
from stdet.registration.background_features import LAGS, background_features
from stdet.registration.registered_stream import register_frames
from stdet.types import Detections, SequenceAnnotation, Tracks

ALL_CELLS = PostprocessConfig(score_floor=0.0, nms_iou=1.0, max_detections=1000)
"""Every cell's box comes out, so that no difference can hide below a threshold."""

CPU = torch.device("cpu")


def _detector(detector, model, config=ALL_CELLS, device=CPU):
    return Detector.from_network(Network(detector, model=model, config=config, device=device))


def _streaming(*args, **options):
    """Fresh stages of a detector."""
    return _detector(*args, **options).start()


def _frames(num_frames, hw=(20, 27)):
    return np.random.default_rng(0).random((num_frames, *hw), np.float32)


def _run(streaming, frames):
    given = (StreamFrame.of_scaled(index, frame) for index, frame in enumerate(frames))
    return [frame.detections for frame in streaming.run(given)]


def _push(streaming, index, frame):
    return list(streaming.push(StreamFrame.of_scaled(index, frame)))


def _clip_by_clip(detector, model, frames, maps=None):
    """The detector on every clip that the training sampler would cut, nothing shared."""
    shape = ClipShape(
        num_frames=model.temporal.num_frames,
        frame_stride=model.temporal.frame_stride,
        num_future_frames=model.temporal.num_future_frames,
    )
    geometry = InputGeometry.fit(
        frames.shape[1:], input_hw=model.input_hw, size_divisor=detector.size_divisor
    )
    found = []
    for key in range(len(frames)):
        indices = window_at(shape, key, len(frames)).frame_indices
        clip = detector_input(
            torch.from_numpy(frames[indices])[:, None],
            None if maps is None else torch.from_numpy(maps[indices]),
            geometry=geometry,
            in_channels=1,
        )
        with torch.no_grad():
            outputs = detector(
                clip[None],
                torch.from_numpy(shape.context),
                torch.from_numpy(shape.keys),
            )
        found += postprocess(outputs, config=ALL_CELLS, geometry=geometry, frame_indices=[key])
    return found


def _assert_equal(found, wanted):
    assert [d.frame_index for d in found] == [d.frame_index for d in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert len(one) == len(other) > 0
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
        np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-4)


@pytest.mark.parametrize("frame_stride", [1, 2])
@pytest.mark.parametrize("num_future_frames", [0, 2])
@pytest.mark.parametrize("num_frames", [1, 2, 9])
def test_streaming_equals_the_detector_on_every_clip(
    tiny_model, lively, frame_stride, num_future_frames, num_frames
):
    temporal = {
        "num_frames": 4,
        "frame_stride": frame_stride,
        "num_future_frames": num_future_frames,
    }
    model = tiny_model(temporal=temporal)
    # In float64 rounding cannot swap two cells of nearly equal score.
    detector = lively(build_detector(model)).double()
    frames = _frames(num_frames)
    streaming = _streaming(detector, model)
    _assert_equal(_run(streaming, frames), _clip_by_clip(detector, model, frames))


@pytest.mark.parametrize("num_frames", [1, 3, 30])
@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_streaming_with_background_features_equals_the_detector_on_every_clip(
    tiny_model, lively, num_frames, num_future_frames
):
    temporal = {"num_frames": 4, "num_future_frames": num_future_frames}
    model = tiny_model(temporal=temporal, background=True)
    detector = lively(build_detector(model)).double()
    frames = _frames(num_frames, (24, 32))
    registered = list(register_frames(frames, LAGS))
    maps = np.stack([background_features(f) for f in registered])
    _assert_equal(
        _run(_streaming(detector, model), frames), _clip_by_clip(detector, model, frames, maps)
    )


def test_background_features_wait_at_the_start_of_a_stream_alone(tiny_model, lively):
    model = tiny_model(temporal={"num_frames": 3, "num_future_frames": 1}, background=True)
    streaming = _streaming(lively(build_detector(model)), model)
    counts = [
        len(_push(streaming, 10 + i, frame)) for i, frame in enumerate(_frames(27, (24, 32)))
    ]
    # Twenty frames for the maps of the first, one for the future of its clip.
    assert counts == [0] * 21 + [1, 1] + [21] + [1] * 3
    assert [frame.index for frame in streaming.flush()] == [36]


def test_output_is_five_frames_late_from_frame_23_on(tiny_model, lively):
    model = tiny_model(temporal={"num_frames": 3}, background=True)
    detector = _detector(lively(build_detector(model)), model, PostprocessConfig())
    tracker = StreamingTracker(detector, TrackerConfig(), confidence=0.5)
    given = []

    class Source(_StubSource):
        def frames(self, start=0, stop=None):
            for frame in super().frames(start, stop):
                given.append(frame.index)
                yield frame

    late = [given[-1] - t.index for t in tracker.run(Source(range(30)))]
    assert late == [*range(23, 4, -1), *[5] * 6, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("indices", "gaps"),
    [(range(40), [10]), (range(60), [30]), ([*range(12), *range(13, 40)], [])],
)
def test_every_frame_comes_out_once_where_a_gap_cuts_the_wait(tiny_model, lively, indices, gaps):
    model = tiny_model(background=True)
    detector = _detector(lively(build_detector(model)), model, PostprocessConfig())
    tracker = StreamingTracker(detector, TrackerConfig(), confidence=0.5)
    source = _StubSource(indices, gaps=gaps)
    tracked = list(tracker.run(source))
    assert [t.index for t in tracked] == source.indices
    assert [t.detections.frame_index for t in tracked] == source.indices
    assert all(t.image[8, 4 + t.index % 8] == 250 for t in tracked)


def test_large_frames_say_before_the_first_what_they_take(tiny_model, lively, monkeypatch, caplog):
    monkeypatch.setattr(network, "LARGE_MEGAPIXELS", 0.01)
    model = tiny_model()
    detector = _detector(lively(build_detector(model)), model)
    _push(detector.start(), 0, _frames(1)[0])
    assert caplog.messages == []
    large, streaming = np.zeros((96, 128), np.float32), detector.start()
    _push(streaming, 0, large)
    _push(streaming, 1, large)
    (message,) = caplog.messages  # Once a stream.
    assert message.startswith("Frames of 128x96 (0.0123 megapixels): the network holds about 1 GB")


def test_change_of_the_frame_size_is_refused_while_frames_wait(tiny_model, lively):
    model = tiny_model(background=True)
    streaming = _streaming(lively(build_detector(model)), model)
    assert _push(streaming, 0, _frames(1, (16, 16))[0]) == []
    with pytest.raises(
        ValueError, match=r"frame 1 is \(16, 24\); the stream began with \(16, 16\)"
    ):
        _push(streaming, 1, _frames(1, (16, 24))[0])


def test_streaming_equals_the_detector_on_letterboxed_frames(tiny_model, lively):
    model = tiny_model(input_hw=(32, 48))
    detector = lively(build_detector(model)).double()
    frames = _frames(4)
    _assert_equal(
        _run(_streaming(detector, model), frames), _clip_by_clip(detector, model, frames)
    )


def test_frames_come_out_after_as_many_as_the_future_holds(tiny_model, lively):
    temporal = {"num_frames": 4, "frame_stride": 2, "num_future_frames": 1}
    model = tiny_model(temporal=temporal)
    streaming = _streaming(lively(build_detector(model)), model)
    counts = [len(_push(streaming, 10 + i, frame)) for i, frame in enumerate(_frames(5))]
    assert streaming.delay == 2
    assert counts == [0, 0, 1, 1, 1]
    assert [frame.index for frame in streaming.flush()] == [13, 14]
    assert list(streaming.flush()) == []


def test_memory_holds_one_clip_however_long_the_stream(tiny_model, lively):
    temporal = {"num_frames": 3, "frame_stride": 2, "num_future_frames": 1}
    model = tiny_model(temporal=temporal)
    net = Network(lively(build_detector(model)), model=model, config=ALL_CELLS, device=CPU)
    stage = DetectWithNetwork(net, lambda frame: NetworkInput(image=frame.scaled, background=None))
    for index, frame in enumerate(_frames(20, (8, 8))):
        _push(stage, index, frame)
        assert len(stage._ring) == min(index + 1, 5)  # (T - 1) stride + 1 frames.


def test_every_start_of_a_detector_knows_nothing_of_another(tiny_model, lively):
    model = tiny_model()
    detector = _detector(lively(build_detector(model)), model)
    frames = _frames(6)
    fresh = _run(detector.start(), frames[3:])
    for index, frame in enumerate(frames[:3]):
        _push(detector.start(), index, frame)
    _assert_equal(_run(detector.start(), frames[3:]), fresh)


def test_change_of_the_frame_size_is_refused_within_a_stream(tiny_model, lively):
    model = tiny_model()
    detector = _detector(lively(build_detector(model)), model)
    streaming = detector.start()
    _push(streaming, 0, _frames(1, (16, 16))[0])
    with pytest.raises(ValueError, match=r"frame 1 is \(16, 24\).*Begin another"):
        _push(streaming, 1, _frames(1, (16, 24))[0])
    (found,) = _push(detector.start(), 0, _frames(1, (16, 24))[0])
    assert found.detections.image_hw == (16, 24)


class _StubSource(ClosesOnExit):
    """A source of 16 x 16 frames in memory with one bright pixel that moves."""

    name, path, hw, fps, bit_depth, num_declared = "stub", Path("stub"), (16, 16), None, 8, None
    scale = EIGHT_BIT_SCALE

    def __init__(self, indices, *, gaps=(), is_incomplete=False):
        self.indices = list(indices)
        self.gaps = frozenset(gaps)
        self.is_incomplete = is_incomplete

    def frames(self, start=0, stop=None):
        for index in self.indices:
            if index >= start and (stop is None or index < stop):
                pixels = np.full((16, 16), 50, np.uint8)
                pixels[8, 4 + index % 8] = 250
                yield Frame(index=index, pixels=pixels)
        if self.is_incomplete:
            raise IncompleteInputError("stub: ends early")

    def read(self, index):
        raise NotImplementedError


class _KnownTarget(DetectWithNetwork):
    """The network's stage with its real ring and delay, that knows where the target is."""

    def __init__(self, net, seen):
        super().__init__(net, lambda frame: NetworkInput(image=frame.scaled, background=None))
        self.seen = seen

    def _decide(self, key):
        frame = self._ring[key - (self._num_taken - len(self._ring))].frame
        self.seen.append((frame.index, self._num_taken))
        x = 4.0 + frame.index % 8
        detections = Detections.from_unsorted(
            np.array([[x, 8, x + 1, 9], [0, 0, 1, 1]], np.float32),
            np.array([0.9, 0.2], np.float32),
            frame_index=frame.index,
            image_hw=(16, 16),
        )
        return DetectedFrame.of(frame, detections)


@pytest.fixture
def tracker_of(tiny_model, lively):
    def build(num_future_frames=0, lookahead=None):
        model = tiny_model(temporal={"num_future_frames": num_future_frames})
        net = Network(lively(build_detector(model)), model=model, config=ALL_CELLS, device=CPU)
        seen = []
        config = TrackerConfig(confirm_hits=2, confirm_window=2, lookahead=lookahead)
        detector = Detector(lambda times: timed(_KnownTarget(net, seen), times))
        tracker = StreamingTracker(detector, config, confidence=0.5)
        tracker.seen = seen
        return tracker

    return build


@pytest.mark.parametrize("lookahead", [None, 0, 3])
@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_every_frame_comes_out_once_with_its_own_pixels(tracker_of, num_future_frames, lookahead):
    tracked = list(tracker_of(num_future_frames, lookahead).run(_StubSource(range(7))))
    assert [t.index for t in tracked] == list(range(7))
    assert [t.detections.frame_index for t in tracked] == list(range(7))
    assert [int(t.image[8].argmax()) for t in tracked] == [4, 5, 6, 7, 8, 9, 10]
    assert [t.tracks.track_ids.tolist() for t in tracked] == [[]] + [[1]] * 6


@pytest.mark.parametrize("lookahead", [None, 3])
def test_detections_below_the_operating_point_do_not_come_out(tracker_of, lookahead):
    for tracked in tracker_of(lookahead=lookahead).run(_StubSource(range(3))):
        assert tracked.detections.scores.tolist() == [np.float32(0.9)]


@pytest.mark.parametrize("lookahead", [None, 0, 3])
@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_gap_starts_the_detector_anew_and_ends_all_tracks(
    tracker_of, num_future_frames, lookahead
):
    tracker = tracker_of(num_future_frames, lookahead)
    tracked = list(tracker.run(_StubSource(range(6), gaps=[3])))
    # After the gap a new target takes two hits again, and never the old id.
    assert [t.tracks.track_ids.tolist() for t in tracked] == [[], [1], [1], [], [2], [2]]
    # No key frame of the first part was decided with frames of the second in the ring.
    assert all(pushed <= 3 for _, pushed in tracker.seen)


@pytest.mark.parametrize("lookahead", [None, 0, 3])
@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_tracks_are_predicted_over_an_unreadable_frame(tracker_of, num_future_frames, lookahead):
    tracker = tracker_of(num_future_frames, lookahead)
    tracked = list(tracker.run(_StubSource([0, 1, 2, 4, 5])))
    assert [t.index for t in tracked] == [0, 1, 2, 4, 5]
    assert [t.tracks.track_ids.tolist() for t in tracked] == [[], [1], [1], [1], [1]]
    assert [pushed for _, pushed in tracker.seen] == (
        [1, 2, 3, 4, 5] if num_future_frames == 0 else [3, 4, 5, 5, 5]
    )


@pytest.mark.parametrize("num_missing", [MAX_BRIDGED, MAX_BRIDGED + 1])
def test_detector_starts_anew_after_a_long_hole_alone(tracker_of, num_missing):
    tracker = tracker_of()
    indices = [0, 1, 2, 3 + num_missing, 4 + num_missing]
    tracked = list(tracker.run(_StubSource(indices)))
    assert [t.index for t in tracked] == indices
    assert [pushed for _, pushed in tracker.seen] == (
        [1, 2, 3, 4, 5] if num_missing <= MAX_BRIDGED else [1, 2, 3, 1, 2]
    )


def test_gap_at_an_unreadable_frame_still_ends_tracks(tracker_of):
    # Frame 3 follows a hole in the numbering and cannot be read itself.
    tracked = list(tracker_of().run(_StubSource([0, 1, 2, 4, 5], gaps=[3])))
    assert [t.tracks.track_ids.tolist() for t in tracked] == [[], [1], [1], [], [2]]


@pytest.mark.parametrize("num_future_frames", [0, 2])
def test_incomplete_input_is_reported_after_everything_usable(tracker_of, num_future_frames):
    tracked = []
    stream = tracker_of(num_future_frames).run(_StubSource(range(4), is_incomplete=True))
    with pytest.raises(IncompleteInputError, match="ends early"):
        tracked.extend(stream)
    assert [t.index for t in tracked] == [0, 1, 2, 3]
    assert tracked[-1].tracks.track_ids.tolist() == [1]


def test_start_and_stop_keep_the_frame_numbers_of_the_source(tracker_of):
    tracked = list(tracker_of().run(_StubSource(range(9), gaps=[2]), start=2, stop=5))
    assert [t.index for t in tracked] == [2, 3, 4]
    assert tracked[-1].tracks.track_ids.tolist() == [1]


def test_second_run_of_one_tracker_starts_from_nothing(tracker_of):
    tracker = tracker_of(2)
    first = [t.tracks.track_ids.tolist() for t in tracker.run(_StubSource(range(5)))]
    for _ in zip(range(2), tracker.run(_StubSource(range(5))), strict=False):
        pass  # Left in the middle.
    again = [t.tracks.track_ids.tolist() for t in tracker.run(_StubSource(range(5)))]
    assert again == first


def test_tracker_from_weights_uses_the_stored_operating_point(tmp_path, tiny_model):
    config = StdetConfig(model=tiny_model(), postprocess=PostprocessConfig(confidence=0.25))
    path = tmp_path / "w.safetensors"
    save_weights(path, build_detector(config.model).state_dict(), config, {})
    tracker = StreamingTracker.from_weights(str(path), confidence=None, device="cpu")
    assert tracker.confidence == 0.25
    given = StreamingTracker.from_weights(str(path), confidence=0.0, device="cpu")
    assert given.confidence == 0.0


@pytest.mark.parametrize("confidence", [0.3, None])
def test_scoring_scores_what_the_stream_says(
    tmp_path, tiny_model, lively, write_coco_split, confidence
):
    config = StdetConfig(
        model=tiny_model(), postprocess=PostprocessConfig(confidence=confidence, max_detections=5)
    )
    data = write_coco_split(
        tmp_path, [SyntheticConfig(num_frames=5, hw=(32, 32), num_targets=1, name="s")]
    )
    (sequence,) = load_sequences(data, "train")
    network_ = lively(build_detector(config.model))
    detector = _detector(network_, config.model, config.postprocess)
    detections = tuple(detect_sequence(detector, sequence))
    assert [d.frame_index for d in detections] == list(range(5))

    detector = _detector(network_.train(), config.model, config.postprocess)
    scored = score_sequences(detector, config, [sequence], title="t")
    assert not network_.training
    if confidence is not None:
        assert scored.confidence == confidence
    tracks = track_detections(detections, config.tracker, confidence=scored.confidence)
    result = SequenceResult(annotation=sequence.annotation, detections=detections, tracks=tracks)
    wanted = evaluate_sequences([result], config.evaluation, confidence=scored.confidence)
    # As text, because undefined scores are NaN.
    assert repr(scored.report.overall) == repr(wanted.overall)


@pytest.mark.gpu
def test_stream_on_a_gpu_finds_what_the_cpu_finds(tiny_model, lively):
    model = tiny_model()
    frames = _frames(4)
    config = PostprocessConfig(score_floor=0.3)
    torch.manual_seed(0)
    detector = lively(build_detector(model)).double()
    cpu = _run(_streaming(detector, model, config), frames)
    gpu = _run(_streaming(detector, model, config, torch.device("cuda")), frames)
    _assert_equal(gpu, cpu)


def test_paths_of_a_stream_and_of_results_are_scored_alike():
    rng = np.random.default_rng(0)

    def frames(count):
        for index in range(count):
            corners = rng.uniform(0, 80, (4, 2)).astype(np.float32)
            yield Detections.from_unsorted(
                np.concatenate([corners, corners + 4], axis=1),
                rng.uniform(0.01, 0.99, 4).astype(np.float32),
                frame_index=index,
                image_hw=(100, 100),
            )

    results = []
    for count in (9, 2):
        none = np.zeros(0, np.int64)
        truth = SequenceAnnotation(
            name="a",
            num_frames=count,
            image_hw=(100, 100),
            fps=None,
            frame_indices=none,
            track_ids=none,
            boxes_xyxy=np.zeros((0, 4), np.float32),
            class_ids=none,
            is_ignored=np.zeros(0, np.bool_),
        )
        results.append(
            SequenceResult(
                annotation=truth, detections=tuple(frames(count)), tracks=Tracks.empty()
            )
        )
    rescored = rescore_results(results, TrackerConfig(lookahead=3))
    for result, scored in zip(results, rescored, strict=True):
        image = np.zeros((100, 100), np.float32)
        given = [
            DetectedFrame.of(StreamFrame.of_scaled(index, image), found)
            for index, found in enumerate(result.detections)
        ]
        outputs = [frame.detections for frame in Rescore(3).run(given)]
        assert len(outputs) == len(result.detections)
        for one, other in zip(outputs, scored.detections, strict=True):
            np.testing.assert_array_equal(one.scores, other.scores)
            np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)


@pytest.mark.parametrize("lookahead", [None, 3])
@pytest.mark.parametrize(("indices", "gaps"), [(range(12), [5]), ([0, 1, 2, 9, 10, 12], [])])
def test_frames_pushed_one_by_one_give_what_the_iterator_gives(
    tracker_of, indices, gaps, lookahead
):
    source = _StubSource(indices, gaps=gaps)
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
    source = _StubSource(())
    stages = tracker_of(2, lookahead).stages(
        scale=source.scale, watch=SceneWatch(source.path, source.scale), gaps=source.gaps
    )
    # No blank frames, which would wait for a scene.
    images = (_frames(20, (16, 16)) * 255).astype(np.uint8)
    frames = [Frame(index=index, pixels=image) for index, image in enumerate(images)]
    counts = [len(list(stages.push(frame))) for frame in frames]
    assert stages.delay == delay
    assert counts == [0] * delay + [1] * (20 - delay)


def test_frames_carry_their_time_where_the_rate_is_known(tracker_of):
    source = _StubSource([0, 1, 3])
    assert [t.time for t in tracker_of().run(source)] == [None] * 3
    source.fps = 25.0
    assert [t.time for t in tracker_of(2, 3).run(source)] == [0.0, 1 / 25, 3 / 25]


def test_first_frame_after_a_gap_says_so(tracker_of):
    tracked = tracker_of(2, 3).run(_StubSource(range(8), gaps=[0, 3]))
    assert [t.index for t in tracked if t.follows_gap] == [3]


def test_times_are_kept_for_every_frame_of_every_stage(tracker_of):
    times = StageTimes()
    list(tracker_of(2, 3).run(_StubSource(range(20), gaps=[9]), times=times))
    rows = times.rows()
    names = ["read", "blank", "scale", "detect", "rescore", "track"]
    assert [row.name for row in rows] == names
    assert [row.num_frames for row in rows] == [20] * 6
    assert [row.num_frames_late for row in rows] == [0, 0, 0, 2, 3, 0]
    assert all(0 < row.median_ms <= row.percentile_95_ms for row in rows)
