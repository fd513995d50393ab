import csv
import dataclasses
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from stdet.config import EvaluationConfig
from stdet.errors import DataError
from stdet.evaluation.report import evaluate_sequences, write_report
from stdet.report.comparison import compare_runs, read_run


def at(x, y):
    return (x - 2.0, y - 2.0, x + 2.0, y + 2.0)


@pytest.fixture
def save(build, tmp_path):
    """Evaluate a detector that finds the target in a share of each sequence's frames; save it."""

    def run(name, shares, **rules):
        results = []
        for number, share in enumerate(shares):
            hits = (np.arange(20) < round(20 * share)).tolist()
            results.append(
                build.result(
                    build.annotation([[at(20, 20)]] * 20, ids=[[1]] * 20, name=f"s{number}"),
                    build.detections([[(*at(20, 20), 0.9)] * hit for hit in hits]),
                    build.tracks([[(1, *at(20, 20))] * hit for hit in hits]),
                )
            )
        path = tmp_path / f"{name}.json"
        report = evaluate_sequences(results, EvaluationConfig(**rules), confidence=0.5)
        write_report(path, report)
        return path

    return run


def cells_of(table, label):
    return next(row for row in table.rows if row[0] == label)


def test_difference_that_all_sequences_share_is_clear_though_they_differ_widely(save):
    shares = [0.2, 0.9, 0.5, 0.3, 0.8, 0.4]
    paths = [save("base", shares), save("better", [share + 0.1 for share in shares])]
    table = compare_runs([read_run(path) for path in paths])
    _, base, better, difference, interval = cells_of(table, "Pd")
    assert (base, better, difference) == ("0.5167", "0.6167", "+0.1000 *")
    assert interval == "+0.1000 to +0.1000"
    # Unpaired, the two intervals overlap by far.
    intervals = [json.loads(path.read_text())["intervals"]["pd_fa.pd"] for path in paths]
    assert intervals[0][1] > intervals[1][0]
    assert table.notes[1] == "Best to worst by mean rank: better, base."


def test_difference_of_changing_sign_is_not_clear(save):
    runs = [read_run(save("a", [0.2, 0.8, 0.5])), read_run(save("b", [0.8, 0.2, 0.55]))]
    _, _, _, difference, interval = cells_of(compare_runs(runs), "Pd")
    assert not difference.endswith("*")
    low, high = map(float, re.findall(r"[-+.\d]+", interval))
    assert low < 0 < high


def test_mean_rank_counts_false_alarms_downwards_and_shares_ties(save):
    runs = [
        read_run(save(name, [share] * 2)) for name, share in [("a", 0.5), ("b", 0.5), ("c", 1.0)]
    ]
    ranks = cells_of(compare_runs(runs), "mean rank")
    # c is first in 9 of 14 numbers. Precision, false alarms (there are none), frames to confirm
    # and purity tie all; without a frame rate there are no false tracks per hour.
    assert (ranks[1], ranks[2], ranks[5]) == ("2.32", "2.32", "1.36")


@pytest.mark.parametrize("style", ["text", "markdown", "latex", "csv"])
def test_table_in_every_style_holds_every_number(save, style):
    runs = [read_run(save("a_1", [0.2, 0.8])), read_run(save("b", [0.8, 0.2]))]
    text = compare_runs(runs).render(style)
    for number in ("0.5000", "mean rank"):
        assert number in text
    assert {"markdown": "| --- |", "latex": r"\midrule", "csv": ",a_1,b", "text": "Paired"}[
        style
    ] in text
    if style == "latex":
        assert r"a\_1" in text
        assert r"95 \% interval" in text


def test_runs_that_do_not_compare_are_refused(save, tmp_path):
    base = read_run(save("base", [0.5, 0.6]))
    with pytest.raises(DataError, match=r"other sequences than base \(only one has s2\)"):
        compare_runs([base, read_run(save("more", [0.5, 0.6, 0.7]))])
    with pytest.raises(DataError, match="has pd_radius_px 5, base has 3"):
        compare_runs([base, read_run(save("rules", [0.5, 0.6], pd_radius_px=5))])
    with pytest.raises(DataError, match="has hit_rule iou, base has centre_distance"):
        compare_runs([base, read_run(save("iou", [0.5, 0.6], hit_rule="iou"))])
    with pytest.raises(DataError, match="names repeat"):
        compare_runs([base, base])
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(DataError, match="is no report of boxes"):
        read_run(tmp_path / "other.json")
    with pytest.raises(DataError, match=r"none\.json: does not exist"):
        read_run(tmp_path / "none.json")


def test_runs_on_other_label_lists_are_refused_by_the_names_of_the_lists(save, tmp_path):
    def labelled(name, labels):
        path = save(name, [0.5, 0.6])
        content = json.loads(path.read_text())
        content["rules"]["labels"] = labels
        path.write_text(json.dumps(content))
        return read_run(path)

    usual, hard, own = (
        labelled(name, labels)
        for name, labels in (("usual", "IRDST test"), ("hard", "IRDST-R test"), ("own", ""))
    )
    with pytest.raises(
        DataError,
        match=r"hard: was evaluated on IRDST-R test, usual on IRDST test; numbers on different "
        r"label lists do not compare",
    ):
        compare_runs([usual, hard])
    with pytest.raises(
        DataError, match=r"own: was evaluated on no published list, usual on IRDST"
    ):
        compare_runs([usual, own])
    table = compare_runs([usual, replace(usual, name="again")])
    assert table.notes[-1] == "Labels: IRDST test."


def test_runs_whose_boxes_alone_differ_are_refused(save):
    one, other = read_run(save("one", [0.5, 0.6])), read_run(save("other", [0.5, 0.6]))
    compare_runs([one, other])
    with pytest.raises(DataError, match=r"other: was evaluated on other labels than one: .*boxes"):
        compare_runs([one, replace(other, truth_sha256="0" * 64)])


def test_one_sequence_compares_without_intervals(save):
    table = compare_runs([read_run(save("a", [0.5])), read_run(save("b", [0.9]))])
    assert cells_of(table, "Pd")[3:] == ("+0.4000", "")
    assert "No intervals" in table.render("text")


@pytest.mark.parametrize("name", ["=1+1", "+A1", "-A1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"])
def test_names_that_a_spreadsheet_would_run_are_quoted_and_numbers_are_not(save, name):
    runs = [read_run(save("a", [0.2, 0.8])), read_run(save("b", [0.8, 0.1]))]
    runs = [dataclasses.replace(runs[0], name=name), runs[1]]
    rows = list(csv.reader(io.StringIO(compare_runs(runs).render("csv"))))
    # An escaped control character begins no formula.
    assert rows[0][1] == (r"\t=1" if name == "\t=1" else f"'{name}")
    cells = [cell for row in rows[1:] for cell in row[1:] if cell and "rank" not in row[0]]
    assert any(cell.startswith(("+", "-")) for cell in cells)
    assert not any(cell.startswith("'") for cell in cells)
