"""The sequences of benchmarks/tracking: repeatable, and detections that fit their truth."""

import json
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest

from benchmarks.tracking import endurance
from benchmarks.tracking.contenders import Contender, own_contenders, tuned_contenders
from benchmarks.tracking.endurance import endure
from benchmarks.tracking.families import FAMILIES, Family
from benchmarks.tracking.footage import jerk
from benchmarks.tracking.kept import Kept
from benchmarks.tracking.record import read_sequence, write_sequence
from benchmarks.tracking.results import best_or_equal, totals_of, write_tables
from benchmarks.tracking.scores import Mean, SequenceScores, score
from benchmarks.tracking.sequences import (
    IMAGE_HW,
    MEASUREMENT_STD_PX,
    MERGED_PX,
    make_sequence,
)
from benchmarks.tracking.watch import watch
from stdet.boxes import centre_distance, centres_xy
from stdet.metrics.false_alarm_rate import HourlyRate
from stdet.types import Tracks

BY_NAME = {family.name: family for family in FAMILIES}
NAME = attrgetter("name")
CLEAN = Family(name="clean", num_targets=3, miss_share=0.0, false_alarms=0.0)


def one_track_per_detection(sequence):
    detections = sequence.detections
    counts = [len(frame) for frame in detections]
    total = sum(counts)
    return Tracks(
        frame_indices=np.repeat(np.arange(len(counts)), counts),
        track_ids=np.arange(1, total + 1),
        boxes_xyxy=np.concatenate([frame.boxes_xyxy for frame in detections]),
        scores=np.ones(total, np.float32),
        class_ids=np.zeros(total, np.int64),
        detection_indices=np.zeros(total, np.int64),
        probabilities=np.ones(total, np.float32),
    )


def steps_by_frame(sequence):
    """Steps of every target by the frame in which they end."""
    truth = sequence.annotation
    steps = {}
    for track_id in np.unique(truth.track_ids):
        rows = truth.track_ids == track_id
        moved = np.diff(centres_xy(truth.boxes_xyxy[rows]), axis=0)
        for frame_index, step in zip(truth.frame_indices[rows][1:], moved, strict=True):
            steps.setdefault(int(frame_index), []).append(step)
    return steps


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_equal_seeds_give_equal_sequences_and_others_do_not(family):
    first, again, other = (make_sequence(family, seed, num_frames=40) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.annotation.boxes_xyxy, again.annotation.boxes_xyxy)
    for one, two in zip(first.detections, again.detections, strict=True):
        np.testing.assert_array_equal(one.boxes_xyxy, two.boxes_xyxy)
        np.testing.assert_array_equal(one.scores, two.scores)
    for one, two in zip(first.motions, again.motions, strict=True):
        assert one.problem == two.problem
        if one.transform is not None:
            np.testing.assert_array_equal(one.transform.matrix, two.transform.matrix)
    assert first.annotation.boxes_xyxy.tolist() != other.annotation.boxes_xyxy.tolist()


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_targets_lie_in_the_picture_without_gaps(family):
    truth = make_sequence(family, 0).annotation
    centres = centres_xy(truth.boxes_xyxy)
    assert ((centres >= 0) & (centres <= IMAGE_HW[::-1])).all()
    for track_id in np.unique(truth.track_ids):
        assert (np.diff(truth.frame_indices[truth.track_ids == track_id]) == 1).all()


def test_names_of_families_differ():
    assert len(BY_NAME) == len(FAMILIES)


def test_detections_of_a_perfect_detector_lie_on_their_targets():
    sequence = make_sequence(CLEAN, 0)
    truth = sequence.annotation
    errors = []
    for frame in sequence.detections:
        boxes = truth.boxes_xyxy[truth.rows_at(frame.frame_index)]
        distances = centre_distance(frame.boxes_xyxy, boxes)
        assert len(frame) == len(boxes) or distances.min() < 2 * MERGED_PX
        errors.append(centres_xy(frame.boxes_xyxy) - centres_xy(boxes)[distances.argmin(axis=1)])
    assert np.concatenate(errors).std() == pytest.approx(MEASUREMENT_STD_PX, rel=0.15)


@pytest.mark.parametrize("rate", [0.0, 2.0, 20.0])
@pytest.mark.parametrize("clutter", ["uniform", "clumped"])
def test_false_alarms_are_as_many_as_the_family_says(rate, clutter):
    family = replace(CLEAN, num_targets=0, false_alarms=rate, clutter=clutter)
    sequence = make_sequence(family, 0)
    assert len(sequence.annotation) == 0
    counts = [len(frame) for frame in sequence.detections]
    assert np.mean(counts) == pytest.approx(rate, abs=4 * np.sqrt(rate / len(counts)))


def test_weak_detections_are_of_missed_targets_and_of_clutter():
    strong = replace(CLEAN, num_targets=20, miss_share=0.4)
    sequence = make_sequence(replace(strong, weak_false_alarms=10.0), 0)
    scores = np.concatenate([frame.scores for frame in sequence.detections])
    num_missed = 0.4 * len(sequence.annotation)
    expected = 10 * len(sequence.detections) + 0.85 * num_missed
    assert (scores < 0.1).sum() == pytest.approx(expected, rel=0.06)


