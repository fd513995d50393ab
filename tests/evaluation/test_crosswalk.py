import importlib.util
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stdet.config import EvaluationConfig
from stdet.errors import DataError
from stdet.evaluation.crosswalk import score_protocols
from stdet.evaluation.mask_crosswalk import score_mask_protocols
from stdet.evaluation.protocol_names import PROTOCOL_NAMES
from stdet.evaluation.protocol_numbers import PROTOCOLS
from stdet.evaluation.report import evaluate_sequences
from stdet.types import Detections, Tracks

CONFIG = EvaluationConfig()
SMALL, OTHER, LARGE = (10, 10, 18, 18), (40, 40, 48, 48), (10, 10, 30, 30)
ERRORS = (
    "fa",
    "false",
    "seg_merging",
    "seg_interference",
    "seg_perception",
    "loc_interference",
    "loc_perception",
    "loc_m2s",
    "loc_s2m",
)


def score(results, *, names=PROTOCOL_NAMES, confidence=0.5, subsets=None):
    report = evaluate_sequences(results, CONFIG, confidence=confidence, subsets=subsets)
    return score_protocols(results, report, CONFIG, names=names)


def sequence(build, truth, found, *, name="s"):
    """One target at most; what is found is detected with score 0.9 and is track 1."""
    return build.result(
        build.annotation([[box] if box else [] for box in truth], name=name),
        build.detections([[(*box, 0.9)] if box else [] for box in found]),
        build.tracks([[(1, *box)] if box else [] for box in found]),
    )


def write(folder: Path, masks) -> Path:
    for name, mask in masks.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    return folder


def test_perfect_output_scores_one_and_no_error_by_every_protocol(build):
    # Ten frames of one target: the legacy protocol reads at most 100 recall points.
    found = score([sequence(build, [SMALL] * 10, [SMALL] * 10)]).overall
    assert tuple(found) == PROTOCOL_NAMES
    for name, numbers in found.items():
        for key, value in numbers.items():
            expected = 0 if key.startswith(ERRORS) else 1
            assert value == pytest.approx(expected), (name, key)


def test_no_output_scores_zero_or_nothing_by_every_protocol(build):
    found = score([sequence(build, [SMALL] * 4, [None] * 4)]).overall
    for name, numbers in found.items():
        for key, value in numbers.items():
            if (name, key) == ("antiuav", "challenge"):
                assert value == pytest.approx(-0.2)  # All of the penalty.
            elif (name, key) in {
                # Each empty prediction counts as a false target there, and each target as missed.
                ("pyirstd_errors", "loc_interference"),
                ("pyirstd_errors", "loc_perception"),
            }:
                assert value == pytest.approx(0.5)
            else:
                assert math.isnan(value) or value == 0, (name, key)


def test_order_of_detections_and_sequences_does_not_matter(build):
    one = build.wandering_result("one", seed=1)
    two = build.wandering_result("two", seed=2)

    def reversed_rows(result):
        frames = tuple(
            Detections.from_unsorted(
                d.boxes_xyxy[::-1], d.scores[::-1], frame_index=d.frame_index, image_hw=d.image_hw
            )
            for d in result.detections
        )
        return replace(result, detections=frames)

    there = score([one, two]).overall
    back = score([reversed_rows(two), reversed_rows(one)]).overall
    for name, numbers in there.items():
        assert numbers == pytest.approx(back[name], nan_ok=True), name


def test_looked_up_numbers_are_those_of_the_report(build):
    results = [build.wandering_result("one", seed=3)]
    report = evaluate_sequences(results, CONFIG, confidence=0.5)
    found = score(results)
    assert found.overall["coco"]["ap50"] == report.overall.detection.map50
    assert found.overall["sstnet"]["f1"] == report.overall.detection.legacy.f1
    assert found.overall["so_hota"]["so_hota"] == report.overall.tracking.so_hota
    assert found.overall["stdet"]["pd"] == report.overall.pd_fa.pd
    for name, numbers in found.overall.items():
        assert found.per_sequence["one"][name] == pytest.approx(numbers, nan_ok=True), name


