import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trackeval.metrics import CLEAR, HOTA, Identity

from stdet.boxes import box_iou, centre_distance, centres_xy
from stdet.metrics.tracking.clear_identity_hota import (
    TrackingCounts,
    count_tracking,
    count_tracking_by_overlap,
)
from stdet.metrics.tracking.hota import HotaCounts, TargetSizes, count_so_hota

GATE, SCALE = 8.0, 4.5


def trackeval_data(truth, tracks, *, by="distance"):
    """Return one sequence as TrackEval wants it, with the similarity used here."""
    gt_numbers, gt_ids = np.unique(truth.track_ids, return_inverse=True)
    pred_numbers, pred_ids = np.unique(tracks.track_ids, return_inverse=True)
    data = {
        "num_gt_dets": len(truth),
        "num_tracker_dets": len(tracks),
        "num_gt_ids": len(gt_numbers),
        "num_tracker_ids": len(pred_numbers),
        "num_timesteps": truth.num_frames,
        "gt_ids": [],
        "tracker_ids": [],
        "similarity_scores": [],
    }
    for frame in range(truth.num_frames):
        is_pred = tracks.frame_indices == frame
        rows = truth.rows_at(frame)
        boxes = (truth.boxes_xyxy[rows], tracks.boxes_xyxy[is_pred])
        similarity = {
            "distance": lambda a, b: np.maximum(0, 1 - centre_distance(a, b) / (2 * GATE)),
            "overlap": box_iou,
            "small object": lambda a, b: np.exp(-centre_distance(a, b) / SCALE),
        }[by]
        data["gt_ids"].append(gt_ids[rows])
        data["tracker_ids"].append(pred_ids[is_pred])
        data["similarity_scores"].append(similarity(*boxes))
    return data


def random_sequence(build, seed, *, spacing=9.0, noise=4.0, min_false=0):
    """Targets that are born, die, are missed and swapped, with false tracks and empty frames."""
    rng = np.random.default_rng(seed)
    num_frames, num_targets = int(rng.integers(1, 13)), int(rng.integers(0, 5))
    spans = np.sort(rng.integers(0, num_frames + 1, (num_targets, 2)), axis=1)
    starts = spacing * np.arange(num_targets)
    names = list(range(num_targets))
    frames = []
    for frame in range(num_frames):
        if rng.random() < 0.15 and num_targets > 1:
            names[0], names[-1] = names[-1], names[0]
        if rng.random() < 0.1 and num_targets:
            names[int(rng.integers(num_targets))] = 100 + frame
        alive = [n for n in range(num_targets) if spans[n, 0] <= frame < spans[n, 1]]
        points = {n: (starts[n] + 0.5 * frame, 0.3 * frame) for n in alive}
        seen = [n for n in alive if rng.random() < 0.75]
        tracks = [(names[n], *(np.array(points[n]) + rng.normal(0, noise, 2))) for n in seen]
        for number in range(rng.integers(min_false, 3)):
            tracks.append((200 + number, *rng.uniform(-200, -100, 2)))
        frames.append({"truth": [(n, *points[n]) for n in alive], "tracks": tracks})
    return build.point_tracking(frames)


def test_golden_tracks(build, track_case):
    truth, tracks = build.point_tracking(track_case["frames"])
    counts = count_tracking(truth, tracks, gate_px=GATE)
    for name, expected in track_case["expected"].items():
        owner = counts.hota if name in ("hota", "deta", "assa") else counts
        ours = getattr(owner, {"motp_px": "motp"}.get(name, name))
        assert ours == pytest.approx(expected, abs=1e-6), name


def grown(rows, half=6.0):
    """Return truth or tracks with boxes of 2 x half px, wide enough to overlap."""
    centres = centres_xy(rows.boxes_xyxy)
    boxes = np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)
    return replace(rows, boxes_xyxy=boxes)


def hota_of(truth, tracks, *, by):
    """Count HOTA with one of the similarities of ``trackeval_data``."""
    if by == "small object":
        return count_so_hota(truth, tracks, scale_px=SCALE, gate_px=GATE)
    if by == "overlap":
        return count_tracking_by_overlap(truth, tracks).hota
    return count_tracking(truth, tracks, gate_px=GATE).hota


SIMILARITIES = ["distance", "overlap", "small object"]