def test_missed_share_is_that_of_the_family():
    sequence = make_sequence(replace(CLEAN, num_targets=20, miss_share=0.4), 0)
    num_found = sum(len(frame) for frame in sequence.detections)
    assert num_found / len(sequence.annotation) == pytest.approx(0.6, abs=0.03)


def test_known_motions_carry_what_hovers_from_frame_to_frame():
    for camera in ("pan", "roll", "jerks"):
        family = replace(CLEAN, speed_px=0.0, camera=camera)
        sequence = make_sequence(family, 0)
        truth = sequence.annotation
        errors = []
        for frame_index in range(1, truth.num_frames):
            before, now = truth.rows_at(frame_index - 1), truth.rows_at(frame_index)
            _, old, new = np.intersect1d(
                truth.track_ids[before], truth.track_ids[now], return_indices=True
            )
            was = centres_xy(truth.boxes_xyxy[before][old]).astype(np.float64)
            carried = sequence.motions[frame_index].transform.apply(was)
            errors.append(carried - centres_xy(truth.boxes_xyxy[now][new]))
        # What is left is wander of the target and error of the registration.
        assert np.median(np.abs(np.concatenate(errors))) < 0.5


def test_a_wrong_motion_is_off_by_ten_pixels_as_often_as_the_family_says():
    family = replace(CLEAN, camera="jerks", wrong_share=0.3)
    right, wrong = (make_sequence(one, 0) for one in (replace(family, wrong_share=0.0), family))
    errors = [
        np.hypot(*(one.transform.offset_xy - two.transform.offset_xy))
        for one, two in zip(right.motions[1:], wrong.motions[1:], strict=True)
    ]
    is_wrong = np.array(errors) > 1
    assert is_wrong.mean() == pytest.approx(0.3, abs=0.1)
    assert np.array(errors)[is_wrong] == pytest.approx(10.0, abs=0.5)


def test_unregistered_sequences_have_no_motions():
    assert make_sequence(BY_NAME["jerks, unknown"], 0).motions == ()


def test_omitted_frames_make_all_targets_leap_at_once():
    steps = steps_by_frame(make_sequence(replace(CLEAN, omits_frames=True), 1))
    leaps = [np.hypot(*np.array(found).T) for found in steps.values()]
    longest = np.array([lengths.max() for lengths in leaps])
    is_leap = longest > 10
    assert is_leap.any()
    assert longest[is_leap].max() < 40
    assert all((lengths > 10).all() for lengths in np.array(leaps, object)[is_leap])


def test_pairs_cross():
    truth = make_sequence(BY_NAME["crossings"], 0).annotation
    nearest = np.inf
    for frame_index in range(truth.num_frames):
        boxes = truth.boxes_xyxy[truth.rows_at(frame_index)]
        distances = centre_distance(boxes, boxes)[np.triu_indices(len(boxes), 1)]
        nearest = min(nearest, distances.min(initial=np.inf))
    assert nearest < 2


def test_a_hovering_target_moves_off():
    steps = steps_by_frame(make_sequence(replace(CLEAN, num_targets=1, flight="hovering"), 0))
    speeds = np.array([np.hypot(*np.array(found).T).max() for found in steps.values()])
    assert np.median(speeds[:25]) < 0.5
    assert speeds.max() > 2.5


@pytest.mark.parametrize("camera", ["rest", "roll", "jerks"])
@pytest.mark.parametrize("contender", [*own_contenders(None), *tuned_contenders()], ids=NAME)
def test_perfect_detections_are_tracked_almost_without_error(contender, camera):
    sequence = make_sequence(replace(CLEAN, num_targets=1, camera=camera), 2)
    found = score(contender, sequence)
    # What is left is the noise of the centres, and the frames that confirm a track.
    assert found.hota > 0.9
    assert found.idf1 > 0.93
    assert found.switches <= 1
    assert found.false_tracks == 0


def test_recorded_sequences_are_read_back_as_they_were(tmp_path):
    sequence = make_sequence(BY_NAME["roll, known"], 0, num_frames=20)
    write_sequence(tmp_path / "seq.1", sequence)
    again = read_sequence(tmp_path / "seq.1")
    np.testing.assert_allclose(
        again.annotation.boxes_xyxy, sequence.annotation.boxes_xyxy, atol=0.01
    )
    np.testing.assert_array_equal(again.annotation.track_ids, sequence.annotation.track_ids)
    assert again.annotation.fps == sequence.annotation.fps
    for one, two in zip(again.detections, sequence.detections, strict=True):
        np.testing.assert_array_equal(one.scores, two.scores)
        np.testing.assert_allclose(one.boxes_xyxy, two.boxes_xyxy, atol=1e-4)
    for one, two in zip(again.motions, sequence.motions, strict=True):
        assert one.problem == two.problem
        if two.transform is not None:
            np.testing.assert_allclose(one.transform.matrix, two.transform.matrix, atol=1e-9)


