import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from stdet.config import EvaluationConfig
from stdet.errors import DataError
from stdet.evaluation.report import (
    best_confidence,
    evaluate_sequences,
)
from stdet.formats.published_lists import Identified, published_lists
from stdet.metrics.sequence_result import SequenceResult, detections_from_tracks
from stdet.report.tables import report_table
from stdet.types import Tracks

CONFIG = EvaluationConfig()

SCORE_KEYS = {
    "detection": {
        "map50",
        "map50_95",
        "ap_distance",
        "ap_area",
        "precision",
        "recall",
        "f1",
        "legacy",
    },
    "pd_fa": {
        "pd",
        "false_alarms_per_hour",
        "false_alarms_per_frame",
        "false_alarms_per_pixel",
        "false_area_fraction",
        "roc",
    },
    "tracking": {
        "mota",
        "motp_px",
        "idf1",
        "id_switches",
        "hota",
        "deta",
        "assa",
        "loca",
        "so_hota",
        "so_deta",
        "so_assa",
        "so_scale_px",
        "fragmentations",
        "mostly_tracked",
        "mostly_lost",
        "frames_to_confirmation",
        "seconds_to_confirmation",
        "completeness",
        "purity",
        "false_tracks",
        "false_tracks_per_hour",
        "false_tracks_per_1000_frames",
    },
    "tracking_iou": {"mota", "idf1", "id_switches", "hota", "deta", "assa", "loca"},
}


def at(x, y):
    return (x - 1.0, y - 1.0, x + 1.0, y + 1.0)


@pytest.fixture
def results(build):
    """One target tracked over 3 of 4 frames with a false alarm; two targets; no target at all."""
    single = build.result(
        build.annotation([[at(10, 10)], [at(12, 10)], [at(14, 10)], [at(16, 10)]], name="one"),
        build.detections(
            [
                [(*at(10, 10), 0.9)],
                [(*at(12, 10), 0.8), (*at(50, 50), 0.6)],
                [(*at(14, 10), 0.7)],
                [(*at(16, 10), 0.1)],
            ]
        ),
        build.tracks([[(1, *at(10, 10))], [(1, *at(12, 10))], [(1, *at(14, 10))], []]),
    )
    pair = build.result(
        build.annotation([[at(10, 10), at(40, 40)], [at(40, 40), at(10, 10)]], name="two"),
        build.detections([[(*at(10, 10), 0.95)], []]),
        build.tracks([[(1, *at(10, 10))], []]),
    )
    nothing = build.result(
        build.annotation([[], []], name="none"), build.detections([[], [(*at(5, 5), 0.85)]])
    )
    return [single, pair, nothing]


def test_report_has_the_promised_keys_everywhere(results):
    plain = evaluate_sequences(results, CONFIG, confidence=0.5).to_dict()
    assert plain.keys() == {
        *SCORE_KEYS,
        "per_sequence",
        "subsets",
        "rules",
        "intervals",
        "bootstrap",
    }
    assert plain["per_sequence"].keys() == {"one", "two", "none"}
    for scores in [plain, *plain["per_sequence"].values()]:
        for part, keys in SCORE_KEYS.items():
            assert scores[part].keys() == keys
        assert scores["detection"]["legacy"].keys() == {"precision", "recall", "f1"}


def test_hourly_rates_need_a_frame_rate_of_the_files_or_of_the_settings(results):
    unknown = evaluate_sequences(results, CONFIG, confidence=0.5).overall
    assert np.isnan(unknown.pd_fa.false_alarms_per_hour.rate)
    told = evaluate_sequences(results, EvaluationConfig(fps=4.0), confidence=0.5).overall
    # 2 false alarms in 8 frames, 2 seconds.
    assert told.pd_fa.false_alarms_per_hour.rate == pytest.approx(3600)
    assert told.pd_fa.false_alarms_per_hour.high == pytest.approx(7.2247 * 1800, rel=1e-4)
    assert told.pd_fa.roc.pd_at_false_alarms_per_frame.keys() == {"0.05", "0.2", "1"}


