"""MOTChallenge folders as several tools write them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stdet.config import DataConfig, SourceConfig, StdetConfig
from stdet.datasets.splits import load_sequences
from stdet.errors import DataError
from stdet.evaluation.from_files import score_files
from stdet.formats.mot_folder import read_mot_folder

FULL = "[Sequence]\nname=s\nimDir=img1\nframeRate=25\nseqLength=4\nimWidth=9\nimHeight=7\n"


def make(folder: Path, *, info: str | None = FULL, images: str | None = "img1") -> Path:
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text("1,1,2,2,3,3,1,1,1\n3,1,2,2,3,3,1,1,1\n")
    if info is not None:
        (folder / "seqinfo.ini").write_text(info, encoding="utf-8-sig")
    if images is not None:
        (folder / images).mkdir()
        for number in range(4):
            pixels = np.full((7, 9), number, np.uint8)
            Image.fromarray(pixels).save(folder / images / f"{number + 1:06d}.png")
    return folder


@pytest.mark.parametrize(
    ("info", "images"),
    [
        (FULL, "img1"),
        (FULL.replace("imDir=img1", "imDir=img"), "img"),
        (FULL.replace("imDir=img1\n", ""), "img"),
        (FULL.replace("imDir=img1\n", ""), "images"),
        (FULL.replace("imDir=img1", "imDir=frames"), "frames"),
        (FULL + "imExt=.jpg\n", "img1"),
        (FULL.upper().replace("=S\n", "=s\n").replace("=IMG1", "=img1"), "img1"),
        ("[sequence]\nname=s\n", "img1"),
        (None, "img1"),
    ],
    ids=["full", "imDir", "img", "images", "other", "imExt", "case", "parts", "no-info"],
)
def test_layouts_of_other_tools_are_read(tmp_path: Path, info: str | None, images: str):
    make(tmp_path / "s", info=info, images=images)
    config = DataConfig(root=tmp_path, train=(SourceConfig(format="mot", annotations=Path(".")),))
    (sequence,) = load_sequences(config, "train")
    assert (sequence.name, len(sequence), sequence.annotation.image_hw) == ("s", 4, (7, 9))
    assert sequence.annotation.frame_indices.tolist() == [0, 2]


def test_images_are_counted_and_their_absence_is_told(tmp_path: Path):
    folder = make(tmp_path / "s", info=FULL.replace("seqLength=4", "seqLength=5"))
    with pytest.raises(DataError, match=r"img1: holds 4 images; seqinfo\.ini says seqLength 5"):
        read_mot_folder(folder)
    make(tmp_path / "t" / "s", images=None)
    config = DataConfig(
        root=tmp_path / "t", train=(SourceConfig(format="mot", annotations=Path(".")),)
    )
    with pytest.raises(DataError, match=r"img1: holds no images.*imDir"):
        load_sequences(config, "train")


def test_truth_alone_is_scored_where_the_size_is_given(tmp_path: Path):
    folder = make(tmp_path / "s", info=None, images=None)
    (tmp_path / "found.txt").write_text("1,1,2,2,3,3,1\n3,1,2,2,3,3,1\n4,1,2,2,3,3,1\n")
    with pytest.raises(DataError, match="--size HxW"):
        score_files(folder, tmp_path / "found.txt", StdetConfig())
    report = score_files(folder, tmp_path / "found.txt", StdetConfig(), image_hw=(7, 9)).report
    assert (report.overall.pd_fa.pd, report.rules.num_frames) == (1, 4)


@pytest.mark.parametrize("length", ["1000000000", "99999999"])
def test_a_length_that_no_sequence_has_is_refused(tmp_path: Path, length: str):
    folder = make(tmp_path / "s", info=FULL.replace("=4", f"={length}"), images=None)
    with pytest.raises(DataError, match="expected at most 10,000,000"):
        read_mot_folder(folder)