def test_a_jerk_moves_targets_detections_and_scene_alike():
    sequence = make_sequence(replace(CLEAN, speed_px=0.0, camera="roll"), 0)
    jerked = jerk(sequence, np.random.default_rng(1))
    moved = centres_xy(jerked.annotation.boxes_xyxy) - centres_xy(sequence.annotation.boxes_xyxy)
    assert np.hypot(*moved.T).max() > 25
    for frame_index in range(1, 200):
        before, now = (jerked.annotation.rows_at(at) for at in (frame_index - 1, frame_index))
        truth = jerked.annotation
        _, old, new = np.intersect1d(
            truth.track_ids[before], truth.track_ids[now], return_indices=True
        )
        was = centres_xy(truth.boxes_xyxy[before][old]).astype(np.float64)
        carried = jerked.motions[frame_index].transform.apply(was)
        errors = carried - centres_xy(truth.boxes_xyxy[now][new])
        # A target at speed 0 wanders by less than 2 px a frame.
        assert np.abs(errors).max(initial=0) < 2


def test_watching_clutter_counts_every_track():
    all_of_them = Contender(name="all", track=one_track_per_detection)
    rates = watch([all_of_them], 2.0, seconds=1e-9, first_seed=0)
    # Ten seconds of two a frame at 25 frames a second.
    assert rates["all"].rate == pytest.approx(2 * 25 * 3600, rel=0.15)


def scores_of(*values):
    return [
        SequenceScores(
            hota=value,
            so_hota=value,
            idf1=value,
            switches=0,
            false_tracks=0,
            video_seconds=8.0,
            tracking_seconds=1.0,
            num_frames=200,
        )
        for value in values
    ]


def tables_of(folder, scores, kept):
    names = next(iter(scores.values()))
    watched = {2.0: dict.fromkeys(names, HourlyRate.of(0, seconds=3600.0))}
    totals = totals_of(scores, watched, dict.fromkeys(names, 0.4), {}, kept)
    write_tables(folder, scores, totals, {"commit": "abc"}, kept)
    return {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}


def test_contenders_of_an_earlier_run_are_kept_and_compared_anew(tmp_path):
    earlier = {"base": {"old best": scores_of(0.9, 0.88, 0.89), "old": scores_of(0.5, 0.52, 0.51)}}
    before = tables_of(tmp_path, earlier, Kept.nothing())
    assert before["tracking_hota.json"]["rows"] == [["base", "**0.890**", "0.510"]]
    new = {"base": {"old": scores_of(0.7, 0.72, 0.71), "new": scores_of(0.99, 0.98, 0.985)}}
    after = tables_of(tmp_path, new, Kept.beside(tmp_path, ["old", "new"]))
    assert after["tracking_hota.json"]["rows"] == [["base", "0.890", "0.710", "**0.985**"]]
    assert after["tracking.json"]["rows"][0] == before["tracking.json"]["rows"][0]
    totals = after["tracking_totals.json"]
    assert [row[0] for row in totals["rows"]] == ["old best", "old", "new"]
    assert [row[2] for row in totals["rows"]] == ["0 of 1", "0 of 1", "1 of 1"]
    assert totals["columns"] == before["tracking_totals.json"]["columns"]


def test_a_contender_behind_on_every_sequence_is_not_among_the_best():
    found = {
        "best": scores_of(0.9, 0.8, 0.7),
        "equal": scores_of(0.8, 0.9, 0.6),
        "behind": scores_of(0.85, 0.74, 0.65),
    }
    assert best_or_equal(found, "hota") == {"best", "equal"}


def test_mean_of_seeds_has_the_interval_of_student():
    found = Mean.of([0.2, 0.4, 0.6])
    assert found.mean == pytest.approx(0.4)
    # 4.303 is the 97.5 % quantile of t with two degrees of freedom.
    assert found.half_width == pytest.approx(4.303 * 0.2 / np.sqrt(3), rel=1e-3)


def test_a_long_stream_is_measured_stretch_by_stretch():
    stretches = list(endure(250, 100))
    assert [one.num_frames for one in stretches] == [100, 200, 250]
    assert 0 < stretches[0].num_tracks <= stretches[-1].num_tracks
    assert all(one.megabytes > 10 and one.frames_per_second > 0 for one in stretches)


def test_a_long_stream_has_increasing_frames_and_goes_on_after_its_last_part(monkeypatch):
    monkeypatch.setattr(endurance, "NUM_PARTS", 1)
    monkeypatch.setattr(endurance, "PART_FRAMES", 20)
    endurance._part.cache_clear()
    found = list(endurance.frames(50))
    endurance._part.cache_clear()
    assert [one.frame_index for one in found] == list(range(50))
    np.testing.assert_array_equal(found[0].boxes_xyxy, found[40].boxes_xyxy)