def test_pd_is_read_off_at_the_rates_of_the_settings(results):
    config = EvaluationConfig(pd_at_false_alarms=(0, 0.125, 2.5))
    report = evaluate_sequences(results, config, confidence=0.5)
    # Of 8 targets, scores in descending order: hits at 0.95 and 0.9, a false alarm at 0.85, hits
    # at 0.8 and 0.7, a false alarm at 0.6, a hit at 0.1; one false alarm in 8 frames is 0.125.
    assert report.overall.pd_fa.roc.pd_at_false_alarms_per_frame == {
        "0": 2 / 8,
        "0.125": 4 / 8,
        "2.5": 5 / 8,
    }
    lines = report_table(report).render("text").splitlines()
    assert [line.split()[:5] for line in lines if "/frame" in line] == [
        ["Pd", "at", "Fa", "0/frame", "0.2500"],
        ["Pd", "at", "Fa", "0.125/frame", "0.5000"],
        ["Pd", "at", "Fa", "2.5/frame", "0.6250"],
    ]


def test_rule_of_a_hit_changes_pd_and_precision_and_is_named(build):
    # Boxes of 16 x 16 px, 4 px apart: beyond 3 px, within half the box, IoU 12 / 20 = 0.6.
    result = build.result(
        build.annotation([[(10, 10, 26, 26)]]), build.detections([[(14, 10, 30, 26, 0.9)]])
    )
    found = {}
    for settings in (
        {},
        {"hit_rule": "box_share"},
        {"hit_rule": "box_share", "hit_box_share": 0.25},
        {"hit_rule": "iou", "hit_iou": 0.6},
        {"hit_rule": "iou", "hit_iou": 0.61},
    ):
        config = EvaluationConfig(**settings)
        report = evaluate_sequences([result], config, confidence=0.5)
        scores, rules = report.overall, report.to_dict()["rules"]
        assert {name: rules[name] for name in settings} == settings
        assert f"hits at {report.rules.hit}." in report_table(report).notes[0]
        assert scores.pd_fa.pd == scores.detection.precision == scores.detection.f1
        assert scores.pd_fa.false_alarms_per_frame == 1 - scores.pd_fa.pd
        assert scores.pd_fa.roc.partial_area == scores.pd_fa.pd
        # Without any hit no threshold is better than another.
        assert (best_confidence([result], config) == 1) == (scores.pd_fa.pd == 0)
        found[report.rules.hit] = scores.pd_fa.pd
    assert list(found.values()) == [0, 1, 0, 1, 0]


def test_report_numbers_counted_by_hand(results):
    plain = evaluate_sequences(results, CONFIG, confidence=0.5).to_dict()
    one = plain["per_sequence"]["one"]
    # 3 hits of 4, one false alarm of 2x2 px in 4 frames of 64x64.
    assert one["pd_fa"]["pd"] == one["detection"]["recall"] == 0.75
    assert one["detection"]["precision"] == one["detection"]["f1"] == 0.75
    assert one["pd_fa"]["false_alarms_per_frame"] == 0.25
    assert one["pd_fa"]["false_area_fraction"] == 4 / (4 * 64 * 64)
    assert one["tracking"]["mota"] == 0.75
    assert one["tracking"]["idf1"] == pytest.approx(6 / 7)
    assert one["tracking"]["motp_px"] == 0
    # Overall: 4 hits of 8 targets, 2 false alarms in 8 frames, tracks 4 of 8 without errors.
    assert plain["pd_fa"]["pd"] == 0.5
    assert plain["detection"]["precision"] == pytest.approx(4 / 6)
    assert plain["pd_fa"]["false_alarms_per_frame"] == 0.25
    assert plain["tracking"]["mota"] == 0.5
    assert len(plain["rules"].pop("truth_sha256")) == 64
    assert plain["rules"] == {
        "confidence": 0.5,
        "hit_rule": "centre_distance",
        "pd_radius_px": 3.0,
        "hit_box_share": 0.5,
        "hit_iou": 0.5,
        "track_gate_px": 8.0,
        "so_scale_px": 2.0,
        "link_gate_px": 30.0,
        "roc_max_false_alarms_per_frame": 1.0,
        "num_frames": 8,
        "num_targets": 8,
        "labels": "",
        "linked_sequences": ["two"],
        "untracked_sequences": [],
    }


