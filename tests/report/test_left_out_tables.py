"""Rows of folds, their mean and their pool, over seeds."""

import json

import pytest
from sequence_results import annotation, detections, result

from stdet.config import EvaluationConfig, TrackerConfig
from stdet.evaluation.left_out import LeftOutPart, score_left_out
from stdet.metrics.counts import without_nan
from stdet.report.left_out_tables import left_out_content, left_out_table, stored_point_table

TARGET = (10, 10, 14, 14)


def scores(found_in, *, excluded=(), has_extents=True, confidence=0.5, **rules):
    """Two folds of ten frames, in each of which a target is found in the first so many."""
    parts = []
    for fold, num_found in found_in.items():
        found = [[(*TARGET, 0.9)] if frame < num_found else [] for frame in range(10)]
        made = result(annotation([[TARGET]] * 10, name=fold), detections(found))
        parts.append(
            LeftOutPart(
                fold=fold,
                source="sky",
                results=(made,),
                rules=EvaluationConfig(**rules),
                has_extents=has_extents,
            )
        )
    return score_left_out(
        parts,
        TrackerConfig(lookahead=None),
        confidence=confidence,
        excluded={"sky": excluded},
    )


def rows(table):
    return {row[0]: dict(zip(table.header[1:], row[1:], strict=True)) for row in table.rows}


def test_rows_are_folds_their_mean_and_their_pool_with_means_over_seeds():
    runs = {0: scores({"a": 10, "b": 4}), 1: scores({"a": 8, "b": 4}, excluded=())}
    table = left_out_table({"n": runs})
    found = rows(table)
    assert list(found) == ["sky, a", "sky, b", "sky, mean of 2 folds", "sky, pooled, 2 sequences"]
    assert [row["frames"] for row in found.values()] == ["10", "10", "20", "20"]
    assert [row["Pd"] for row in found.values()] == ["0.9000", "0.4000", "0.6500", "0.6500"]
    first = found["sky, a"]
    assert (first["lowest seed"], first["highest seed"]) == ("0.8000", "1.0000")
    assert first["score"] == "0.9000"
    assert found["sky, pooled, 2 sequences"]["score"] == "-"
    assert "0.05 false alarms per frame" in table.notes[0]


def test_variants_are_named_where_there_are_several_and_loose_boxes_have_no_map50():
    runs = {0: scores({"a": 10, "b": 4}, excluded=("a",), has_extents=False)}
    found = rows(left_out_table({"n": runs, "s": runs}))
    assert list(found)[-1] == "s: sky, pooled, 1 not excluded from training"
    assert {row["mAP50"] for row in found.values()} == {"-"}
    assert len(found) == 10


def test_stored_point_has_the_range_of_seeds():
    runs = {0: scores({"a": 10, "b": 4}), 1: scores({"a": 8, "b": 4})}
    table = stored_point_table({"n": runs}, confidence=0.5)
    assert rows(table)["sky, pooled, 2 sequences"]["Pd"] == "0.6000 to 0.7000"
    assert (
        rows(stored_point_table({"n": {0: runs[0]}}, confidence=0.5))["sky, pooled, 2 sequences"][
            "Pd"
        ]
        == "0.7000"
    )
    without = {0: scores({"a": 10, "b": 4}, confidence=None)}
    assert stored_point_table({"n": without}, confidence=0.5).rows == ()


def test_json_has_every_seed():
    runs = {0: scores({"a": 10, "b": 4}), 1: scores({"a": 8, "b": 4})}
    content = json.loads(json.dumps(without_nan(left_out_content({"n": runs}))))["n"]
    assert content.keys() == {"0", "1"}
    pooled = content["1"]["transferred"]["sky, pooled, 2 sequences"]
    assert pooled["num_frames"] == 20
    assert pooled["pd_fa.pd"] == pytest.approx(0.6)
    assert pooled["confidence"] is None
    assert content["0"]["stored"]["sky, pooled, 2 sequences"]["pd_fa.pd"] == pytest.approx(0.7)


def test_pd_is_given_at_the_rates_of_the_rules():
    runs = {0: scores({"a": 10, "b": 4}, pd_at_false_alarms=(0.5, 2.0))}
    header = left_out_table({"n": runs}).header
    assert header[2:7] == ("mAP50", "Pd at 0.5", "Pd at 2", "lowest seed", "highest seed")
    runs = {0: scores({"a": 10, "b": 4}, pd_at_false_alarms=())}
    assert left_out_table({"n": runs}).header[2:4] == ("mAP50", "score")
