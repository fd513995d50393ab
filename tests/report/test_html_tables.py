import math
from types import SimpleNamespace

import pytest

from stdet.report.html_tables import summary_tables


def rows_of(scores, intervals=None):
    """Return the cells of each score, by its label."""
    report = SimpleNamespace(to_dict=lambda: scores, rules=SimpleNamespace(track_gate_px=6.5))
    tables = summary_tables(report, intervals or {})
    assert all(len(row) == len(table.header) for table in tables for row in table.rows)
    return {label: cells for table in tables for label, *cells in table.rows}


def test_every_tracking_score_that_depends_on_the_gate_by_definition_names_it():
    rows = rows_of({"tracking": {"hota": 0.5, "deta": 0.25, "assa": 0.125}})
    assert rows == {
        "HOTA (gate 6.5 px)": ["0.5000"],
        "DetA (gate 6.5 px)": ["0.2500"],
        "AssA (gate 6.5 px)": ["0.1250"],
    }


def test_scores_without_a_label_appear_under_their_dotted_name():
    scores = {
        "detection": {"map50": 0.5, "by_size": {"tiny": 0.25}},
        "speed": {"frames": 7},
        "rules": {"confidence": 0.5},
        "per_sequence": {"a": {"detection": {"map50": 0.75}}},
        "names": ["not a score"],
    }
    assert rows_of(scores) == {
        "mAP50": ["0.5000"],
        "detection.by_size.tiny": ["0.2500"],
        "speed.frames": ["7"],
    }


@pytest.mark.parametrize(
    ("value", "printed"),
    [(3, "3"), (0.0, "0.0000"), (1.0, "1.0000"), (0.00042, "0.00042"), (None, "-")],
)
def test_numbers_are_printed_as_what_they_are(value, printed):
    assert rows_of({"pd_fa": {"false_alarms_per_frame": value}}) == {
        "false alarms per frame": [printed]
    }


def test_intervals_have_the_unit_of_their_score_and_dashes_where_there_is_none():
    scores = {"pd_fa": {"pd": 0.5, "false_alarms_per_pixel": 2e-6, "false_area_fraction": None}}
    intervals = {"pd_fa.false_alarms_per_pixel": (1e-6, 3e-6), "pd_fa.pd": (math.nan, math.nan)}
    assert rows_of(scores, intervals) == {
        "Pd": ["0.5000", "-"],
        "false alarms per million pixels": ["2.0000", "1.0000 to 3.0000"],
        "false area, millionths of the frames": ["-", "-"],
    }