def test_false_alarm_of_the_size_of_a_hit_is_hidden_from_dnanet_alone(build):
    truth = build.annotation([[SMALL]])
    found = build.detections([[(*SMALL, 0.9), (*OTHER, 0.8)]])
    numbers = score([build.result(truth, found)]).overall
    assert numbers["dnanet"]["fa"] == 0
    area = 64 / 64**2
    for name, key in [("dnanet", "fa_mended"), ("basicirstd", "fa"), ("stdet_masks", "fa")]:
        assert numbers[name][key] == area, name
    assert numbers["stdet"]["fa_per_frame"] == 1


def test_detections_below_the_operating_point_are_not_drawn(build):
    truth = build.annotation([[SMALL]])
    found = build.detections([[(*SMALL, 0.9), (*OTHER, 0.4)]])
    assert score([build.result(truth, found)]).overall["basicirstd"]["fa"] == 0
    assert score([build.result(truth, found)], confidence=0.3).overall["basicirstd"]["fa"] > 0


def test_ignored_truth_and_its_detection_are_not_drawn(build):
    truth = build.annotation([[SMALL, OTHER]], ignored=[[False, True]])
    found = build.detections([[(*SMALL, 0.9), (41, 40, 49, 48, 0.8)]])
    report = score([build.result(truth, found)])
    assert report.overall["stdet_masks"] == {"pd": 1, "fa": 0, "iou": 1, "niou": 1}
    assert (report.num_boxes, report.num_components) == (1, 1)


def test_large_boxes_are_no_masks_and_the_reason_is_given(build):
    small = sequence(build, [SMALL], [SMALL], name="small")
    large = sequence(build, [LARGE], [LARGE], name="large")
    found = score([small, large], subsets={"one": ["small"]})
    masks = [name for name in PROTOCOL_NAMES if PROTOCOLS[name].needs == "masks"]
    assert list(found.undefined) == masks
    ((reason, names),) = found.undefined["basicirstd"].items()
    assert "filled box is no mask" in reason
    assert names == ["large"]
    assert math.isnan(found.overall["basicirstd"]["pd"])
    assert math.isnan(found.per_sequence["large"]["basicirstd"]["pd"])
    assert found.per_sequence["small"]["basicirstd"]["pd"] == 1
    assert found.subsets["one"]["basicirstd"]["pd"] == 1
    assert found.overall["coco"]["ap50"] == 1


def test_frames_of_any_stated_size_are_not_drawn(build):
    # A label file of a few lines may say that its frames have 10^10 pixels.
    truth = build.annotation([[SMALL]], hw=(100_000, 100_000))
    found = score([build.result(truth, build.detections([[(*SMALL, 0.9)]], hw=truth.image_hw))])
    assert "megapixels" in next(iter(found.undefined["basicirstd"]))
    assert found.overall["stdet"]["pd"] == found.overall["coco"]["ap50"] == 1


def test_missing_identities_and_several_targets_are_reasons(build):
    plain = replace(sequence(build, [SMALL], [SMALL]), tracks=Tracks.empty(), is_tracked=False)
    found = score([plain], names=["so_hota", "antiuav"])
    assert list(found.undefined) == ["so_hota", "antiuav"]
    assert all(
        "no identities" in reason for reasons in found.undefined.values() for reason in reasons
    )
    crowded = build.result(build.annotation([[SMALL, OTHER]]), build.detections([[]]))
    found = score([crowded], names=["so_hota", "antiuav"])
    assert list(found.undefined) == ["antiuav"]
    assert "more than one target" in next(iter(found.undefined["antiuav"]))


def test_state_accuracy_is_a_mean_over_sequences(build):
    long = sequence(build, [SMALL] * 9, [SMALL] * 9, name="long")
    short = sequence(build, [SMALL], [None], name="short")
    assert score([long, short]).overall["antiuav"]["state_accuracy"] == 1 / 2


def test_only_what_is_asked_for_is_given(build):
    found = score([sequence(build, [LARGE], [LARGE])], names=["coco"])
    assert found.overall.keys() == {"coco"}
    assert (found.undefined, found.num_boxes) == ({}, 0)
    small = score([sequence(build, [SMALL], [SMALL])], names=["coco"])
    assert small.num_boxes == 0  # Nothing was drawn.
    with pytest.raises(ValueError, match="'cocoa' is not one of stdet, coco"):
        score([sequence(build, [SMALL], [SMALL])], names=["cocoa"])


