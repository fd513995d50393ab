from dataclasses import replace

import numpy as np
import pytest

from stdet.config import EvaluationConfig
from stdet.evaluation.report import evaluate_sequences
from stdet.metrics.bootstrap import HEADLINES, NUM_RESAMPLES, bootstrap, draw_resamples
from stdet.metrics.summary import summarise
from stdet.report.tables import score_of

CONFIG = EvaluationConfig(fps=25.0)


def at(x, y):
    return (x - 2.0, y - 2.0, x + 2.0, y + 2.0)


def sequence(build, name, *, hit_share, num_frames=10, seed=0):
    """One target, tracked and detected in the first part of the frames, and some clutter."""
    rng = np.random.default_rng(seed)
    is_hit = (np.arange(num_frames) < hit_share * num_frames).tolist()
    return build.result(
        build.annotation([[at(20, 20)]] * num_frames, ids=[[1]] * num_frames, name=name),
        build.detections(
            [
                [(*at(20, 20), 0.9)] * hit + [(*at(50, 50), float(rng.uniform(0.2, 0.8)))]
                for hit in is_hit
            ]
        ),
        build.tracks([[(1, *at(20, 20))] * hit for hit in is_hit]),
    )


def test_resamples_hold_as_many_sequences_as_there_are_and_repeat():
    draws = draw_resamples(5)
    assert draws.shape == (NUM_RESAMPLES, 5)
    assert (draws.sum(axis=1) == 5).all()
    assert draws.max() > 1
    np.testing.assert_array_equal(draws, draw_resamples(5))
    np.testing.assert_allclose(draws.mean(axis=0), 1, atol=0.15)


def test_values_equal_scoring_the_resample_itself(build):
    results = [
        sequence(build, name, hit_share=share, seed=n)
        for n, (name, share) in enumerate([("a", 0.9), ("b", 0.4), ("c", 0.0)])
    ]
    # Every target is 4 x 4 px, so that the scale of SO-HOTA is that of every resample too.
    found = bootstrap(
        [summarise(result, CONFIG, confidence=0.5, so_scale_px=4.0) for result in results]
    )
    draws = draw_resamples(3)
    for row in (0, 1, 2, 3):
        # Copies need names of their own.
        resample = [
            replace(result, annotation=replace(result.annotation, name=f"{n}{copy}"))
            for n, (result, count) in enumerate(zip(results, draws[row], strict=True))
            for copy in range(count)
        ]
        scores = evaluate_sequences(resample, CONFIG, confidence=0.5).overall
        for key in HEADLINES:
            expected = score_of(scores, key)
            assert found.values[key][row] == pytest.approx(expected, abs=1e-9, nan_ok=True), key


def test_interval_holds_the_value_and_grows_with_the_spread(build):
    def width(shares):
        results = [
            sequence(build, f"s{n:02}", hit_share=share, seed=n) for n, share in enumerate(shares)
        ]
        report = evaluate_sequences(results, CONFIG, confidence=0.5)
        low, high = report.bootstrap.intervals()["pd_fa.pd"]
        assert low <= report.overall.pd_fa.pd <= high
        return high - low

    assert width([0.5] * 8) == 0
    assert width([0.4, 0.6] * 4) < width([0.1, 0.9] * 4)


def test_one_sequence_has_no_interval_and_order_does_not_matter(build):
    one = sequence(build, "a", hit_share=0.5)
    assert evaluate_sequences([one], CONFIG, confidence=0.5).bootstrap.intervals() == {}
    two = sequence(build, "b", hit_share=0.9)
    intervals = [
        evaluate_sequences(pair, CONFIG, confidence=0.5).bootstrap.intervals()
        for pair in ([one, two], [two, one])
    ]
    assert intervals[0] == intervals[1]
    assert intervals[0].keys() == HEADLINES.keys()
