"""Left-out sequences: transferred operating points, and all folds scored together."""

import math
from dataclasses import asdict, replace

import pytest
from sequence_results import annotation, detections, result

from stdet.config import EvaluationConfig, TrackerConfig
from stdet.evaluation.from_model import track_results
from stdet.evaluation.left_out import LeftOutPart, score_left_out, transferred_thresholds
from stdet.evaluation.report import evaluate_sequences
from stdet.metrics.counts import without_nan

TARGET, CLUTTER = (10, 10, 14, 14), (40, 40, 44, 44)
NUM_FRAMES = 20
FRAMES = TrackerConfig(lookahead=None)


def part(fold, *, hits, score, clutter=(), source="daub", shift=0, **rules):
    """Targets in the first frames, found with one score, and a false alarm per score given."""
    truth = [[TARGET]] * hits + [[]] * (NUM_FRAMES - hits)
    place = tuple(side + shift * (axis % 2) for axis, side in enumerate(TARGET))
    found = [[(*place, score)] if frame else [] for frame in truth]
    for frame, false in enumerate(clutter):
        found[frame] = [*found[frame], (*CLUTTER, false)]
    return LeftOutPart(
        fold=fold,
        source=source,
        results=(result(annotation(truth, name=f"{source}_{fold}"), detections(found)),),
        rules=EvaluationConfig(**rules),
        has_extents=True,
    )


PARTS = [
    part("a", hits=10, score=0.9, clutter=[0.95, 0.95, 0.6, 0.6]),
    part("b", hits=10, score=0.8, clutter=[0.5]),
    part("c", hits=5, score=0.3),
]


def plain(scores):
    """Scores that compare, NaN with NaN too."""
    return without_nan(asdict(scores))


def score(parts, confidence=0.55, excluded=()):
    return score_left_out(
        parts, FRAMES, confidence=confidence, excluded=dict.fromkeys(["daub"], excluded)
    )


def test_operating_points_are_those_of_the_other_folds_at_two_false_alarms_in_forty_frames():
    # a: b and c have one false alarm in all, so their weakest detection decides.
    # b: a has two at 0.95 and four from 0.6 on; between them its hits at 0.9 are the lowest.
    # c: the same, with b's hits at 0.8 below those of a.
    assert transferred_thresholds(PARTS) == pytest.approx([0.3, 0.9, 0.8])


def test_operating_point_is_one_where_the_strongest_detections_of_others_are_false():
    loud = part("a", hits=10, score=0.9, clutter=[0.95] * 3)
    assert transferred_thresholds([loud, PARTS[1], PARTS[2]])[1:] == [1.0, 1.0]


def test_other_sources_choose_where_no_other_fold_has_any_of_the_source():
    parts = [PARTS[0], part("b", hits=10, score=0.8, source="sky")]
    # In the 20 frames of a, one false alarm is allowed and the two at 0.95 are more.
    assert transferred_thresholds(parts) == pytest.approx([0.8, 1.0])


def test_folds_and_their_pool_are_counted_by_hand():
    (scores,) = score(PARTS)
    points = {name: fold.transferred.pd_fa for name, fold in scores.folds.items()}
    assert [p.pd for p in points.values()] == [1.0, 0.0, 0.0]
    assert [p.false_alarms_per_frame for p in points.values()] == [4 / 20, 0, 0]
    # Each fold keeps its operating point in the pool: 10 of 25 targets, 4 false alarms.
    pooled = scores.pooled.transferred
    assert pooled.pd_fa.pd == 10 / 25
    assert pooled.pd_fa.false_alarms_per_frame == 4 / 60
    assert math.isnan(scores.pooled.confidence)
    # One threshold over all: 3 false alarms in 60 frames pass 0.95, 0.9 and 0.8, not 0.6.
    assert pooled.pd_fa.roc.pd_at_false_alarms_per_frame["0.05"] == 20 / 25
    alone = [
        f.transferred.pd_fa.roc.pd_at_false_alarms_per_frame["0.05"] for f in scores.folds.values()
    ]
    assert alone == [0.0, 1.0, 1.0]
    stored = scores.pooled.stored.pd_fa
    assert (stored.pd, stored.false_alarms_per_frame) == (20 / 25, 4 / 60)


def test_pool_at_one_operating_point_is_the_evaluation_of_all_sequences():
    (scores,) = score(PARTS)
    results = [r for p in PARTS for r in p.results]
    whole = evaluate_sequences(
        track_results(results, FRAMES, confidence=0.55, as_detected=results),
        EvaluationConfig(),
        confidence=0.55,
    )
    assert plain(scores.pooled.stored) == plain(whole.overall)
    assert plain(scores.reports["b"].overall) == plain(scores.folds["b"].transferred)
    assert scores.reports["b"].rules.confidence == scores.folds["b"].confidence
    assert score(PARTS, confidence=None)[0].pooled.stored is None


def test_what_the_configuration_excludes_is_pooled_apart():
    (scores,) = score(PARTS, excluded=("daub_a",))
    included = scores.pooled_included
    assert (scores.pooled.num_sequences, included.num_sequences, included.num_frames) == (3, 2, 40)
    # Without a: 10 of b and 5 of c, none above 0.9 and 0.8.
    assert included.transferred.pd_fa.pd == 0
    assert included.stored.pd_fa.pd == 10 / 15
    assert score(PARTS)[0].pooled_included is None
    assert score(PARTS, excluded=("daub_a", "daub_b", "daub_c"))[0].pooled_included is None


def test_sources_have_rules_and_operating_points_of_their_own():
    # Found 5 px beside the target: a hit by the rules of sky alone.
    beside = [
        part("a", hits=10, score=0.7, source="sky", shift=5, pd_radius_px=6.0),
        part("b", hits=10, score=0.6, source="sky", shift=5, pd_radius_px=6.0),
    ]
    daub, sky = score([*PARTS, *beside])
    assert (daub.source, sky.source) == ("daub", "sky")
    assert sky.pooled.stored.pd_fa.pd == 1
    assert plain(daub.pooled.transferred) == plain(score(PARTS)[0].pooled.transferred)
    assert transferred_thresholds([*PARTS, *beside]) == pytest.approx([0.3, 0.9, 0.8, 0.6, 0.7])
    strict = [replace(p, rules=EvaluationConfig()) for p in beside]
    assert score(strict)[0].pooled.stored.pd_fa.pd == 0


def test_track_before_detect_scores_are_used_where_the_tracker_looks_ahead():
    (alone,) = score(PARTS)
    (paths,) = score_left_out(PARTS, TrackerConfig(lookahead=5), confidence=0.55, excluded={})
    assert [f.confidence for f in paths.folds.values()] != [
        f.confidence for f in alone.folds.values()
    ]