def test_boxes_that_touch_are_counted_as_fewer_components(build):
    truth = build.annotation([[SMALL, (18, 10, 26, 18)]])
    found = score([build.result(truth, build.detections([[]]))])
    assert (found.num_boxes, found.num_components) == (2, 1)


def test_masks_give_the_numbers_of_the_boxes_they_are_drawn_from(build, tmp_path):
    truth, shifted = [SMALL, None, SMALL], [SMALL, OTHER, (11, 10, 19, 18)]
    boxes = score([sequence(build, truth, shifted)]).overall

    def draw(frames):
        masks = {}
        for index, box in enumerate(frames):
            mask = np.zeros((64, 64), bool)
            if box:
                mask[box[1] : box[3], box[0] : box[2]] = True
            masks[f"s/{index}"] = mask
        return masks

    folders = write(tmp_path / "truth", draw(truth)), write(tmp_path / "found", draw(shifted))
    masks = score_mask_protocols(*folders, CONFIG)
    assert masks.per_sequence.keys() == {"s"}
    assert masks.undefined.keys() == {"so_hota", "antiuav"}
    for name in PROTOCOL_NAMES:
        if name not in masks.undefined and name not in {"coco", "sstnet", "safit"}:
            assert masks.overall[name] == pytest.approx(boxes[name]), name
    # All scores are one there, and the order of equal ones is that of the frames.
    assert masks.overall["coco"]["ap50"] == boxes["coco"]["ap50"]


def test_single_frames_of_many_sizes_are_one_sequence(tmp_path):
    masks = {}
    for index, side in enumerate([16, 32, 32]):
        masks[str(index)] = np.zeros((side, side), bool)
        masks[str(index)][2:5, 2:5] = True
    folders = write(tmp_path / "truth", masks), write(tmp_path / "found", masks)
    found = score_mask_protocols(*folders, CONFIG)
    assert found.per_sequence.keys() == {"truth"}
    assert found.overall["stdet"]["pd"] == found.overall["basicirstd"]["pd"] == 1
    blank = {name: np.zeros_like(mask) for name, mask in masks.items()}
    found = score_mask_protocols(write(tmp_path / "blank", blank), folders[1], CONFIG)
    pixels = 16**2 + 2 * 32**2
    assert found.overall["stdet"]["fa_per_pixel"] == 3 / pixels
    assert found.overall["basicirstd"]["fa"] == 27 / pixels


def test_mask_folders_that_do_not_match_are_refused(tmp_path):
    mask = np.zeros((8, 8), bool)
    folders = write(tmp_path / "truth", {"0": mask}), write(tmp_path / "found", {"1": mask})
    with pytest.raises(DataError):
        score_mask_protocols(*folders, CONFIG)


@pytest.mark.parametrize("name", PROTOCOL_NAMES)
def test_page_explains_every_protocol(name):
    page = Path(__file__).parents[2] / "docs" / "protocols.md"
    assert f"\n### `{name}`" in page.read_text(encoding="utf-8")


def test_plain_values_have_no_nan(build):
    content = score([sequence(build, [None], [None])]).to_dict()
    assert content["overall"]["coco"]["ap50"] is None
    assert content["rules"]["confidence"] == 0.5


def test_table_of_the_page_has_a_row_per_number_and_a_column_per_run(build):
    path = Path(__file__).parents[2] / "scripts" / "make_crosswalk.py"
    spec = importlib.util.spec_from_file_location("make_crosswalk", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    results = [sequence(build, [LARGE, LARGE], [LARGE, OTHER])]
    report = evaluate_sequences(results, CONFIG, confidence=0.5)
    run = report.to_dict() | {"protocols": score(results).to_dict()}
    content = script.crosswalk_table(
        {"one": run, "two": run}, commit="abc", machine="any", date="2026-01-01"
    )
    assert [column["name"] for column in content["columns"]] == [
        "protocol",
        "number",
        "one",
        "two",
    ]
    rows = {(name, number): cells for name, number, *cells in content["rows"]}
    assert rows["`stdet`", "Pd"] == [0.5, 0.5]
    assert rows["`stdet`", "Fa per 1e6 pixels"] == pytest.approx([1e6 / (2 * 64**2)] * 2)
    assert rows["`dnanet`", "Pd"] == [None, None]
    assert len(rows) == sum(len(protocol.numbers) for protocol in PROTOCOLS.values())
