import pytest

from stdet.config import EvaluationConfig
from stdet.evaluation.crosswalk import score_protocols
from stdet.evaluation.report import evaluate_sequences
from stdet.report.crosswalk_table import crosswalk_table


@pytest.fixture
def table(build):
    boxes = [(10, 10, 18, 18), (20, 20, 40, 40)]
    results = [
        build.result(build.annotation([[box]], name=name), build.detections([[(*box, 0.9)]]))
        for name, box in zip(["small", "large"], boxes, strict=True)
    ]
    config = EvaluationConfig()
    report = evaluate_sequences(results, config, confidence=0.5)
    return crosswalk_table(score_protocols(results, report, config, names=["coco", "dnanet"]))


def test_rows_name_protocol_and_number_and_columns_the_sequences(table):
    assert table.header == ("", "overall", "small", "large")
    assert table.rows[:3] == (
        ("coco: AP50", "1.0000", "1.0000", "1.0000"),
        ("coco: AP50:95", "1.0000", "1.0000", "1.0000"),
        ("dnanet: Pd", "-", "1.0000", "-"),
    )


def test_notes_give_the_threshold_the_masks_and_the_reasons(table):
    threshold, masks, reason = table.notes
    assert "score >= 0.5" in threshold
    assert "1 true boxes, 1 components" in masks
    assert reason.startswith("No dnanet: ")
    assert reason.endswith("(large).")


@pytest.mark.parametrize("style", ["text", "markdown", "latex", "csv"])
def test_every_style_holds_the_numbers(table, style):
    assert "coco: AP50" in table.render(style)
