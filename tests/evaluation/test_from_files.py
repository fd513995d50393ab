"""Files of other tools against truth: COCO results, MOT files, folders of these."""

import json

import numpy as np
import pytest
from scenes import SyntheticConfig, generate

from stdet.config import StdetConfig, config_from_dict
from stdet.errors import DataError
from stdet.evaluation.from_files import score_files
from stdet.formats.mot import read_predictions as read_mot
from stdet.formats.mot import write_annotation, write_tracks
from stdet.types import Tracks

CONFIG = StdetConfig()
HW = (48, 64)


def truth_of(seed=0, num_targets=2):
    config = SyntheticConfig(seed=seed, num_frames=12, hw=HW, num_targets=num_targets)
    return generate(config)[1]


def tracks_of(annotation, shift=0.0):
    return Tracks(
        frame_indices=annotation.frame_indices,
        track_ids=annotation.track_ids,
        boxes_xyxy=(annotation.boxes_xyxy + np.float32(shift)),
        scores=np.full(len(annotation), 0.8, np.float32),
        probabilities=np.full(len(annotation), np.nan, np.float32),
        class_ids=np.zeros(len(annotation), np.int64),
        detection_indices=np.full(len(annotation), -1, np.int64),
    )


@pytest.fixture
def coco(tmp_path):
    """A COCO file of two folders of four frames, image ids that are not places; its results."""
    images = [
        {"id": 100 - n, "file_name": f"images/{name}/{k}.bmp", "height": 48, "width": 64}
        for n, (name, k) in enumerate((name, k) for name in ("a", "b") for k in range(4))
    ]
    annotations = [
        {"id": n, "image_id": image["id"], "category_id": 1, "bbox": [10 + n, 12, 8, 8]}
        for n, image in enumerate(images)
    ]
    truth = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "t"}]}
    results = [
        {key: row[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for row in annotations
    ]

    def write(change=lambda results: results):
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        (tmp_path / "results.json").write_text(json.dumps(change(results)))
        return tmp_path / "truth.json", tmp_path / "results.json"

    return write


def test_perfect_coco_results_score_perfectly_and_have_no_tracking(coco):
    report = score_files(*coco(), CONFIG).report
    assert report.per_sequence.keys() == {"a", "b"}
    assert report.overall.detection.map50_95 == pytest.approx(1)
    assert report.overall.pd_fa.pd == report.overall.detection.ap_distance["1px"] == 1
    assert np.isnan(report.overall.tracking.mota)
    assert report.rules.untracked_sequences == ("a", "b")


def test_coco_results_with_track_ids_are_tracks(coco):
    report = score_files(
        *coco(lambda rows: [row | {"track_id": 5} for row in rows]), CONFIG
    ).report
    assert report.overall.tracking.mota == report.overall.tracking.hota == pytest.approx(1)


def test_results_stand_on_the_frames_of_their_image_ids(coco):
    # Frame 0 of "a" loses its row, frame 3 of "b" gets a false one.
    def change(rows):
        return [*rows[1:], rows[-1] | {"bbox": [40, 30, 5, 5], "score": 0.3}]

    report = score_files(*coco(change), CONFIG).report
    assert report.per_sequence["a"].pd_fa.pd == 3 / 4
    assert report.per_sequence["b"].pd_fa.pd == 1
    assert report.per_sequence["b"].pd_fa.false_alarms_per_frame == 1 / 4
    stricter = config_from_dict({"postprocess": {"confidence": 0.5}}, where="test")
    report = score_files(*coco(change), stricter).report
    assert report.per_sequence["b"].pd_fa.false_alarms_per_frame == 0


def test_no_results_at_all_are_zero_pd_and_undefined_precision(coco):
    report = score_files(*coco(lambda _: []), CONFIG).report
    assert report.overall.detection.map50 == report.overall.pd_fa.pd == 0
    assert np.isnan(report.overall.detection.precision)
    assert np.isnan(report.overall.tracking.mota)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image_id": 7}, "entry 1 has image_id 7, which .*truth.json does not define"),
        ({"category_id": 3}, "entry 1 has category_id 3, which"),
        ({"score": float("nan")}, "entry 1 has score nan; expected 0 to 1"),
        ({"score": -0.1}, "entry 1 has score -0.1; expected 0 to 1"),
        ({"score": True}, "entry 1 has score True"),
        ({"bbox": [1, 2, 0, 4]}, r"entry 1 has bbox \[1, 2, 0, 4\] without area"),
        ({"bbox": [1, 2, float("inf"), 4]}, "expected four finite numbers"),
        ({"bbox": [1, 2, 3]}, "expected four finite numbers"),
        ({"track_id": 2.5}, "entry 1 has track_id 2.5; expected a whole number"),
        ({"track_id": 2}, "1 of 8 entries have a track_id; expected all or none"),
    ],
)
def test_coco_entry_that_cannot_be_scored_is_named(coco, entry, message):
    with pytest.raises(DataError, match=message):
        score_files(*coco(lambda rows: [rows[0], rows[1] | entry, *rows[2:]]), CONFIG)


