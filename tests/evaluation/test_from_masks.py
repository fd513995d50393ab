import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stdet.errors import DataError
from stdet.evaluation.from_masks import format_mask_table, is_mask_folder, score_masks
from stdet.metrics.detection.pd_fa import MaskPdFa, mask_pd_fa

GOLDEN = Path(__file__).parents[1] / "golden"
CASES = json.loads((GOLDEN / "masks.json").read_text(encoding="utf-8"))["cases"]


def draw_mask(rectangles, hw=(16, 16)):
    mask = np.zeros(hw, bool)
    for row0, row1, column0, column1 in rectangles:
        mask[row0:row1, column0:column1] = True
    return mask


def write(folder: Path, masks) -> Path:
    """Write masks by name, as 0 and 255."""
    for name, mask in masks.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    return folder


@pytest.fixture
def golden_folders(tmp_path):
    """All golden cases; those whose number is odd in one sequence, the others in another."""
    names = [f"{'odd' if index % 2 else 'even'}/{index}" for index in range(len(CASES))]
    return tuple(
        write(
            tmp_path / side,
            {name: draw_mask(case[side]) for name, case in zip(names, CASES, strict=True)},
        )
        for side in ("truth", "prediction")
    )


def test_folders_of_all_golden_cases_give_the_sums_of_their_numbers(golden_folders):
    report = score_masks(*golden_folders)
    overall = report.overall
    for name in ["num_hits", "num_targets", "num_false_components", "false_component_pixels"]:
        assert getattr(overall.definition, name) == sum(case[name] for case in CASES), name
    for mode in ["basicirstd", "area_key", "dtum"]:
        for name in ["num_hits", "num_targets", "false_pixels"]:
            expected = sum(case["published_code"][mode][name] for case in CASES)
            assert getattr(getattr(overall.published, mode), name) == expected, (mode, name)
    assert overall.definition.num_frames == overall.overlap.num_images == len(CASES)


def test_sequences_are_named_by_their_folder_and_add_up(golden_folders):
    report = score_masks(*golden_folders)
    assert list(report.per_sequence) == ["even", "odd"]
    assert report.per_sequence["even"] + report.per_sequence["odd"] == report.overall
    single = score_masks(*(folder / "even" for folder in golden_folders))
    assert dict(single.per_sequence) == {"even": report.per_sequence["even"]}
    assert single.overall == report.per_sequence["even"]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=3))
@settings(max_examples=15, deadline=None)
def test_perfect_prediction_has_pd_1_and_fa_0(tmp_path_factory, seeds):
    masks = {str(seed): np.random.default_rng(seed).random((12, 20)) < 0.05 for seed in seeds}
    masks["target"] = draw_mask([(5, 7, 5, 7)])
    folder = write(tmp_path_factory.mktemp("masks"), masks)
    report = score_masks(folder, folder)
    definition, overlap = report.overall.definition, report.overall.overlap
    assert (definition.pd, definition.false_component_area_fraction) == (1.0, 0.0)
    assert (overlap.iou, overlap.niou) == (1.0, 1.0)
    assert definition.false_pixels == 0


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=1, max_size=4))
@settings(max_examples=15, deadline=None)
def test_scores_do_not_depend_on_the_order_of_images(tmp_path_factory, seeds):
    def folders(pairs):
        root, full = tmp_path_factory.mktemp("order"), np.ones((6, 9), bool)
        random = lambda seed: np.random.default_rng(seed).random((14, 14)) < 0.05  # noqa: E731
        sides = []
        for side in (0, 1):
            masks = {str(index): random(pair[side]) for index, pair in enumerate(pairs)}
            sides.append(write(root / str(side), {**masks, "full": full}))
        return sides

    one = score_masks(*folders(seeds)).overall
    other = score_masks(*folders(seeds[::-1])).overall
    assert one.definition == other.definition
    assert one.published == other.published
    assert one.overlap.niou == pytest.approx(other.overlap.niou)


def test_radius_belongs_to_the_definition_only(tmp_path):
    # Golden M2a: exactly 3 px apart.
    truth = write(tmp_path / "truth", {"a": draw_mask([(5, 6, 5, 6)])})
    said = write(tmp_path / "said", {"a": draw_mask([(5, 6, 8, 9)])})
    near, far = (score_masks(truth, said, radius_px=radius) for radius in (3.0, 3.5))
    assert (near.overall.definition.num_hits, far.overall.definition.num_hits) == (0, 1)
    assert near.overall.published == far.overall.published
    assert "distance < 3.5 px" in format_mask_table(far)
    with pytest.raises(ValueError, match="expected a positive"):
        score_masks(truth, said, radius_px=0)


