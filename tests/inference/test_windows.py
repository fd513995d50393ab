"""Large frames are looked at at full size where something may be, and there as elsewhere."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stdet.config import PostprocessConfig
from stdet.inference.engines.engine import ClipOutputs
from stdet.inference.network import Network
from stdet.inference.stages.detect import DetectWithNetwork, Look
from stdet.inference.stages.frames import StreamFrame
from stdet.inference.window_outputs import whole_outputs
from stdet.inference.windows import WINDOW_PX, WindowChoice, WindowGrid
from stdet.registration.contrast_peaks import Peaks
from stdet.types import Detections

HW = (512, 640)
STRIDE = 4
LEAST_MARGIN = 8

sides = st.integers(WINDOW_PX // 4, 400).map(lambda cells: 4 * cells)


@given(hw=st.tuples(sides, sides))
def test_cores_cover_a_frame_once_and_windows_lie_in_it(hw):
    grid = WindowGrid.of(hw)
    count = np.zeros(hw, int)
    for number in range(len(grid)):
        window = grid[number]
        for span, side in ((window.rows, hw[0]), (window.columns, hw[1])):
            assert 0 <= span.start <= side - WINDOW_PX
            first, last = span.core
            assert first == 0 or first - span.start >= LEAST_MARGIN
            assert last == side or span.start + WINDOW_PX - last >= LEAST_MARGIN
        count[slice(*window.rows.core), slice(*window.columns.core)] += 1
    assert (count == 1).all()


@given(hw=st.tuples(sides, sides), at=st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)))
def test_a_point_belongs_to_the_window_whose_core_holds_it(hw, at):
    grid = WindowGrid.of(hw)
    y, x = at[0] * hw[0], at[1] * hw[1]
    (number,) = grid.numbers(np.array([[x, y]]))
    assert _holds(grid[int(number)], x, y)


def test_windows_cover_less_than_a_third_of_a_frame():
    for hw in (HW, (480, 640), (480, 720), (1024, 1280)):
        share = WindowGrid.of(hw).num_chosen * WINDOW_PX**2 / (hw[0] * hw[1])
        assert 0.25 < share < 0.34


def _found(points, hw):
    xy = np.array([point[:2] for point in points], np.float32).reshape(-1, 2)
    return Detections.from_unsorted(
        boxes_xyxy=np.concatenate([xy - 2, xy + 2], axis=1),
        scores=np.array([point[2] for point in points], np.float32),
        class_ids=np.zeros(len(points), np.int64),
        frame_index=0,
        image_hw=hw,
    )


def _peaks(points):
    rows = np.array(points, np.float64).reshape(-1, 3)
    return Peaks(xy=rows[:, :2], strengths=rows[:, 2])


def _holds(window, x, y):
    rows, columns = window.rows.core, window.columns.core
    return rows[0] <= y < rows[1] and columns[0] <= x < columns[1]


def test_windows_hold_what_smaller_scales_and_the_residual_show():
    choice = WindowChoice(WindowGrid.of(HW), HW)
    rng = np.random.default_rng(0)
    noise = np.column_stack([rng.uniform(0, 640, 300), rng.uniform(0, 512, 300), np.full(300, 3)])
    chosen = choice.choose(
        [_found([(100, 100, 0.9)], (256, 320)), _found([(10, 120, 0.2)], (128, 160))],
        _peaks([*noise, (500.0, 60.0, 9.0)]),
    )
    assert len(chosen) == WindowGrid.of(HW).num_chosen
    for x, y in ((200, 200), (40, 480), (500, 60)):
        assert sum(_holds(window, x, y) for window in chosen) == 1


def test_what_was_found_at_full_size_alone_stays_in_sight():
    choice = WindowChoice(WindowGrid.of(HW), HW)
    assert choice.choose([_found([], (256, 320))], None) == []
    choice.remember(_found([(300, 300, 0.2)], HW))
    (window,) = choice.choose([_found([], (256, 320))], None)
    assert _holds(window, 300, 300)


def test_every_sure_detection_is_held_however_many_there_are():
    grid = WindowGrid.of(HW)
    centres = [
        (sum(grid[number].columns.core) / 2, sum(grid[number].rows.core) / 2)
        for number in range(0, len(grid), 2)
    ]
    found = _found([(x / 2, y / 2, 0.5) for x, y in centres], (256, 320))
    chosen = WindowChoice(grid, HW).choose([found], _peaks([(5.0, 5.0, 9.0)]))
    assert all(any(_holds(window, x, y) for window in chosen) for x, y in centres)


def test_every_window_is_visited_in_its_turn():
    grid = WindowGrid.of(HW)
    choice = WindowChoice(grid, HW)
    visited = [window for _ in range(4 * len(grid)) for window in choice.choose([], None)]
    assert len(visited) == len(set(visited)) == len(grid)


def test_noise_moves_few_windows():
    choice = WindowChoice(WindowGrid.of(HW), HW)
    rng = np.random.default_rng(0)
    chosen = []
    for _ in range(40):
        points = np.column_stack(
            [rng.uniform(0, 640, 200), rng.uniform(0, 512, 200), rng.normal(4, 0.5, 200)]
        )
        chosen.append(set(choice.choose([], _peaks(points))))
    changes = sum(len(new - old) for old, new in pairwise(chosen[10:]))
    assert changes < 10 + 8  # With 8 visits.


class _PixelEngine:
    """Says of each cell what its own pixels are, whatever is around."""

    name = "pixels"

    def __init__(self):
        self.sizes = Counter()

    def frame_maps(self, frame):
        self.sizes[frame.shape[2:]] += 1
        return (frame[:, :1, ::STRIDE, ::STRIDE],)

    def fuse(self, context, key, state):
        bright = key[0]
        return ClipOutputs(
            cls_logits=np.full_like(bright, 10),
            obj_logits=20 * bright - 10,
            box_offsets=np.zeros((1, 4, *bright.shape[2:]), np.float32),
            feature_stride=STRIDE,
        )


def _network(tiny_model, engine, **settings):
    model = tiny_model(
        temporal={"num_frames": 3, "frame_stride": 2},
        pyramid={"output_stride": STRIDE},
        scales=[1, 2],
    )
    config = PostprocessConfig(score_floor=0.3)
    return Network(engine, model=model, config=config, size_divisor=8, **settings)


def _run(network, frames):
    stages = Look(network.model.scales).then(DetectWithNetwork(network))
    given = (StreamFrame.of_scaled(index, frame) for index, frame in enumerate(frames))
    return [frame.detections for frame in stages.run(given)]


@pytest.mark.parametrize("hw", [HW, (500, 642)])
def test_detections_of_windows_are_those_of_the_whole_frame(tiny_model, hw):
    frames = np.zeros((6, *hw), np.float32)
    for index, frame in enumerate(frames):
        frame[200:212, 40 * index + 8 : 40 * index + 20] = 1
        frame[96:104, 176:184] = 0.8  # Where two cores meet.
    engine = _PixelEngine()
    in_windows, whole = (
        _run(_network(tiny_model, engine, in_windows=each), frames) for each in (True, False)
    )
    assert sum(map(len, whole)) >= 12
    for one, other in zip(in_windows, whole, strict=True):
        np.testing.assert_array_equal(one.scores, other.scores)
        np.testing.assert_array_equal(one.boxes_xyxy, other.boxes_xyxy)


def test_features_of_a_window_are_computed_once(tiny_model):
    frames = np.zeros((20, *HW), np.float32)
    frames[:, 220:232, 300:312] = 1
    engine = _PixelEngine()
    _run(_network(tiny_model, engine), frames)
    assert engine.sizes[256, 320] == 20
    # A window that is visited is computed for the three frames of a clip.
    assert 20 < engine.sizes[WINDOW_PX, WINDOW_PX] <= 20 + 5 * 3


@pytest.mark.parametrize(
    ("hw", "settings"),
    [((256, 320), {}), ((512, 640), {"in_windows": False}), ((2048, 120), {})],
)
def test_small_and_narrow_frames_are_looked_at_whole(tiny_model, hw, settings):
    assert _network(tiny_model, _PixelEngine(), **settings).window_grid(hw) is None


def test_cells_outside_of_windows_have_no_score():
    grid = WindowGrid.of(HW)
    cells = WINDOW_PX // STRIDE
    found = ClipOutputs(
        cls_logits=np.ones((1, 2, cells, cells), np.float32),
        obj_logits=np.ones((1, 1, cells, cells), np.float32),
        box_offsets=np.ones((1, 4, cells, cells), np.float32),
        feature_stride=STRIDE,
    )
    window = grid[9]
    whole = whole_outputs(HW, [(window, found)])
    seen = np.zeros((HW[0] // STRIDE, HW[1] // STRIDE), bool)
    rows, columns = (
        slice(core[0] // STRIDE, core[1] // STRIDE)
        for core in (window.rows.core, window.columns.core)
    )
    seen[rows, columns] = True
    for part in whole.arrays:
        assert (part[..., seen] == 1).all()
    assert (whole.obj_logits[..., ~seen] == -100).all()