def test_report_names_the_published_list_and_says_where_its_frames_are_drawn(build, monkeypatch):
    (known, *_) = published_lists()
    found = Identified(published=known, num_sequences=2, also_in=())
    result = build.result(build.annotation([[(2, 2, 4, 4)]]), build.detections([[]]))
    for published, is_drawn, labels in (
        (found, False, "2 of 10 sequences of DAUB train"),
        (found, True, "drawn frames for the labels of 2 of 10 sequences of DAUB train"),
        (None, True, "drawn frames"),
    ):
        monkeypatch.setattr("stdet.evaluation.report.identify", lambda _, it=published: it)
        report = evaluate_sequences(
            [result], EvaluationConfig(), confidence=0.5, is_drawn=is_drawn
        )
        assert report.rules.labels == labels
        assert report_table(report).notes[0] == f"Labels: {labels}."


def test_so_hota_uses_the_scale_of_all_sequences_and_names_that_of_each(build):
    # Boxes of 2 x 2 and 6 x 6 px: S = sqrt((4 + 36) / 2). Both tracks are 2 px off.
    results = [
        build.result(
            build.annotation([[(10 - half, 10 - half, 10 + half, 10 + half)]], name=name),
            build.detections([[]]),
            build.tracks([[(1, 11, 9, 13, 11)]]),
        )
        for name, half in (("small", 1), ("large", 3))
    ]
    report = evaluate_sequences(results, CONFIG, confidence=0.5)
    scale = np.sqrt(20)
    assert report.rules.so_scale_px == report.overall.tracking.so_scale_px == scale
    # All is 1 up to the similarity exp(-2 / S) = 0.639, which 12 of 19 alphas are below.
    for scores in (report.overall, *report.per_sequence.values()):
        assert scores.tracking.so_hota == pytest.approx(12 / 19)
    each = {name: scores.tracking.so_scale_px for name, scores in report.per_sequence.items()}
    assert each == {"small": 2, "large": 6}
    alone = evaluate_sequences(results[:1], CONFIG, confidence=0.5)
    assert alone.overall.tracking.so_hota == pytest.approx(7 / 19)  # exp(-1) = 0.368.
    assert f"S = {scale:.4g} px" in " ".join(report_table(report).notes)


def test_json_is_valid_and_says_null_where_undefined(results):
    report = evaluate_sequences(results, CONFIG, confidence=0.5)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    nothing = plain["per_sequence"]["none"]
    assert nothing["pd_fa"]["pd"] is None
    assert nothing["detection"]["map50"] is None
    assert nothing["detection"]["legacy"]["precision"] is None
    assert nothing["tracking"]["mota"] is None
    assert nothing["tracking"]["id_switches"] == 0
    assert nothing["pd_fa"]["false_alarms_per_frame"] == 0.5


def test_order_of_sequences_changes_nothing(results):
    one_way = evaluate_sequences(results, CONFIG, confidence=0.5).to_dict()
    other_way = evaluate_sequences(results[::-1], CONFIG, confidence=0.5).to_dict()
    one_way["rules"]["linked_sequences"].sort()
    other_way["rules"]["linked_sequences"].sort()
    assert one_way == other_way


def test_confidence_is_inclusive_for_a_float32_score(results):
    report = evaluate_sequences(results, CONFIG, confidence=0.6)
    assert report.per_sequence["one"].pd_fa.false_alarms_per_frame == 0.25
    report = evaluate_sequences(results, CONFIG, confidence=0.6001)
    assert report.per_sequence["one"].pd_fa.false_alarms_per_frame == 0