def test_images_may_differ_in_size_between_pairs(tmp_path):
    masks = {"a": draw_mask([(1, 2, 1, 2)]), "b": draw_mask([(5, 6, 5, 6)], hw=(9, 30))}
    folder = write(tmp_path, masks)
    assert score_masks(folder, folder).overall.definition.num_pixels == 256 + 270


def test_empty_masks_are_undefined_none_in_json_and_a_dash_in_the_table(tmp_path):
    folder = write(tmp_path / "empty", {"a": draw_mask([]), "b": draw_mask([])})
    report = score_masks(folder, folder)
    assert math.isnan(report.overall.definition.pd)
    plain = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    for rule in ["definition", "basicirstd", "area_key", "dtum"]:
        assert plain[rule]["pd"] is None
    assert plain["definition"]["false_component_area_fraction"] == 0
    assert (plain["overlap"]["iou"], plain["overlap"]["niou"]) == (None, None)
    rows = [line.split() for line in format_mask_table(report).splitlines()]
    assert ["overall", "-", "-", "-", "-"] in rows
    assert ["empty", "0.0000", "0.0000", "0.0000", "0.0000"] in rows
    assert "nan" not in format_mask_table(report)


def test_dict_holds_counts_rates_and_rules(golden_folders):
    plain = score_masks(*golden_folders).to_dict()
    assert list(plain) == [
        "definition",
        "basicirstd",
        "area_key",
        "dtum",
        "overlap",
        "per_sequence",
        "rules",
    ]
    assert plain["definition"]["pd"] == plain["definition"]["num_hits"] / 13
    assert list(plain["per_sequence"]["odd"]) == list(plain)[:5]
    assert plain["rules"] == {
        "radius_px": 3.0,
        "truth": "level > 127 of 255",
        "predictions": "level > 127 of 255",
    }


def test_table_shows_the_rules_side_by_side(tmp_path):
    # Golden M1: the false blob is 4 of 256 px; area_key loses it, dtum also counts the hit.
    truth = write(tmp_path / "truth", {"a": draw_mask([(2, 4, 2, 4)])})
    said = write(tmp_path / "said", {"a": draw_mask([(2, 4, 2, 4), (10, 12, 10, 12)])})
    lines = format_mask_table(score_masks(truth, said)).splitlines()
    at = lines.index(next(line for line in lines if line.startswith("Fa (1e-6")))
    assert lines[at].split()[-4:] == ["definition", "basicirstd", "area_key", "dtum"]
    assert lines[at + 1].split() == ["overall", "15625.0000", "15625.0000", "0.0000", "31250.0000"]
    assert lines[at + 2].split()[0] == "truth"
    assert max(map(len, lines)) < 100


def test_sequence_may_be_named_overall(tmp_path):
    masks = {"overall/a": draw_mask([(5, 6, 5, 6)]), "t/a": draw_mask([(5, 6, 5, 6)])}
    folder = write(tmp_path, masks)
    lines = format_mask_table(score_masks(folder, folder)).splitlines()
    at = lines.index(next(line for line in lines if line.startswith("Counts")))
    assert [line.split() for line in lines[at + 1 : at + 4]] == [
        ["overall", "2", "2", "2"],
        ["overall", "1", "1", "1"],
        ["t", "1", "1", "1"],
    ]


def test_folders_that_do_not_match_are_refused(tmp_path):
    truth = write(tmp_path / "truth", {"s/a": draw_mask([]), "s/b": draw_mask([])})
    said = write(tmp_path / "said", {"s/a": draw_mask([])})
    with pytest.raises(DataError, match=r"said/s/b\.png: is missing"):
        score_masks(truth, said)
    with pytest.raises(DataError, match=r"nowhere: cannot be listed"):
        score_masks(truth, tmp_path / "nowhere")


def test_definition_is_that_of_mask_pd_fa(golden_folders):
    expected = sum(
        (mask_pd_fa(draw_mask(c["prediction"]), draw_mask(c["truth"])) for c in CASES),
        start=MaskPdFa(),
    )
    assert score_masks(*golden_folders).overall.definition == expected


def test_mot_folder_with_png_frames_is_no_mask_folder(tmp_path):
    (tmp_path / "seq" / "img1").mkdir(parents=True)
    (tmp_path / "seq" / "gt").mkdir()
    (tmp_path / "seq" / "img1" / "1.png").write_bytes(b"")
    assert not is_mask_folder(tmp_path / "seq")
    assert not is_mask_folder(tmp_path)
    assert is_mask_folder(tmp_path / "seq" / "img1")
    (tmp_path / "seq" / "img1" / "1.png").rename(tmp_path / "seq" / "img1" / "1.PNG")
    assert is_mask_folder(tmp_path / "seq" / "img1")