@pytest.mark.parametrize("by", SIMILARITIES)
def test_hota_equals_trackeval_on_many_sequences(build, by):
    reference, compared, loca_compared = HOTA(), 0, 0
    for seed in range(270):
        truth, tracks = random_sequence(build, seed)
        if by == "overlap":
            truth, tracks = grown(truth), grown(tracks)
        ours = hota_of(truth, tracks, by=by)
        if len(truth) == 0:
            assert math.isnan(ours.hota)
            continue
        theirs = reference.eval_sequence(trackeval_data(truth, tracks, by=by))
        compared += 1
        assert ours.hota == pytest.approx(theirs["HOTA"].mean(), abs=1e-9)
        assert ours.deta == pytest.approx(theirs["DetA"].mean(), abs=1e-9)
        assert ours.assa == pytest.approx(theirs["AssA"].mean(), abs=1e-9)
        np.testing.assert_array_equal(ours.true_positives, theirs["HOTA_TP"])
        if ours.true_positives.any():
            loca_compared += 1
            assert ours.loca == pytest.approx(theirs["LocA"].mean(), abs=1e-9)
    assert compared >= 200
    assert loca_compared >= 150


@pytest.mark.parametrize("by", SIMILARITIES)
def test_hota_of_several_sequences_equals_trackeval(build, by):
    reference = HOTA()
    sequences = [random_sequence(build, seed) for seed in range(40)]
    assert any(len(truth) == 0 and len(tracks) for truth, tracks in sequences)
    total = HotaCounts.zero()
    for truth, tracks in sequences:
        total += hota_of(truth, tracks, by=by)
    theirs = reference.combine_sequences(
        {
            number: reference.eval_sequence(trackeval_data(*sequence, by=by))
            for number, sequence in enumerate(sequences)
        }
    )
    assert total.hota == pytest.approx(theirs["HOTA"].mean(), abs=1e-9)
    assert total.deta == pytest.approx(theirs["DetA"].mean(), abs=1e-9)
    assert total.assa == pytest.approx(theirs["AssA"].mean(), abs=1e-9)
    assert total.loca == pytest.approx(theirs["LocA"].mean(), abs=1e-9)


def test_so_hota_of_one_pair_counted_by_hand(build):
    # 4 px off with S = 4.5: similarity 0.411, which 8 of 19 alphas are below, 0.05 to 0.40.
    truth, tracks = build.point_tracking([{"truth": [(0, 0, 0)], "tracks": [(0, 4, 0)]}] * 3)
    counts = count_so_hota(truth, tracks, scale_px=SCALE, gate_px=GATE)
    assert (counts.true_positives > 0).sum() == 8
    assert counts.hota == counts.deta == counts.assa == pytest.approx(8 / 19)
    assert TargetSizes.of(truth).scale_px == 1


def test_scale_is_the_root_of_the_mean_area_of_all_boxes_that_count(build):
    # 3 x 3 and 1 x 4 px; the third is ignored.
    boxes = [[(0, 0, 3, 3), (5, 0, 6, 4)], [(0, 0, 50, 50)]]
    truth = build.annotation(boxes, ids=[[1, 2], [1]], ignored=[[False, False], [True]])
    sizes = TargetSizes.of(truth)
    assert sizes.scale_px == pytest.approx(math.sqrt((9 + 4) / 2))
    other = TargetSizes.of(build.annotation([[(0, 0, 1, 1)]]))
    assert (sizes + other + TargetSizes()).scale_px == pytest.approx(math.sqrt((9 + 4 + 1) / 3))
    nothing = TargetSizes.of(build.annotation([[]]))
    assert math.isnan(nothing.scale_px)
    none = build.annotation([[]])
    counts = count_so_hota(
        none, build.tracks([[(1, 0, 0, 1, 1)]]), scale_px=nothing.scale_px, gate_px=GATE
    )
    assert math.isnan(counts.hota)
    assert counts.false_positives[0] == 1


