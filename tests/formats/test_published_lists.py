import os
from dataclasses import replace
from pathlib import Path

import pytest

from stdet.dataset_check.check import check_dataset
from stdet.formats import published_lists as module
from stdet.formats.image_runs import cut_into_runs
from stdet.formats.label_files import find_label_files
from stdet.formats.published_lists import describe, identify, overlaps, published_lists
from stdet.metrics.truth_digest import TruthDigest, digest_truth

DOCS = Path(__file__).parents[2] / "docs" / "datasets.md"

FOLDER = os.environ.get("STDET_LABEL_LISTS")
"""Folder of published label files, which are not in this repository."""

COUNTS = {
    # Sequences, frames, boxes.
    "DAUB train": (10, 8_982, 8_982),
    "DAUB test": (7, 4_795, 4_795),
    "ITSDT-15K train": (40, 10_000, 37_686),
    "ITSDT-15K test": (20, 5_000, 23_151),
    "ITSDT-15K train, no empty frames": (40, 9_931, 37_686),
    "IRDST train": (42, 20_398, 21_038),
    "IRDST test": (43, 20_258, 20_763),
    "IRDST train, boxes shifted by -1 px": (42, 20_398, 21_038),
    "IRDST test, boxes shifted by -1 px": (43, 20_258, 20_763),
    "DAUB-H train": (8, 8_596, 8_596),
    "DAUB-H test": (9, 5_181, 5_181),
    "IRDST-R train": (23, 11_768, 11_924),
    "IRDST-R test": (7, 7_339, 7_585),
    "DMIST train": (10, 8_982, 26_946),
}

FILES = {
    # File: the list, and how many of its sequences it has.
    "coco_train_DAUB.txt": ("DAUB train", 10),
    "DAUB_instances_train2017.json": ("DAUB train", 10),
    "DAUB_instances_test2017_part.json": ("DAUB test", 3),
    "coco_train_ITSDT.txt": ("ITSDT-15K train", 40),
    "coco_val_ITSDT.txt": ("ITSDT-15K test", 20),
    "coco_train_IRDST.txt": ("IRDST train", 42),
    "coco_val_IRDST.txt": ("IRDST test", 43),
    "DMIST_train.txt": ("DMIST train", 10),
}


def known(name):
    return next(one for one in published_lists() if one.name == name)


def test_counts_are_those_of_the_public_files():
    assert {
        one.name: (len(one.sequences), one.num_frames, one.num_boxes) for one in published_lists()
    } == COUNTS
    hashes = {one.sha256 for one in published_lists()}
    assert len(hashes) == len(COUNTS)


def test_docs_have_the_table_of_lists():
    text = DOCS.read_text("utf-8")
    for one in published_lists():
        row = (
            f"| {one.name} | {one.source}, `{one.file}` | {len(one.sequences)} | "
            f"{one.num_frames:,} | {one.num_boxes:,} | `{one.sha256[:12]}` |"
        )
        assert row in text


@pytest.mark.parametrize("file", FILES)
def test_published_file_is_read_whole_and_known(file):
    if FOLDER is None:
        pytest.skip("STDET_LABEL_LISTS names no folder of published label files")
    if not (path := Path(FOLDER) / file).is_file():
        pytest.skip(f"{path} is not there")
    (found,) = find_label_files([path]).files
    (labels,) = found.read()
    runs = cut_into_runs(labels)
    name, num_sequences = FILES[file]
    one = known(name)
    assert len(runs) == num_sequences
    for run in runs:
        truth = one.sequences[run.annotation.name]
        assert len(run.files) == truth.num_frames
        assert digest_truth(run.annotation) == truth
    identified = identify({run.annotation.name: digest_truth(run.annotation) for run in runs})
    assert identified is not None
    assert identified.published is one
    assert identified.num_sequences == num_sequences


@pytest.mark.parametrize("one", published_lists(), ids=lambda one: one.name)
def test_every_list_is_itself_under_other_names(one):
    found = identify({f"x_{name}": truth for name, truth in one.sequences.items()})
    assert found is not None
    assert str(found) == one.name


def test_part_of_a_list_is_said_to_be_one_and_re_splits_that_have_it_too():
    daub = known("DAUB train").sequences
    assert str(identify({"data5": daub["data5"]})) == (
        "1 of 10 sequences of DAUB train (all of them also in DAUB-H train)"
    )
    itsdt = known("ITSDT-15K test").sequences
    assert str(identify({"58": itsdt["58"], "60": itsdt["60"]})) == (
        "2 of 20 sequences of ITSDT-15K test"
    )


def test_sequences_of_no_list_are_unknown():
    other = TruthDigest(num_frames=3, num_boxes=3, digest="0" * 16)
    assert identify({}) is None
    assert identify({"a": other, **known("DAUB train").sequences}) is None
    assert describe({"a": other}, file="labels.txt") is None


def test_re_split_of_daub_is_scored_on_what_others_train_on():
    shared = {other.name: count for other, count in overlaps(known("DAUB-H test"))}
    assert shared == {"DAUB train": 8}


def test_description_has_origin_counts_figures_and_overlaps():
    text = describe(known("IRDST-R test").sequences, file="val.txt")
    assert text == (
        "this is IRDST-R test as in github.com/UESTC-nnLab/CoMoE, coco_val_multi.txt: 7 sequences,"
        " 7,339 test frames, 7,585 boxes (hash 00469611e456). Published mAP50 on IRDST-R: CoMoE "
        "69.47. Its sequences are in other lists too: 7 in IRDST test."
    )


def test_another_version_of_a_list_says_what_differs_in_counts():
    sequences = dict(known("ITSDT-15K test").sequences)
    del sequences["87"]
    sequences["58"] = replace(sequences["58"], num_boxes=1649, digest="1" * 16)
    sequences["59"] = replace(sequences["59"], digest="2" * 16)
    sequences["100"] = replace(sequences["59"], digest="3" * 16)
    assert describe(sequences, file="any.txt") == (
        "this is another version of ITSDT-15K test, so no number on it compares with those on "
        "github.com/UESTC-nnLab/Tridos, coco_val_ITSDT.txt: 17 of 20 sequences are equal; missing "
        "87; besides 100; different 58 (250 frames and 1649 boxes instead of 250 and 1650), 59 "
        "(other boxes)."
    )


def test_file_of_the_name_of_a_list_is_compared_with_it_though_nothing_is_equal():
    text = describe(
        {"58": TruthDigest(num_frames=9, num_boxes=9, digest="4" * 16)}, file="coco_val_ITSDT.txt"
    )
    assert text is not None
    assert text.startswith("this is another version of ITSDT-15K test")
    assert "0 of 20 sequences are equal; missing 59, 60, 61, 62, 63 and 14 more" in text


def test_data_check_says_which_list_a_label_file_is(split_writer, monkeypatch):
    w = split_writer
    root = w.write({"train": {"a": w.path(0)}, "test": {"b": w.path(1)}})
    (train,) = (f for f in find_label_files([root]).files if "train" in f.split)
    (run,) = cut_into_runs(train.read()[0])
    one = replace(known("DAUB train"), sequences={"a": digest_truth(run.annotation)})
    monkeypatch.setattr(module, "published_lists", lambda: (one,))
    notes = check_dataset([root]).notes
    (note,) = (note for note in notes if "this is" in note)
    assert note.startswith(
        f"{train.split}: this is DAUB train as in github.com/UESTC-nnLab/SSTNet"
    )
