import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from stdet.dataset_check.check import check_dataset
from stdet.dataset_check.findings import format_check
from stdet.errors import DataError
from stdet.formats.coco_video import read_coco


def _kinds(report) -> dict[str, int]:
    return dict(Counter(finding.kind for finding in report.findings))


def _edit(path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.fixture
def clean(split_writer):
    """Two splits with images and nothing wrong."""
    w = split_writer
    return w.write(
        {"train": {"a": w.path(0), "b": w.path(1)}, "test": {"c": w.path(2)}},
        images={name: w.scenes(seed) for seed, name in enumerate("abc")},
    )


def test_clean_data_set_has_no_finding(clean):
    report = check_dataset([clean])
    assert _kinds(report) == {}
    assert report.notes == ()
    assert [
        (s.split, s.num_sequences, s.num_frames, s.num_images_read) for s in report.splits
    ] == [
        ("test", 1, 40, 40),
        ("train", 2, 80, 80),
    ]
    assert format_check(report).endswith("nothing wrong found")


def test_images_above_the_limit_are_a_finding_that_says_how_to_raise_it(clean):
    found = check_dataset([clean], max_megapixels=1e-3).findings
    assert found
    assert all("--max-megapixels (stdet track, stdet data check)" in f.message for f in found)
    assert not check_dataset([clean], max_megapixels=1).findings


@pytest.mark.parametrize("noise_px", [0.0, 0.5])
def test_path_copied_to_another_split_at_an_offset_is_a_leak(split_writer, noise_px):
    w = split_writer
    long = w.path(0, 120)
    copy = long[50:90] + np.random.default_rng(0).uniform(-noise_px, noise_px, (40, 2))
    root = w.write({"train": {"a": long}, "test": {"x": w.path(5), "y": copy}})
    (finding,) = check_dataset([root]).findings
    assert finding.kind == "leak_paths"
    assert (finding.place.split, finding.place.sequence, finding.place.frame) == ("test", "y", 0)
    assert (finding.other.split, finding.other.sequence, finding.other.frame) == ("train", "a", 50)
    assert finding.other.image == "images/a/50.png"
    assert finding.num_frames == 40


def test_path_repeated_within_a_split_is_no_leak_but_is_reported(split_writer):
    w = split_writer
    root = w.write({"train": {"a": w.path(0), "b": w.path(0)[3:]}})
    assert _kinds(check_dataset([root])) == {"repeated_paths": 1}


def test_splits_in_different_places_are_compared(split_writer, tmp_path):
    places = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        places.append(
            type(split_writer)(tmp_path / name).write({"all": {"s": split_writer.path(3)}})
        )
    report = check_dataset(places)
    assert _kinds(report) == {"leak_paths": 1}
    assert {s.split for s in report.splits} == {"one/annotations/all", "two/annotations/all"}


def test_same_pixels_in_two_splits_are_a_leak(split_writer):
    w = split_writer
    images = {"a": w.scenes(0), "b": w.scenes(1)}
    images["b"][10:20] = images["a"][5:15]
    root = w.write({"train": {"a": w.path(0)}, "test": {"b": w.path(1)}}, images=images)
    (finding,) = check_dataset([root]).findings
    assert (finding.kind, finding.num_frames) == ("leak_images", 10)
    assert (finding.place.sequence, finding.place.frame) == ("b", 10)
    assert (finding.other.sequence, finding.other.frame) == ("a", 5)


def test_frames_compressed_anew_in_another_split_are_a_leak(split_writer):
    w = split_writer
    rng = np.random.default_rng(0)
    images = {"a": w.scenes(0, 60)}
    images["b"] = [image + rng.integers(0, 3, image.shape, np.uint8) for image in images["a"][20:]]
    root = w.write({"train": {"a": w.path(0, 60)}, "test": {"b": w.path(1)}}, images=images)
    (finding,) = check_dataset([root]).findings
    assert (finding.kind, finding.num_frames) == ("leak_similar", 40)
    assert (finding.place.sequence, finding.place.frame) == ("b", 0)
    assert (finding.other.sequence, finding.other.frame) == ("a", 20)


def test_frames_alike_for_less_than_a_run_are_no_leak(split_writer):
    w = split_writer
    images = {"a": w.scenes(0), "b": w.scenes(1)}
    images["b"][:20] = [image + 1 for image in images["a"][:20]]
    root = w.write({"train": {"a": w.path(0)}, "test": {"b": w.path(1)}}, images=images)
    assert check_dataset([root]).findings == ()


def test_frozen_camera_is_one_finding(split_writer):
    w = split_writer
    images = {"a": w.scenes(0)}
    images["a"][10:16] = [images["a"][10]] * 6
    root = w.write({"train": {"a": w.path(0)}}, images=images)
    (finding,) = check_dataset([root]).findings
    assert (finding.kind, finding.num_frames) == ("repeated_images", 5)
    assert (finding.place.frame, finding.other.frame) == (10, 11)


def test_images_of_one_level_do_not_look_alike(split_writer):
    w = split_writer
    images = {
        name: [np.full(w.hw, level + k, np.uint8) for k in range(40)]
        for name, level in (("a", 10), ("b", 100))
    }
    root = w.write({"train": {"a": w.path(0)}, "test": {"b": w.path(1)}}, images=images)
    assert check_dataset([root]).findings == ()


def test_damaged_missing_and_odd_sized_images_are_found(clean):
    (clean / "images/a/3.png").write_bytes((clean / "images/a/3.png").read_bytes()[:60])
    (clean / "images/a/4.png").unlink()
    Image.effect_noise((20, 30), 50).save(clean / "images/c/5.png")
    report = check_dataset([clean])
    found = {f.kind: (f.place.split, f.place.sequence, f.place.frame) for f in report.findings}
    assert found == {
        "image_unreadable": ("train", "a", 3),
        "image_missing": ("train", "a", 4),
        "image_size": ("test", "c", 5),
    }
    text = format_check(report)
    assert "train a frame 3 (images/a/3.png): cannot be read" in text
    assert "test c frame 5 (images/c/5.png): 20x30; most of its sequence is 64x48" in text


def test_labels_for_another_size_than_the_images_are_found(clean):
    def enlarge(content):
        for image in content["images"]:
            image.update(height=480, width=640)

    _edit(clean / "annotations/test.json", enlarge)
    report = check_dataset([clean])
    assert _kinds(report) == {"image_size": 40}
    assert report.findings[0].message == "64x48; the labels are for 640x480"
    assert "and 20 more; --json FILE holds all." in format_check(report)


def test_labels_of_two_sizes_in_a_sequence_are_found_without_images(split_writer):
    root = split_writer.write({"train": {"a": split_writer.path(0)}})
    _edit(root / "annotations/train.json", lambda content: content["images"][7].update(width=99))
    (finding,) = check_dataset([root]).findings
    assert (finding.kind, finding.place.frame) == ("image_size", 7)


def test_bad_boxes_are_found_and_those_over_the_border_only_noted(clean):
    def spoil(content):
        for row, bbox in enumerate(
            ([float("nan"), 1, 4, 4], [5, 5, 0, 4], [64, 5, 4, 4], [62, 5, 4, 4])
        ):
            content["annotations"][row]["bbox"] = bbox

    _edit(clean / "annotations/test.json", spoil)
    report = check_dataset([clean])
    assert {f.kind: f.place.frame for f in report.findings} == {
        "box_not_finite": 0,
        "box_empty": 1,
        "box_outside": 2,
    }
    assert (
        "test c frame 2 (images/c/2.png): box x1, y1, x2, y2 64, 5, 68, 9 in a frame of 64x48"
        in (format_check(report))
    )
    assert report.notes == (
        "test: boxes that reach over the border of their frame: 1; readers keep them as they are.",
    )


def test_gap_in_the_numbering_is_found(split_writer):
    w = split_writer
    root = w.write({"train": {"a": w.path(0)}}, numbers={"a": [*range(20), *range(100, 120)]})
    (finding,) = check_dataset([root]).findings
    assert (finding.kind, finding.place.sequence) == ("numbering_gap", "a_100-119")
    assert finding.message.startswith("follows 19.png")


def test_labels_without_images_are_checked_and_the_report_says_so(split_writer):
    w = split_writer
    root = w.write({"train": {"a": w.path(0)}, "test": {"b": w.path(1)}})
    report = check_dataset([root])
    assert report.findings == ()
    (note,) = report.notes
    assert note.startswith("images were not checked for test, train: none of them exists")
    assert format_check(report).count("IMAGES NOT CHECKED") == 2


def test_images_are_left_alone_on_request(clean):
    (clean / "images/a/3.png").write_bytes(b"")
    report = check_dataset([clean], with_images=False)
    assert report.findings == ()
    assert report.notes == ("images were not checked, as asked.",)


def test_text_list_gets_its_size_from_images_or_says_that_it_is_unknown(split_writer, tmp_path):
    w = split_writer
    w.write({"train": {"a": w.path(0)}}, images={"a": w.scenes(0)})
    (tmp_path / "annotations/train.json").unlink()
    lines = [f"/home/somebody/images/{{}}/{k}.png {{}},5,{{}},9,0\n".format for k in range(3)]
    (tmp_path / "with.txt").write_text("".join(line("a", 64, 68) for line in lines))
    (tmp_path / "without.txt").write_text("".join(line("z", 64, 68) for line in lines))
    report = check_dataset([tmp_path])
    assert _kinds(report) == {"box_outside": 3}
    assert {finding.place.split for finding in report.findings} == {"with"}
    assert any(
        note.startswith("boxes to the right") and "without" in note for note in report.notes
    )


def test_two_files_of_the_same_images_are_one_split(split_writer):
    w = split_writer
    root = w.write({"train": {"a": w.path(0)}, "train_again": {"a": w.path(0)}})
    report = check_dataset([root])
    assert report.findings == ()
    assert "train_again lists the images of train: taken for the same split" in report.notes[-1]
    _edit(
        root / "annotations/train_again.json",
        lambda content: content["annotations"][5].update(bbox=[9, 9, 4, 4]),
    )
    (finding,) = check_dataset([root]).findings
    assert (finding.kind, finding.num_frames) == ("labels_differ", 1)


def test_image_listed_in_two_splits_is_a_leak(split_writer):
    w = split_writer
    a, b = w.path(0), w.path(1)
    root = w.write({"train": {"a": a, "b": b}, "test": {"a": a}})
    assert _kinds(check_dataset([root])) == {"leak_names": 1, "leak_paths": 1}


def test_equal_names_with_other_boxes_are_other_frames_unless_the_images_are_there(split_writer):
    w = split_writer
    splits = {"one": {"1": w.path(0), "2": w.path(5)}, "two": {"1": w.path(1), "3": w.path(6)}}
    report = check_dataset([w.write(splits)])
    assert report.findings == ()
    assert any("share 40 image names, most with other boxes" in note for note in report.notes)
    images = {name: w.scenes(int(name)) for name in "123"}
    kinds = _kinds(check_dataset([w.write(splits, images=images)]))
    assert kinds == {"leak_names": 1, "leak_images": 1}


def test_targets_of_frames_without_boxes_stay_absent(split_writer):
    root = split_writer.write({"train": {"a": split_writer.path(0)}})
    _edit(root / "annotations/train.json", lambda content: content["annotations"].clear())
    assert _kinds(check_dataset([root])) == {"no_boxes": 1}


def _export(images: int, categories: list[dict], category_id: int, num_boxes: int) -> dict:
    """A COCO file of one sequence, as exports of other tools look."""
    return {
        "images": [
            {"id": k, "file_name": f"s/{k}.png", "height": 30, "width": 40} for k in range(images)
        ],
        "annotations": [
            {"id": k, "image_id": k, "category_id": category_id, "bbox": [3 + k, 4, 5, 5]}
            for k in range(num_boxes)
        ],
        "categories": categories,
    }


def test_a_category_without_boxes_before_the_one_with_boxes_is_named(tmp_path):
    categories = [{"id": 0, "name": "birds"}, {"id": 1, "name": "drone"}, {"id": 2, "name": "z"}]
    (tmp_path / "a.json").write_text(json.dumps(_export(9, categories, 1, 9)))
    (finding,) = check_dataset([tmp_path / "a.json"], with_images=False).findings
    assert finding.kind == "category_unused"
    assert "category 0 ('birds')" in finding.message
    assert "model.head.num_classes=2" in finding.message


def test_a_category_that_only_groups_others_is_no_class(tmp_path):
    categories = [
        {"id": 0, "name": "drones", "supercategory": "none"},
        {"id": 1, "name": "drone", "supercategory": "drones"},
    ]
    (tmp_path / "a.json").write_text(json.dumps(_export(9, categories, 1, 9)))
    report = check_dataset([tmp_path / "a.json"], with_images=False)
    assert report.findings == ()
    assert any("category 0 ('drones') only groups others" in note for note in report.notes)
    labels = read_coco(tmp_path / "a.json", tmp_path, check_images=False)
    assert labels.class_ids.tolist() == [0] * 9


def test_labels_without_a_box_that_counts_are_found(tmp_path):
    content = _export(9, [{"id": 1, "name": "drone"}], 1, 2)
    for entry in content["annotations"]:
        entry["iscrowd"] = "1"
    (tmp_path / "a.json").write_text(json.dumps(content))
    report = check_dataset([tmp_path / "a.json"], with_images=False)
    assert [finding.kind for finding in report.findings] == ["no_boxes"]


def test_sequences_of_one_folder_are_checked_apart_and_told(tmp_path):
    content = _export(20, [{"id": 1, "name": "drone"}], 1, 20)
    for k, image in enumerate(content["images"]):
        image["file_name"] = f"x/s{k // 10}_{k % 10}.png"
    (tmp_path / "a.json").write_text(json.dumps(content))
    report = check_dataset([tmp_path / "a.json"], with_images=False)
    assert report.splits[0].num_sequences == 2
    assert any("2 sequences by the beginnings of the names" in note for note in report.notes)
    pattern = r"x/s(?P<frame>\d)_"
    with pytest.raises(DataError, match="are both frame 0"):
        check_dataset([tmp_path / "a.json"], with_images=False, sequence_pattern=pattern)