def test_coco_rows_that_repeat_or_are_no_list_are_refused(coco):
    with pytest.raises(DataError, match="entry 8 repeats the same box and score of image 99 from"):
        score_files(*coco(lambda rows: [*rows, rows[1]]), CONFIG)
    with pytest.raises(DataError, match="expected a list of COCO results"):
        score_files(*coco(lambda rows: {"annotations": rows}), CONFIG)
    with pytest.raises(DataError, match=r"entry 0 lacks bbox, score"):
        score_files(*coco(lambda rows: [{"image_id": 100, "category_id": 1}]), CONFIG)


def test_boxes_outside_the_frame_are_false_alarms(coco):
    outside = {"image_id": 100, "category_id": 1, "bbox": [-500, -500, 9, 9], "score": 0.5}
    report = score_files(*coco(lambda rows: [*rows, outside]), CONFIG).report
    assert report.overall.pd_fa.false_alarms_per_frame == 1 / 8


def test_mot_file_is_scored_against_mot_truth(tmp_path):
    annotation = truth_of()
    write_annotation(tmp_path / "gt.txt", annotation)
    write_tracks(tmp_path / "tracks.txt", tracks_of(annotation))
    scores = score_files(tmp_path / "gt.txt", tmp_path / "tracks.txt", CONFIG, image_hw=HW)
    assert scores.report.overall.tracking.idf1 == 1
    assert scores.report.overall.detection.map50 == pytest.approx(1)
    assert [row.num_found for row in scores.targets] == [row.num_frames for row in scores.targets]


def test_mot_rows_without_identities_are_detections(tmp_path):
    annotation = truth_of()
    write_annotation(tmp_path / "gt.txt", annotation)
    write_tracks(tmp_path / "tracks.txt", tracks_of(annotation))
    text = (tmp_path / "tracks.txt").read_text().splitlines()
    columns = [line.split(",") for line in text]
    lines = [",".join([frame, "-1", *rest]) for frame, _, *rest in columns]
    (tmp_path / "det.txt").write_text("\n".join(lines))
    assert not read_mot(tmp_path / "det.txt").is_tracked
    report = score_files(tmp_path / "gt.txt", tmp_path / "det.txt", CONFIG, image_hw=HW).report
    assert report.overall.pd_fa.pd == 1
    assert np.isnan(report.overall.tracking.hota)


def test_mot_file_without_a_size_or_with_frames_too_many_is_refused(tmp_path):
    annotation = truth_of()
    write_annotation(tmp_path / "gt.txt", annotation)
    write_tracks(tmp_path / "tracks.txt", tracks_of(annotation))
    with pytest.raises(DataError, match="how large the frames are; pass --size HxW"):
        score_files(tmp_path / "gt.txt", tmp_path / "tracks.txt", CONFIG)
    folder = tmp_path / "seq"
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text("1,1,5,5,8,8,1,1,1\n")
    (folder / "seqinfo.ini").write_text("[Sequence]\nseqLength=3\nimHeight=48\nimWidth=64\n")
    with pytest.raises(DataError, match="names frame 12 of a sequence of 3 frames"):
        score_files(folder, tmp_path / "tracks.txt", CONFIG)


