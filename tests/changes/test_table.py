"""Every change of the table: frames, truth, chance, and sequences with next to nothing in them."""

import numpy as np
import pytest
from footage_of_spots import Spots, brightest_near, footage_of

from stdet.boxes import centres_xy
from stdet.changes.table import CHANGES, UNCHANGED
from stdet.types import SequenceAnnotation

GEOMETRIC = (
    "roll", "zoom", "hand", "jerks", "perspective", "turned-90", "turned-180", "twice", "half"
)  # fmt: skip
HW = (96, 128)
SIZES = {"turned-90": (128, 96), "twice": (192, 256), "half": (48, 64)}
every_change = pytest.mark.parametrize("name", CHANGES)


def changed(name, footage, seed=0):
    return CHANGES[name].apply(footage, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def spots() -> Spots:
    """Two targets that cross the frames."""
    return Spots(num_frames=60, hw=HW)


@every_change
def test_frames_and_truth_have_one_size_and_one_number(spots, name):
    found = changed(name, footage_of(spots))
    hw = SIZES.get(name, HW)
    assert found.truth.image_hw == hw
    assert len(found.indices) == len(found) == found.truth.num_frames > 0
    for position in range(0, len(found), 7):
        frame = found.read(position)
        assert (frame.shape, frame.dtype) == (hw, np.float32)
        assert frame.flags.c_contiguous
        levels = frame * 255
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-4)
        assert frame.min() >= 0
        assert frame.max() <= 1


@every_change
def test_same_seed_gives_the_same_footage_in_any_order(spots, name):
    first, second = changed(name, footage_of(spots), 5), changed(name, footage_of(spots), 5)
    np.testing.assert_array_equal(first.truth.boxes_xyxy, second.truth.boxes_xyxy)
    np.testing.assert_array_equal(first.indices, second.indices)
    last = len(first) - 1
    of_first = [first.read(position) for position in (0, last)]
    of_second = [second.read(position) for position in (last, 0)]
    np.testing.assert_array_equal(of_first, of_second[::-1])


@pytest.mark.parametrize(
    "name", ["roll", "zoom", "hand", "jerks", "perspective", "noise", "stripes", "gain", "text"]
)
def test_another_seed_gives_other_footage(spots, name):
    first, second = changed(name, footage_of(spots), 1), changed(name, footage_of(spots), 2)
    assert (first.read(50) != second.read(50)).any()


@pytest.mark.parametrize("name", ["dropped", "repeated"])
def test_another_seed_loses_other_frames(spots, name):
    first, second = (changed(name, footage_of(spots), seed) for seed in (1, 2))
    shown = [found.truth.boxes_xyxy.tolist() for found in (first, second)]
    assert shown[0] != shown[1]


@every_change
def test_ids_and_classes_are_kept(spots, name):
    footage = footage_of(spots)
    truth = changed(name, footage).truth
    kept = ~truth.is_ignored
    assert set(truth.track_ids[kept].tolist()) == {1, 2}
    by_id = {1: 0, 2: 1}
    expected = [by_id[track_id] for track_id in truth.track_ids[kept].tolist()]
    assert truth.class_ids[kept].tolist() == expected


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "text"])
def test_target_is_where_its_box_says(spots, name):
    found = changed(name, footage_of(spots, noise=0.0), 3)
    # Lossy files and noise move the middle of a spot more than a warp may.
    limit = 0.3 if name in ("jpeg", "h264", "noise", "stripes") else 0.1
    num = 0
    for position in range(0, len(found), 5):
        rows = found.truth.rows_at(position)
        frame = found.read(position)
        frame = 1 - frame if name == "polarity" else frame
        for row in np.arange(rows.start, rows.stop)[~found.truth.is_ignored[rows]]:
            (expected,) = centres_xy(found.truth.boxes_xyxy[row : row + 1])
            at = brightest_near(frame, expected, radius_px=3 if name == "half" else 5)
            assert np.abs(at - expected).max() < limit, (position, at, expected)
            num += 1
    assert num >= min(len(found) // 5, 12)


@every_change
def test_frames_without_targets_and_single_frames_are_changed_too(name):
    empty = Spots(num_frames=3, hw=(32, 48), num_targets=0)
    found = changed(name, footage_of(empty))
    assert len(found.truth) == 0
    assert found.read(len(found) - 1).shape == found.truth.image_hw
    single = changed(name, footage_of(Spots(num_frames=1, hw=(32, 48))))
    assert len(single) == 1
    assert single.read(0).shape == single.truth.image_hw
    assert single.indices.tolist() == [0]


@every_change
def test_truth_without_identities_stays_without(spots, name):
    footage = footage_of(spots, with_ids=False)
    truth = changed(name, footage).truth
    assert isinstance(truth, SequenceAnnotation)
    assert (truth.track_ids == -1).all()


@every_change
def test_deep_frames_keep_their_depth_but_in_files_of_eight_bits(spots, name):
    found = changed(name, footage_of(spots, bit_depth=14))
    assert found.largest_level == (255 if name in ("jpeg", "h264") else 65535)
    levels = found.read(1) * found.largest_level
    np.testing.assert_allclose(levels, np.rint(levels), atol=0.01)


def test_unchanged_footage_is_the_footage(spots):
    footage = footage_of(spots)
    assert changed(UNCHANGED, footage) is footage


@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometry_changes_the_picture(spots, name):
    footage = footage_of(spots)
    found = changed(name, footage)
    assert found.truth.image_hw != HW or (found.read(9) != footage.read(9)).any()