def test_clear_and_identity_equal_trackeval_where_targets_are_far_apart(build):
    # Close targets are left out: there TrackEval maximises similarity, motmetrics the matches.
    # So are frames without tracks, which TrackEval's fragmentations pass over.
    clear = CLEAR({"THRESHOLD": 0.5, "PRINT_CONFIG": False})
    identity = Identity({"THRESHOLD": 0.5, "PRINT_CONFIG": False})
    total, switches = TrackingCounts(), 0
    all_clear, all_identity = {}, {}
    for seed in range(60):
        truth, tracks = random_sequence(build, seed, spacing=200.0, noise=3.0, min_false=1)
        ours = count_tracking(truth, tracks, gate_px=GATE)
        data = trackeval_data(truth, tracks)
        theirs = all_clear[seed] = clear.eval_sequence(data)
        all_identity[seed] = identity.eval_sequence(data)
        total += ours
        switches += ours.id_switches
        if len(truth):
            assert ours.mota == pytest.approx(float(theirs.get("MOTA", 0)), abs=1e-9)
            assert ours.idf1 == pytest.approx(float(all_identity[seed]["IDF1"]), abs=1e-9)
            assert ours.fragmentations == theirs["Frag"]
            assert ours.mostly_lost == theirs["ML"]
            if ours.num_matches:
                similarity = 1 - ours.motp / (2 * GATE)
                assert similarity == pytest.approx(theirs["MOTP"], abs=1e-9)
    theirs = clear.combine_sequences(all_clear)
    assert switches >= 10
    assert total.id_switches == theirs["IDSW"]
    assert total.num_misses == theirs["CLR_FN"]
    assert total.num_false_positives == theirs["CLR_FP"]
    assert total.mota == pytest.approx(theirs["MOTA"], abs=1e-9)
    combined = identity.combine_sequences(all_identity)
    assert total.idf1 == pytest.approx(combined["IDF1"], abs=1e-9)


def test_overlap_scores_equal_trackeval_and_say_how_far_edges_are_off(build):
    clear = CLEAR({"THRESHOLD": 0.5, "PRINT_CONFIG": False})
    total = 0
    for seed in range(40):
        truth, tracks = random_sequence(build, seed, spacing=200.0, noise=2.0, min_false=1)
        truth, tracks = grown(truth), grown(tracks)
        if not len(truth):
            continue
        ours = count_tracking_by_overlap(truth, tracks)
        theirs = clear.eval_sequence(trackeval_data(truth, tracks, by="overlap"))
        assert ours.mota == pytest.approx(float(theirs.get("MOTA", 0)), abs=1e-9)
        if ours.num_matches:
            total += 1
            assert 1 - ours.motp == pytest.approx(theirs["MOTP"], abs=1e-9)
    assert total >= 20


def test_identity_equals_trackeval_where_targets_are_close(build):
    identity = Identity({"THRESHOLD": 0.5, "PRINT_CONFIG": False})
    for seed in range(40):
        truth, tracks = random_sequence(build, seed)
        if len(truth):
            theirs = identity.eval_sequence(trackeval_data(truth, tracks))
            ours = count_tracking(truth, tracks, gate_px=GATE)
            assert ours.idf1 == pytest.approx(float(theirs["IDF1"]), abs=1e-9)


def test_a_target_stays_with_its_track_while_that_is_within_the_gate(build):
    # Track 1 is 7 px off in the second frame, track 2 right on the target.
    truth, tracks = build.point_tracking(
        [
            {"truth": [(0, 0, 0)], "tracks": [(0, 0, 0)]},
            {"truth": [(0, 0, 0)], "tracks": [(0, 7, 0), (1, 0, 0)]},
        ]
    )
    counts = count_tracking(truth, tracks, gate_px=GATE)
    assert (counts.id_switches, counts.num_false_positives) == (0, 1)
    assert counts.motp == 3.5


def test_mostly_tracked_and_lost_are_counted_per_target(build):
    # Target 0: 4 of 5 frames. Target 1: none. Target 2: 2 of 5, neither.
    frames = [
        {
            "truth": [(0, 0, 0), (1, 100, 0), (2, 200, 0)],
            "tracks": [(0, 0, 0)] * (frame < 4) + [(2, 200, 0)] * (frame < 2),
        }
        for frame in range(5)
    ]
    counts = count_tracking(*build.point_tracking(frames), gate_px=GATE)
    assert (counts.mostly_tracked, counts.mostly_lost) == (1, 1)
    assert (counts.num_misses, counts.num_targets) == (9, 15)