def test_folders_are_paired_by_name(tmp_path):
    (tmp_path / "truth").mkdir()
    (tmp_path / "found").mkdir()
    for seed, name in enumerate(("one", "two")):
        annotation = truth_of(seed)
        write_annotation(tmp_path / "truth" / f"{name}.txt", annotation)
        write_tracks(tmp_path / "found" / f"{name}.mot.txt", tracks_of(annotation, shift=2 * seed))
    scores = score_files(tmp_path / "truth", tmp_path / "found", CONFIG, image_hw=HW)
    assert scores.report.per_sequence["one"].tracking.motp_px == pytest.approx(0, abs=1e-4)
    assert scores.report.per_sequence["two"].tracking.motp_px == pytest.approx(8**0.5, abs=1e-4)
    assert scores.report.bootstrap.intervals()["tracking.mota"] == (1, 1)

    (tmp_path / "found" / "two.mot.txt").unlink()
    with pytest.raises(DataError, match="has no file for sequence 'two'"):
        score_files(tmp_path / "truth", tmp_path / "found", CONFIG, image_hw=HW)
    for name in ("two", "three"):
        (tmp_path / "found" / f"{name}.txt").write_text("")
    with pytest.raises(DataError, match="has no sequence 'three'"):
        score_files(tmp_path / "truth", tmp_path / "found", CONFIG, image_hw=HW)


def test_mixed_kinds_and_missing_paths_are_refused(tmp_path, coco):
    truth, results = coco()
    with pytest.raises(DataError, match=r"none.json: cannot be read \(No such file or folder\)"):
        score_files(truth, tmp_path / "none.json", CONFIG)
    with pytest.raises(DataError, match=r"is a folder, but .*truth.json is a file"):
        score_files(truth, tmp_path, CONFIG)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"holds no truth; expected <sequence>.txt"):
        score_files(tmp_path / "empty", results, CONFIG)


def test_classes_of_mot_truth_do_not_count_against_files_without_classes(tmp_path):
    (tmp_path / "gt.txt").write_text("1,1,11,11,8,8,1,2,1\n1,2,31,31,8,8,0,7,1\n")
    (tmp_path / "found.txt").write_text("1,1,11,11,8,8,0.5,-1,-1,-1\n1,2,31,31,8,8,0.9,-1,-1,-1\n")
    report = score_files(tmp_path / "gt.txt", tmp_path / "found.txt", CONFIG, image_hw=HW).report
    # The detection on the ignored row of class 7 is excused, the other hits.
    assert report.overall.detection.map50 == pytest.approx(1)
    assert report.overall.detection.precision == 1


def test_two_files_of_one_sequence_are_refused_but_for_the_pair_of_track(tmp_path):
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
    (tmp_path / "truth" / "a.txt").write_text("1,1,5,5,8,8,1,1,1\n")
    for name in ("a.txt", "a.mot.txt"):
        (tmp_path / "found" / name).write_text("1,1,5,5,8,8,0.9,-1,-1,-1\n")
    with pytest.raises(DataError, match=r"keep one file for sequence 'a'"):
        score_files(tmp_path / "truth", tmp_path / "found", CONFIG, image_hw=HW)
    (tmp_path / "found" / "a.txt").unlink()
    content = {"format": "stdet.tracks/1", "image_hw": HW, "fps": None, "confidence": 0.5}
    frames = [{"frame_index": 0, "detections": [], "tracks": []}]
    (tmp_path / "found" / "a.json").write_text(json.dumps(content | {"frames": frames}))
    report = score_files(tmp_path / "truth", tmp_path / "found", CONFIG).report
    assert report.overall.pd_fa.pd == 0  # The JSON, not the text file.


