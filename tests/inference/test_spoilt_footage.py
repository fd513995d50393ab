"""No false track is born from a frame that is black, torn, noise, another scene, or repeated."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import stdet

HW = (128, 160)
SPOILT = 30


def scene(seed):
    field = gaussian_filter(np.random.default_rng(seed).normal(size=(200, 400)), 3)
    return 110 + 18 * field / field.std()


def pan(count, *, seed=0):
    """A panning camera and a target that crosses the scene: frames, and its centres."""
    rng, whole = np.random.default_rng(seed), scene(seed)
    rows, columns = np.mgrid[: HW[0], : HW[1]] + 0.5
    frames, centres = [], []
    for at in range(count):
        x, y = 30.0 + 1.7 * at, 90 - 0.8 * at
        spot = 90 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / 0.9**2)
        frame = whole[20 : 20 + HW[0], at : at + HW[1]] + spot + rng.normal(scale=1, size=HW)
        frames.append(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
        centres.append((x, y))
    return frames, np.array(centres)


def spoil(frames, kind):
    """Return the frames with one spoilt, and for each whose target it shows (-1: none)."""
    shown = list(range(len(frames)))
    other = pan(5, seed=9)[0][0]
    if kind == "repeated":
        return frames[:SPOILT] + [frames[SPOILT - 1]] * 6 + frames[SPOILT:], (
            shown[:SPOILT] + [SPOILT - 1] * 6 + shown[SPOILT:]
        )
    frames = list(frames)
    if kind == "black":
        frames[SPOILT] = np.zeros_like(other)
    elif kind == "noise":
        frames[SPOILT] = np.random.default_rng(1).integers(0, 255, HW).astype(np.uint8)
    elif kind == "other scene":
        frames[SPOILT] = np.rint(scene(5)[: HW[0], : HW[1]]).clip(0, 255).astype(np.uint8)
    elif kind == "torn":
        frames[SPOILT] = frames[SPOILT].copy()
        frames[SPOILT][64:] = other[64:]
    return frames, shown


@pytest.mark.parametrize("kind", ["none", "black", "noise", "other scene", "torn", "repeated"])
def test_spoilt_frame_gives_no_false_track(kind):
    frames, centres = pan(46)
    frames, shown = spoil(frames, kind)
    ids, num_hits = set(), 0
    for result in stdet.track(frames):
        target = centres[shown[result.index]]
        for box, number in zip(result.tracks.xyxy, result.tracks.ids, strict=True):
            assert np.hypot(*((box[:2] + box[2:]) / 2 - target)) < 5
            ids.add(int(number))
            num_hits += 1
    assert len(ids) == 1
    assert num_hits >= 0.8 * len(frames)


def test_cut_gives_no_false_track_and_each_scene_is_seen_from_its_start():
    before, first = pan(46)
    after, second = pan(46, seed=3)
    is_found = np.zeros(92, bool)
    for result in stdet.track(before + after):
        centres = first if result.index < 46 else second
        for box in result.tracks.xyxy:
            target = centres[result.index % 46]
            assert np.hypot(*((box[:2] + box[2:]) / 2 - target)) < 5
            is_found[result.index] = True
    assert is_found[:20].mean() >= 0.85
    assert is_found[46:66].mean() >= 0.85
