import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from stdet.config import DataConfig, SourceConfig
from stdet.dataset_check.check import check_dataset
from stdet.dataset_synthesis.labelled import draw_labels
from stdet.datasets.splits import load_sequences
from stdet.errors import DataError
from stdet.formats import published_lists as module
from stdet.formats.coco_video import read_coco
from stdet.formats.text_list import read_text_list
from stdet.metrics.truth_digest import digest_truth

LIST = "".join(
    f"/home/public/X/images/{name}/{k}.{suffix}"
    + (f" {10 + k},20,{18 + k},27,0 40,{30 + k},52,{37 + k},0\n" if k % 2 else "\n")
    for name, suffix, num in (("1", "bmp", 5), ("20", "png", 3), ("3", "jpg", 4))
    for k in range(num)
)


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "given" / "train.txt"
    path.parent.mkdir()
    path.write_text(LIST)
    return path


@pytest.fixture
def drawn(labels, tmp_path):
    draw_labels([labels], tmp_path / "d", hw=(64, 96))
    return tmp_path / "d"


def test_what_is_drawn_reads_back_as_the_list_with_all_its_images(drawn, labels):
    assert (drawn / "train.txt").read_bytes() == labels.read_bytes()
    given = read_text_list(labels, drawn, check_images=False)
    found = read_text_list(drawn / "train.txt", drawn)
    assert found.paths == given.paths
    np.testing.assert_array_equal(found.boxes_xyxy, given.boxes_xyxy)
    np.testing.assert_array_equal(found.image_rows, given.image_rows)
    assert (found.sizes_hw == (64, 96)).all()
    images = {str(p.relative_to(drawn)) for p in drawn.rglob("*.*") if p.parent != drawn}
    assert images == {str(path.relative_to(drawn)) for path in given.paths}
    for path in found.paths:
        with Image.open(path) as image:
            kind = {".bmp": "BMP", ".png": "PNG", ".jpg": "JPEG"}[path.suffix]
            assert (image.mode, image.size, image.format) == ("L", (96, 64), kind)


def test_training_and_check_take_it_as_any_data_set(drawn):
    source = SourceConfig(format="text", annotations="train.txt")
    sequences = load_sequences(DataConfig(root=drawn, test=(source,)), "test")
    assert [(s.name, len(s), len(s.annotation)) for s in sequences] == [
        ("1", 5, 4),
        ("3", 4, 4),
        ("20", 3, 2),
    ]
    assert all(np.ptp(sequence.read(1)) > 0.05 for sequence in sequences)
    assert check_dataset([drawn]).findings == ()


def test_workers_draw_the_same_and_another_seed_something_else(drawn, labels, tmp_path):
    draw_labels([labels], tmp_path / "two", hw=(64, 96), num_processes=2)
    draw_labels([labels], tmp_path / "other", hw=(64, 96), seed=1)
    for path in drawn.rglob("images/*/*"):
        name = path.relative_to(drawn)
        assert (tmp_path / "two" / name).read_bytes() == path.read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != path.read_bytes()


def test_coco_file_states_the_size_and_stays_in_annotations(split_writer, tmp_path):
    w = split_writer
    root = w.write({"train": {"a": w.path(0)}})
    (path,) = (root / "annotations").glob("*.json")
    done = draw_labels([path], tmp_path / "d")
    given = read_coco(path, root, check_images=False)
    found = read_coco(tmp_path / "d" / "annotations" / path.name, tmp_path / "d")
    assert done.num_frames == len(found) == len(given)
    np.testing.assert_array_equal(found.boxes_xyxy, given.boxes_xyxy)
    with Image.open(found.paths[0]) as image:
        assert image.size == (given.sizes_hw[0, 1], given.sizes_hw[0, 0])


def test_published_list_gives_the_smallest_of_its_sizes_that_holds_the_targets(
    labels, tmp_path, monkeypatch
):
    labels.write_text(
        "images/1/0.bmp 700,40,723,50,0\nimages/2/0.bmp 800,500,808,508,0\nimages/3/0.bmp\n"
    )
    known = next(one for one in module.published_lists() if one.name == "IRDST test")
    truths = {}
    source = SourceConfig(format="text", annotations="train.txt")
    draw_labels([labels], tmp_path / "d", hw=(696, 934))
    for sequence in load_sequences(DataConfig(root=tmp_path / "d", test=(source,)), "test"):
        truths[sequence.name] = digest_truth(sequence.annotation)
    monkeypatch.setattr(module, "published_lists", lambda: (replace(known, sequences=truths),))
    draw_labels([labels], tmp_path / "d", overwrite=True)
    sizes = {}
    for path in (tmp_path / "d").rglob("*.bmp"):
        with Image.open(path) as image:
            sizes[path.parent.name] = image.size
    assert sizes == {"1": (720, 480), "2": (934, 696), "3": (720, 480)}
    notes = check_dataset([tmp_path / "d"]).notes
    assert any("this is IRDST test" in note for note in notes)
    assert "train: its frames are drawn (stdet synth)." in notes


@pytest.mark.parametrize("hw", [(15, 640), (40_000, 60_000)])
def test_frames_that_nothing_draws_or_reads_are_refused(tmp_path, hw):
    path = tmp_path / "a.txt"
    path.write_text("images/1/0.bmp 1,1,4,4,0\n")
    with pytest.raises(DataError, match=rf"frames of 1 are {hw[1]}x{hw[0]}; expected sides of 16"):
        draw_labels([path], tmp_path / "d", hw=hw)
    assert not (tmp_path / "d").exists()


def test_size_that_nothing_tells_must_be_given(labels, tmp_path):
    with pytest.raises(DataError, match=r"train\.txt: does not tell the size of its frames"):
        draw_labels([labels], tmp_path / "d")
    with pytest.raises(DataError, match=r"1 has boxes outside frames of 40x32; pass a larger"):
        draw_labels([labels], tmp_path / "d", hw=(32, 40))
    assert not (tmp_path / "d").exists()


def test_folder_in_the_way_is_refused_and_an_earlier_one_replaced(drawn, labels, tmp_path):
    with pytest.raises(DataError, match="is not empty; pass --overwrite"):
        draw_labels([labels], drawn, hw=(64, 96))
    labels.write_text("images/7/0.bmp 1,2,9,9,0\n")
    draw_labels([labels], drawn, hw=(64, 96), overwrite=True)
    assert [path.name for path in (drawn / "images").iterdir()] == ["7"]
    assert (drawn / "train.txt").read_text() == labels.read_text()
    assert json.loads((drawn / "synth.json").read_text())["labels"] == ["train.txt"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("/data/a/0.bmp 1,2,9,9,0", "lies outside"),
        ("../a/0.bmp 1,2,9,9,0", "lies outside"),
        ("images/a/0.bmp 1,2,1,9,0", "has no area"),
        ("", "lists no image"),
    ],
)
def test_list_that_cannot_be_drawn_is_one_line(labels, tmp_path, line, message):
    labels.write_text(f"{line}\n")
    with pytest.raises(DataError, match=message) as caught:
        draw_labels([labels], tmp_path / "d", hw=(64, 96))
    assert "\n" not in str(caught.value)


def test_image_of_two_lists_is_refused(labels, tmp_path):
    other = labels.with_name("other.txt")
    other.write_text("images/3/1.jpg 1,2,9,9,0\n")
    with pytest.raises(DataError, match=r"two of them name the image '1\.jpg' of '3'"):
        draw_labels([labels, other], tmp_path / "d", hw=(64, 96))
