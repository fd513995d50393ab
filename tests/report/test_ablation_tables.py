import dataclasses
import math

import numpy as np
import pytest

from stdet.errors import DataError
from stdet.metrics.bootstrap import HEADLINES, NUM_RESAMPLES
from stdet.report.ablation_tables import (
    Cost,
    Variant,
    full_table,
    join_folds,
    score_variants,
    summary_table,
)
from stdet.report.comparison import Run

COST = Cost(parameters=1234, gflop_per_frame=0.5, gflop_per_clip=2.0, frames_per_second=25.0)


def _run(value, *, noise=None, sequences=("a", "b")):
    resamples = {} if noise is None else {key: value + noise for key in HEADLINES}
    return Run(
        name="run",
        scores=dict.fromkeys(HEADLINES, value),
        sequences=sequences,
        resamples=resamples,
        rules=dict.fromkeys(
            ("pd_radius_px", "track_gate_px", "link_gate_px", "num_frames", "num_targets"), 1.0
        ),
        labels="",
        truth_sha256="".join(sequences),
    )


def _variants(first, second, *, noise=None):
    return [
        Variant(name=name, runs={n: _run(v, noise=noise) for n, v in enumerate(values)}, cost=COST)
        for name, values in (("base", first), ("new", second))
    ]


def test_means_deviations_and_differences_are_those_over_seeds():
    # Seeds 0.5, 0.7: mean 0.6, deviation sqrt(2 x 0.01) = 0.1414. Differences 0.1 and 0.2.
    scores = score_variants(_variants([0.5, 0.7], [0.6, 0.9]))
    number, base = scores["new"]["pd_fa.pd"], scores["base"]["pd_fa.pd"]
    assert base.mean == pytest.approx(0.6)
    assert base.deviation == pytest.approx(math.sqrt(0.02))
    assert number.difference == pytest.approx(0.15)
    assert math.isnan(base.difference)
    assert (number.interval, number.difference_interval) == (None, None)


def test_one_seed_has_no_deviation():
    scores = score_variants(_variants([0.5], [0.6]))
    assert math.isnan(scores["new"]["pd_fa.pd"].deviation)


def test_what_sequences_have_in_common_cancels_in_the_difference():
    noise = np.random.default_rng(0).normal(0, 0.1, NUM_RESAMPLES)
    number = score_variants(_variants([0.5, 0.5], [0.6, 0.6], noise=noise))["new"]["pd_fa.pd"]
    low, high = number.interval
    assert high - low == pytest.approx(2 * 1.96 * 0.1, rel=0.1)
    assert number.difference_interval == pytest.approx((0.1, 0.1))
    assert number.is_clear


def test_seeds_that_disagree_widen_the_interval_of_the_difference():
    noise = np.zeros(NUM_RESAMPLES)
    # Differences -0.1 and +0.3: a resample holds both, or one of them twice.
    number = score_variants(_variants([0.5, 0.5], [0.4, 0.8], noise=noise))["new"]["pd_fa.pd"]
    assert number.difference == pytest.approx(0.1)
    assert number.difference_interval == pytest.approx((-0.1, 0.3))
    assert not number.is_clear


def test_runs_on_other_sequences_and_other_seeds_are_refused():
    base, new = _variants([0.5, 0.7], [0.6, 0.9])
    other = dataclasses.replace(new, runs={0: new.runs[0], 1: _run(0.5, sequences=("a", "c"))})
    with pytest.raises(DataError, match="other sequences"):
        score_variants([base, other])
    with pytest.raises(DataError, match="new: has other seeds than base"):
        score_variants([base, dataclasses.replace(new, runs={0: new.runs[0]})])


def test_tables_hold_cost_mean_and_difference():
    noise = np.zeros(NUM_RESAMPLES)
    variants = _variants([0.5, 0.5], [0.6, 0.6], noise=noise)
    scores = score_variants(variants)
    table = summary_table(variants, scores, ["Last note."])
    assert table.rows[0] == (
        "base", "1,234", "0.500", "25.0", "0.5000", "0.5000 to 0.5000", "", ""
    )  # fmt: skip
    assert table.rows[1][4:] == (
        "0.6000", "0.6000 to 0.6000", "+0.1000 *", "+0.1000 to +0.1000"
    )  # fmt: skip
    assert "2 seeds and 2 sequences; so few" in table.notes[1]
    assert table.notes[-1] == "Last note."
    everything = full_table(variants, scores)
    assert len(everything.rows) == 2 * len(HEADLINES)
    assert everything.rows[0][:4] == ("base", "mAP50", "0.5000", "0.0000")


def test_folds_are_averaged_and_drawn_like_sequences():
    folds = [_run(0.2, sequences=("a",)), _run(0.8, sequences=("b",)), _run(0.5, sequences=("c",))]
    joined = join_folds(folds)
    assert joined.scores["detection.map50"] == pytest.approx(0.5)
    assert joined.sequences == ("a", "b", "c")
    assert joined.rules["num_frames"] == 3.0
    assert joined.rules["pd_radius_px"] == 1.0
    drawn = joined.resamples["detection.map50"]
    # Means of three draws of 0.2, 0.5, 0.8: all 0.2 is the least there can be.
    assert drawn.shape == (NUM_RESAMPLES,)
    assert drawn.min() == pytest.approx(0.2)
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    assert len(np.unique(drawn.round(6))) == 7


def test_what_is_equal_in_every_fold_has_no_spread_in_the_difference():
    base = join_folds([_run(0.2), _run(0.8)])
    new = join_folds([_run(0.3), _run(0.9)])
    variants = [
        Variant(name=name, runs={0: run, 1: run}, cost=COST)
        for name, run in (("base", base), ("new", new))
    ]
    number = score_variants(variants)["new"]["detection.map50"]
    assert number.difference_interval == pytest.approx((0.1, 0.1))
    assert number.interval[1] - number.interval[0] > 0.3


def test_fold_whose_number_is_undefined_leaves_the_mean_undefined():
    joined = join_folds([_run(0.2), _run(math.nan)])
    assert math.isnan(joined.scores["detection.map50"])