def test_table_names_every_sequence_score_and_rule(results):
    table = report_table(evaluate_sequences(results, CONFIG, confidence=0.5)).render("text")
    for text in ("overall", "one", "two", "none", "mAP50", "legacy F1", "HOTA", "ID switches"):
        assert text in table
    assert "score >= 0.5" in table
    assert "centre distance < 3 px" in table
    assert "gate 8 px" in table
    assert "linking the truth (steps up to 30 px): two." in table
    pd_line = next(line for line in table.splitlines() if line.startswith("recall = Pd"))
    # "recall = Pd", overall, "low to high", one, two, none.
    assert pd_line.split()[3] == "0.5000"
    assert pd_line.split()[7:] == ["0.7500", "0.2500", "-"]
    assert "nan" not in table
    assert table.isascii()


def test_table_of_many_sequences_stays_narrow(build):
    results = [
        build.result(build.annotation([[]], name=f"sequence{n}"), build.detections([[]]))
        for n in range(20)
    ]
    table = report_table(evaluate_sequences(results, CONFIG, confidence=0.5)).render("text")
    assert all(f"sequence{n}" in table for n in range(20))
    assert max(len(line) for line in table.splitlines()) <= 120


def test_subset_scores_are_those_of_its_sequences_alone(results):
    subsets = {"without one": ["two", "none"]}
    report = evaluate_sequences(results, CONFIG, confidence=0.5, subsets=subsets)
    alone = evaluate_sequences(results[1:], CONFIG, confidence=0.5)
    plain = report.to_dict()["subsets"]["without one"]
    assert plain == {key: alone.to_dict()[key] for key in SCORE_KEYS}
    assert report_table(report).header[:4] == ("", "overall", "95 % interval", "without one")


def test_output_without_identities_has_no_tracking_scores(results):
    untracked = replace(results[0], tracks=Tracks.empty(), is_tracked=False)
    report = evaluate_sequences([untracked, *results[1:]], CONFIG, confidence=0.5)
    plain = report.to_dict()
    for scores in (plain, plain["per_sequence"]["one"]):
        assert set(scores["tracking_iou"].values()) == {None}
        hourly = scores["tracking"].pop("false_tracks_per_hour")
        assert set(scores["tracking"].values()) == set(hourly.values()) == {None}
    assert plain["per_sequence"]["two"]["tracking"]["mota"] == 0.25
    assert plain["rules"]["untracked_sequences"] == ["one"]
    assert "tracking.mota" not in plain["intervals"]
    assert "no identities in one." in report_table(report).render("text")


def test_names_that_repeat_or_no_sequence_at_all_are_refused(results):
    with pytest.raises(DataError, match="'one'"):
        evaluate_sequences([results[0], results[0]], CONFIG, confidence=0.5)
    with pytest.raises(DataError, match="no sequences"):
        evaluate_sequences([], CONFIG, confidence=0.5)


def test_result_of_other_frames_is_refused(build):
    truth = build.annotation([[], []])
    good = build.detections([[], []])
    with pytest.raises(DataError, match="cover 1 frames; expected the 2"):
        build.result(truth, good[:1])
    with pytest.raises(ValueError, match="in order"):
        build.result(truth, good[::-1])
    with pytest.raises(DataError, match="original-frame pixels"):
        build.result(truth, build.detections([[], []], hw=(32, 64)))
    with pytest.raises(DataError, match="frame 2"):
        build.result(truth, good, build.tracks([[], [], [(1, *at(5, 5))]]))


def test_best_confidence_is_the_threshold_with_the_best_f1(results):
    # Hits at 0.95 0.9 0.8 0.7 0.1, false alarms at 0.85 0.6, 8 targets: F1 is 2*4/(8+4+1) at 0.7,
    # 2*5/(8+5+2) at 0.1.
    assert best_confidence(results, CONFIG) == pytest.approx(0.1)
    assert best_confidence(results[:1], CONFIG) == pytest.approx(0.1)
    f1 = evaluate_sequences(
        results, CONFIG, confidence=best_confidence(results, CONFIG)
    ).overall.detection.f1
    assert f1 == pytest.approx(10 / 15)