def test_empty_file_among_detections_has_no_tracking_either(tmp_path):
    for name in ("truth", "found"):
        (tmp_path / name).mkdir()
    for name, rows in (("a", "1,-1,5,5,8,8,0.9,-1,-1,-1\n"), ("b", "")):
        (tmp_path / "truth" / f"{name}.txt").write_text("1,1,5,5,8,8,1,1,1\n")
        (tmp_path / "found" / f"{name}.txt").write_text(rows)
    report = score_files(tmp_path / "truth", tmp_path / "found", CONFIG, image_hw=HW).report
    assert report.rules.untracked_sequences == ("a", "b")


@pytest.mark.parametrize(
    "entry",
    [
        {"bbox": [1e300, 2, 3, 3]},
        {"bbox": [1, 2, 1e39, 3]},
        {"bbox": [1, 2, 10**400, 3]},
        {"score": 10**400},
        {"track_id": 2**70},
    ],
)
def test_numbers_of_any_size_are_one_line(coco, entry):
    with pytest.raises(DataError, match="entry 1 has"):
        score_files(*coco(lambda rows: [rows[0], rows[1] | entry, *rows[2:]]), CONFIG)


def test_frame_number_that_no_sequence_reaches_is_refused(tmp_path):
    (tmp_path / "gt.txt").write_text("1,1,5,5,8,8,1,1,1\n")
    (tmp_path / "found.txt").write_text("1000000000,1,5,5,8,8,0.9,-1,-1,-1\n")
    with pytest.raises(
        DataError, match=r"frame 1000000000; .* no sequence has more than 10,000,000"
    ):
        score_files(tmp_path / "gt.txt", tmp_path / "found.txt", CONFIG, image_hw=HW)


def test_truth_without_images_is_refused(coco, tmp_path):
    _, results = coco(lambda rows: [])
    (tmp_path / "truth.json").write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(DataError, match="holds no images"):
        score_files(tmp_path / "truth.json", results, CONFIG)


@pytest.mark.parametrize("frame", [10**6, 9_999_999])
def test_a_far_frame_in_a_small_file_takes_no_time(tmp_path, frame):
    (tmp_path / "gt.txt").write_text("1,1,5,5,8,8,1,1,1\n")
    entry = {"frame_index": frame, "tracks": [], "detections": []}
    entry["detections"] = [{"box_xyxy": [1, 1, 3, 3], "score": 0.9}]
    header = {"format": "stdet.tracks/1", "fps": 25, "confidence": 0.5, "image_hw": [10**9, 10**9]}
    (tmp_path / "a.json").write_text(json.dumps({**header, "frames": [entry]}))
    report = score_files(tmp_path / "gt.txt", tmp_path / "a.json", CONFIG).report
    assert report.rules.num_frames == frame + 1
    assert report.overall.pd_fa.false_alarms_per_frame == 1 / (frame + 1)
    assert report.overall.pd_fa.false_area_fraction == 4 / ((frame + 1) * 10**18)
    (tmp_path / "a.txt").write_text(f"{frame + 1},1,5,5,8,8,0.9\n")
    scores = score_files(tmp_path / "gt.txt", tmp_path / "a.txt", CONFIG, image_hw=HW)
    assert scores.report.overall.tracking.false_tracks == 1


@pytest.mark.parametrize(
    "index", [10**7, 10**18, 10**400, -1, 1.5, "3", True, None, float("nan"), [1]]
)
def test_frame_numbers_that_are_none_are_refused(tmp_path, index):
    (tmp_path / "gt.txt").write_text("1,1,5,5,8,8,1,1,1\n")
    entry = {"frame_index": index, "tracks": [], "detections": []}
    header = {"format": "stdet.tracks/1", "fps": 25, "confidence": 0.5, "image_hw": [48, 64]}
    (tmp_path / "a.json").write_text(json.dumps({**header, "frames": [entry]}))
    with pytest.raises(DataError, match=r"a frame is malformed .*frame_index") as caught:
        score_files(tmp_path / "gt.txt", tmp_path / "a.json", CONFIG)
    assert len(str(caught.value)) < 500
