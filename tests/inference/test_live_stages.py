"""What stages do with live frames: pauses, frames that were left out, frames that have waited."""

import time
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from stdet.inference.stages.frames import DetectedFrame, StreamFrame
from stdet.inference.stages.register import Register
from stdet.inference.stages.split import SplitAtGaps
from stdet.inference.stages.stage import Stage
from stdet.io.live.capture import Capture, Pause

LAGS = (4, 8, 12, 16, 20)
SCENE = gaussian_filter(np.random.default_rng(0).random((120, 160)), 1.5)
SCENE = ((SCENE - SCENE.min()) / np.ptp(SCENE)).astype(np.float32)


def live_frame(index, *, image=None, num_dropped=0, is_live=True):
    image = np.zeros((8, 8), np.float32) if image is None else image
    capture = Capture(utc=time.time(), monotonic=time.monotonic(), num_dropped=num_dropped)
    return StreamFrame(
        index=index,
        time=None,
        image=image,
        scaled=image,
        capture=capture if is_live else None,
    )


def _panning(num_frames, *, is_live):
    """A camera that pans by two pixels a frame, of which one frame of the stream is left out."""
    for index in range(num_frames):
        image = SCENE[10:74, 10 + 2 * index : 90 + 2 * index]
        yield live_frame(index, image=image, num_dropped=int(index == 5), is_live=is_live)


@pytest.fixture(scope="module")
def registered():
    """Frames that come out at each push, of a file and live."""
    found = []
    for is_live in (False, True):
        stage = Register(LAGS)
        found.append([list(stage.push(frame)) for frame in _panning(30, is_live=is_live)])
        found[-1].append(list(stage.flush()))
    return found


def test_of_live_frames_that_have_waited_the_newest_comes_out(registered):
    whole, live = registered
    assert [frame.index for out in whole for frame in out] == list(range(30))
    assert max(map(len, whole)) > 10
    assert max(map(len, live)) == 1
    assert [out[0].index for out in live if out] == [out[-1].index for out in whole if out]


def test_frames_that_have_waited_count_as_left_out(registered):
    live = [frame for out in registered[1] for frame in out]
    assert sum(frame.capture.num_dropped + 1 for frame in live) == 30 + 1


def test_motion_is_that_since_the_frame_that_came_out_before(registered):
    live = [frame for out in registered[1] for frame in out]
    for before, after in pairwise(live):
        matrix = after.from_previous.transform.matrix
        shift = -2 * (after.index - before.index)
        np.testing.assert_allclose(matrix[:2, 2], (shift, 0), atol=0.3)


class Counting(Stage[StreamFrame, DetectedFrame]):
    """Notes what comes in, and hands it on at the flush."""

    def __init__(self) -> None:
        self.waiting: list[StreamFrame] = []

    def push(self, frame):
        self.waiting.append(frame)
        return iter(())

    def flush(self):
        yield from self.waiting


def _runs(items, **options):
    """Return the indices of each run of stages."""
    stages = []

    def start():
        stages.append(Counting())
        return stages[-1]

    out = list(SplitAtGaps(start, gaps=frozenset(), **options).run(items))
    runs = [[frame.index for frame in stage.waiting] for stage in stages]
    assert [frame.index for frame in out] == [index for run in runs for index in run]
    return [run for run in runs if run]


def test_pause_lets_out_what_waits_and_the_stream_goes_on():
    items = [live_frame(0), live_frame(1), Pause(), live_frame(2)]
    assert _runs(items) == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("num_dropped", "runs"), [(30, [[0, 31]]), (20, [[0, 31]]), (19, [[0], [31]])]
)
def test_frames_that_were_left_out_are_not_missing(num_dropped, runs):
    items = [live_frame(0), live_frame(31, num_dropped=num_dropped)]
    assert _runs(items, max_bridged=10) == runs