def test_best_confidence_lies_half_way_between_the_weakest_hit_and_the_clutter(build):
    # One hit at 0.8, then 5 false alarms from 0.5 on: all thresholds in (0.5, 0.8] are the best.
    found = [(*at(10, 10), 0.8), *((*at(40 + 3 * n, 40), 0.5 - 0.05 * n) for n in range(5))]
    result = build.result(build.annotation([[at(10, 10)]]), build.detections([found]))
    assert best_confidence([result], CONFIG) == pytest.approx((0.8 + 0.5) / 2)


def test_best_confidence_without_a_hit_lets_nothing_pass(build, results):
    silent = build.result(build.annotation([[at(5, 5)]]), build.detections([[]]))
    assert best_confidence([silent], CONFIG) == 1.0
    assert best_confidence(results[2:], CONFIG) == 1.0


def test_tracks_alone_can_be_scored_as_detections(build):
    tracks = build.tracks(
        [[(1, *at(10, 10)), (2, *at(40, 40))], [], [(1, *at(12, 10))]], scores=[0.3, 0.9, 0.5]
    )
    found = detections_from_tracks(tracks, num_frames=4, image_hw=(64, 64))
    assert [len(frame) for frame in found] == [2, 0, 1, 0]
    assert found[0].scores.tolist() == pytest.approx([0.9, 0.3])
    assert found[0].boxes_xyxy[0].tolist() == list(at(40, 40))
    with pytest.raises(DataError, match="frame 2"):
        detections_from_tracks(tracks, num_frames=2, image_hw=(64, 64))


def test_perfect_output_scores_perfectly(build):
    boxes = [[at(10 + 2 * n, 20), at(50 - n, 40)] for n in range(5)]
    tracks = build.tracks([[(1, *a), (2, *b)] for a, b in boxes])
    result = SequenceResult(
        annotation=build.annotation(boxes, ids=[[1, 2]] * 5),
        detections=detections_from_tracks(tracks, num_frames=5, image_hw=(64, 64)),
        tracks=tracks,
    )
    scores = evaluate_sequences([result], CONFIG, confidence=0.5).overall
    assert scores.detection.map50_95 == pytest.approx(1)
    assert scores.detection.f1 == scores.pd_fa.pd == 1
    assert scores.pd_fa.false_alarms_per_pixel == 0
    assert (scores.tracking.mota, scores.tracking.idf1, scores.tracking.motp_px) == (1, 1, 0)
    assert scores.tracking.hota == pytest.approx(1)


def test_evaluation_does_not_import_torch():
    code = (
        "import sys; import stdet.evaluation.report; "
        "sys.exit(any(name.split('.')[0] == 'torch' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_sequence_named_overall_has_its_own_column(results, build):
    named = replace(results[0], annotation=replace(results[0].annotation, name="overall"))
    table = report_table(evaluate_sequences([named, results[1]], CONFIG, confidence=0.5))
    pd = next(row for row in table.rows if row[0] == "recall = Pd")
    assert table.header.count("overall") == 2
    assert (pd[1], pd[3], pd[4]) == ("0.5000", "0.7500", "0.2500")


def test_resamples_of_tiny_rates_keep_their_digits(build):
    hw = (2048, 2048)
    results = [
        build.result(
            build.annotation([[]] * 40, name=name, hw=hw),
            build.detections([[(5, 5, 9, 9, 0.9)] * (n < count) for n in range(40)], hw=hw),
        )
        for name, count in (("a", 1), ("b", 0), ("c", 0))
    ]
    plain = evaluate_sequences(results, CONFIG, confidence=0.5).to_dict()
    values = plain["bootstrap"]["values"]["pd_fa.false_alarms_per_pixel"]
    one = 1 / (3 * 40 * 2048 * 2048)
    assert sorted(set(values))[1] == pytest.approx(one, rel=1e-8)
