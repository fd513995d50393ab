import numpy as np
import pytest

from stdet.config import EvaluationConfig
from stdet.metrics.detection.hit_rule import CentreDistance
from stdet.metrics.detection.pd_fa import sequence_pd_fa
from stdet.metrics.tracking.clear_identity_hota import count_tracking
from stdet.metrics.tracking.error_events import ErrorEvents, find_errors, match_frame, worst_frames
from stdet.metrics.tracking.linking import identify_truth

CONFIG = EvaluationConfig()
RULE = CentreDistance(CONFIG.pd_radius_px)


def at(x, y):
    return (x - 1.0, y - 1.0, x + 1.0, y + 1.0)


def events_of(misses, false_alarms=None):
    misses = np.array(misses, np.int64)
    zeros = np.zeros_like(misses)
    return ErrorEvents(
        num_misses=misses,
        num_false_alarms=zeros if false_alarms is None else np.array(false_alarms, np.int64),
        num_switches=zeros,
        is_found=np.zeros(0, np.bool_),
    )


@pytest.fixture
def random_result(build):
    """Three targets, one ignored at times, found with gaps, clutter and swapped ids."""

    def make(seed):
        rng = np.random.default_rng(seed)
        truth, ids, ignored, found, tracked = [], [], [], [], []
        for frame in range(25):
            points = [(10 + frame, 10), (50 - frame, 30), (20, 15 + frame)]
            present = [i for i in range(3) if rng.random() < 0.9]
            truth.append([at(*points[i]) for i in present])
            ids.append([i + 1 for i in present])
            ignored.append([bool(i == 2 and rng.random() < 0.3) for i in present])
            hits = [
                (*(np.array(at(*points[i])) + rng.normal(0, 0.8)), rng.uniform(0.2, 1))
                for i in present
                if rng.random() < 0.8
            ]
            clutter = [(*at(*rng.uniform(0, 64, 2)), rng.random()) for _ in range(rng.poisson(1))]
            found.append(hits + clutter)
            shift = 3 * int(rng.random() < 0.2)
            tracked.append([(n + 1 + shift, *box[:4]) for n, box in enumerate(hits)])
        return build.result(
            build.annotation(truth, ids=ids, ignored=ignored),
            build.detections(found),
            build.tracks(tracked),
        )

    return make


@pytest.mark.parametrize("seed", range(6))
def test_events_add_up_to_the_counts_of_the_report(random_result, seed):
    result = random_result(seed)
    events = find_errors(result, CONFIG, confidence=0.4)
    pd_fa = sequence_pd_fa(result, rule=RULE, confidence=0.4)
    tracking = count_tracking(result.annotation, result.tracks, gate_px=CONFIG.track_gate_px)
    assert events.num_misses.sum() == pd_fa.num_targets - pd_fa.num_hits > 0
    assert events.num_false_alarms.sum() == pd_fa.num_false_alarms > 0
    assert events.num_switches.sum() == tracking.id_switches > 0
    is_counted = ~result.annotation.is_ignored
    assert events.is_found[is_counted].sum() == pd_fa.num_hits
    assert len(events.num_misses) == len(events.num_switches) == 25


def test_switches_of_truth_without_identities_follow_the_linked_truth(build):
    boxes = [[at(10 + n, 10), at(40, 40)] for n in range(6)]
    tracked = [[(1 if n < 3 else 7, *at(10 + n, 10)), (2, *at(40, 40))] for n in range(6)]
    result = build.result(
        build.annotation(boxes), build.detections([[] for _ in boxes]), build.tracks(tracked)
    )
    events = find_errors(result, CONFIG, confidence=0.5)
    linked = identify_truth(result.annotation, link_gate_px=CONFIG.link_gate_px).annotation
    assert count_tracking(linked, result.tracks, gate_px=CONFIG.track_gate_px).id_switches == 1
    assert events.num_switches.tolist() == [0, 0, 0, 1, 0, 0]


def test_miss_and_false_alarm_lie_in_their_frames(build):
    # Frame 0: a hit. 1: too far, so a miss and a false alarm. 2: below the threshold. 3: no truth.
    result = build.result(
        build.annotation([[at(10, 10)], [at(10, 10)], [at(10, 10)], []]),
        build.detections(
            [[(*at(11, 10), 0.9)], [(*at(13, 10), 0.9)], [(*at(10, 10), 0.1)], [(*at(5, 5), 0.9)]]
        ),
    )
    events = find_errors(result, CONFIG, confidence=0.5)
    assert events.num_misses.tolist() == [0, 1, 1, 0]
    assert events.num_false_alarms.tolist() == [0, 1, 0, 1]
    assert events.num_switches.tolist() == [0, 0, 0, 0]
    assert events.is_found.tolist() == [True, False, False]
    matches = match_frame(result, 3, rule=RULE, confidence=0.5)
    assert matches.is_false_alarm.tolist() == [True]
    assert matches.is_found.shape == (0,)


def test_ignored_truth_is_neither_miss_nor_false_alarm(build):
    result = build.result(
        build.annotation([[at(10, 10)], [at(10, 10)]], ignored=[[True], [True]]),
        build.detections([[(*at(10, 10), 0.9)], []]),
    )
    events = find_errors(result, CONFIG, confidence=0.5)
    assert events.num_detection_errors.tolist() == [0, 0]


def test_worst_frames_are_spread_over_sequences_and_kept_apart():
    many, few = events_of([9] * 200), events_of([0] * 50 + [1] + [0] * 149)
    chosen = worst_frames([many, few, events_of([0] * 10)], limit=4)
    assert chosen == [(0, 0), (0, 99), (0, 199), (1, 50)]


def test_worse_frames_come_before_distant_ones_but_not_next_to_each_other():
    errors = [1] * 300
    errors[100:104] = [5, 6, 5, 5]
    assert worst_frames([events_of(errors)], limit=3) == [(0, 0), (0, 101), (0, 299)]


def test_worst_frames_prefer_more_errors_of_either_kind():
    chosen = worst_frames([events_of([1, 0, 2], [0, 4, 0])], limit=2, min_gap=1)
    assert chosen == [(0, 1), (0, 2)]


def test_only_the_worst_sequences_show_where_there_are_more_than_the_limit():
    events = [events_of([n]) for n in range(40)]
    assert worst_frames(events, limit=3) == [(37, 0), (38, 0), (39, 0)]


def test_flawless_sequences_have_no_worst_frames():
    assert worst_frames([events_of([0, 0]), events_of([])], limit=5) == []