def test_without_truth_scores_are_nan_and_false_tracks_are_counted(build):
    truth, tracks = build.point_tracking(
        [{"truth": [], "tracks": [(0, 5, 5)]}, {"truth": [], "tracks": []}]
    )
    counts = count_tracking(truth, tracks, gate_px=GATE)
    assert counts.num_false_positives == 1
    for value in (counts.mota, counts.idf1, counts.motp):
        assert math.isnan(value)
    for value in (counts.hota.hota, counts.hota.deta, counts.hota.assa, counts.hota.loca):
        assert math.isnan(value)


def test_without_tracks_everything_is_missed(build):
    truth, tracks = build.point_tracking([{"truth": [(0, 5, 5)], "tracks": []}] * 3)
    counts = count_tracking(truth, tracks, gate_px=GATE)
    assert (counts.num_misses, counts.mostly_lost) == (3, 1)
    assert (counts.mota, counts.idf1, counts.hota.hota) == (0, 0, 0)
    assert math.isnan(counts.motp)
    assert math.isnan(counts.hota.loca)


@pytest.mark.parametrize("num_frames", [0, 1, 3])
def test_frames_without_truth_and_tracks_count_nothing(build, num_frames):
    counts = count_tracking(build.annotation([[]] * num_frames), build.tracks([]), gate_px=GATE)
    assert (counts.num_targets, counts.num_predictions, counts.num_misses) == (0, 0, 0)
    assert math.isnan(counts.mota)


def test_ignored_truth_and_the_track_on_it_are_left_out(build):
    # Target 2 is ignored in frame 0 only; track 2 follows it, track 3 is a false one.
    point = lambda x: (x - 0.5, 0, x + 0.5, 1)  # noqa: E731
    truth = build.annotation(
        [[point(5), point(40)]] * 2, ids=[[1, 2]] * 2, ignored=[[False, True], [False, False]]
    )
    tracks = build.tracks([[(1, *point(5)), (2, *point(41)), (3, *point(60))]] * 2)
    counts = count_tracking(truth, tracks, gate_px=GATE)
    assert (counts.num_targets, counts.num_predictions) == (3, 5)
    assert (counts.num_matches, counts.num_false_positives) == (3, 2)
    # HOTA at low alpha: 3 TP, 0 FN, 2 FP.
    assert counts.hota.true_positives[0] == 3
    assert counts.hota.false_positives[0] == 2


def test_truth_that_is_ignored_throughout_is_no_truth(build):
    truth = build.annotation([[(1, 1, 2, 2)]] * 2, ids=[[1]] * 2, ignored=[[True]] * 2)
    counts = count_tracking(truth, build.tracks([[(1, 1, 1, 2, 2)]] * 2), gate_px=GATE)
    assert (counts.num_targets, counts.num_predictions) == (0, 0)
    assert math.isnan(counts.hota.hota)


def test_truth_without_identities_is_refused(build):
    with pytest.raises(ValueError, match="no identities"):
        count_tracking(build.annotation([[(1, 1, 2, 2)]]), build.tracks([[]]), gate_px=GATE)


@given(st.integers(0, 10_000), st.integers(-20, 20))
@settings(max_examples=25, deadline=None)
def test_names_of_tracks_and_place_of_the_scene_do_not_matter(build, seed, shift):
    rng = np.random.default_rng(seed)
    positions = rng.integers(0, 64, (6, 3, 2)) / 2
    frames = [
        {
            "truth": [(n, *point) for n, point in enumerate(frame[:2].tolist())],
            "tracks": [(n, *point) for n, point in enumerate(frame[1:].tolist())],
        }
        for frame in positions
    ]
    moved = [
        {
            "truth": [(n, x + shift, y + shift) for n, x, y in frame["truth"]],
            "tracks": [(n + 7, x + shift, y + shift) for n, x, y in frame["tracks"]],
        }
        for frame in frames
    ]
    ours = count_tracking(*build.point_tracking(frames), gate_px=GATE)
    theirs = count_tracking(*build.point_tracking(moved), gate_px=GATE)
    assert ours.hota.hota == pytest.approx(theirs.hota.hota, abs=1e-12)
    assert (ours.mota, ours.idf1, ours.id_switches) == (
        theirs.mota,
        theirs.idf1,
        theirs.id_switches,
    )
