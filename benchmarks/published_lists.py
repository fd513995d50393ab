"""Digest public label files into stdet/formats/published_lists.json.

    python benchmarks/published_lists.py FOLDER

FOLDER holds the files as OWNER+REPOSITORY/FILE, such as UESTC-nnLab+SSTNet/coco_train_DAUB.txt.
The joint lists of CoMoE are read by their folders: their paths end alike in two data sets.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stdet.formats.image_runs import cut_into_runs
from stdet.formats.text_list import read_text_list
from stdet.metrics.truth_digest import digest_truth

OUT = Path(__file__).parents[1] / "stdet" / "formats" / "published_lists.json"

SETS = {
    "DAUB": ("", "SSTNet 95.59, HyperTea 95.59", [(256, 256)]),
    "DAUB-H": ("DAUB", "CoMoE 53.84", [(256, 256)]),
    "ITSDT-15K": (
        "",
        "MoPKL 79.78, iMoPKL 80.67, MOCID 86.84, TDCNet 88.17, MI-DETR 88.3, AMR 92.73",
        [(640, 480)],
    ),
    "IRDST": (
        "",
        "LASNet 74.50, MoPKL 74.54, HyperTea 76.42; MOCID 94.74, TDCNet 94.79 and AMR 97.53 are "
        "of another protocol under the same name, whose list is not public",
        [(720, 480), (934, 696)],
    ),
    "IRDST-R": ("IRDST", "CoMoE 69.47", [(720, 480), (934, 696)]),
    "DMIST": ("", "LASNet 76.47 on DMIST-60 and 65.70 on DMIST-100", [(256, 256)]),
}
"""Whose frames are divided anew; published mAP50, from the methods' own pages; sizes of frames."""


@dataclass(frozen=True)
class Source:
    """One public label file, or the part of it that lies in a folder."""

    data_set: str
    split: str
    repository: str
    file: str
    variant: str = ""
    folder: str = ""


SSTNET, TRIDOS, COMOE = "UESTC-nnLab/SSTNet", "UESTC-nnLab/Tridos", "UESTC-nnLab/CoMoE"
KCARD, SCORE = "xiaomingxige/KCARD", "xiaomingxige/SCORE"
SHIFTED = "boxes shifted by -1 px"
SOURCES = (
    Source("DAUB", "train", SSTNET, "coco_train_DAUB.txt"),
    Source("DAUB", "test", SSTNET, "coco_val_DAUB.txt"),
    Source("ITSDT-15K", "train", TRIDOS, "coco_train_ITSDT.txt"),
    Source("ITSDT-15K", "test", TRIDOS, "coco_val_ITSDT.txt"),
    Source("ITSDT-15K", "train", KCARD, "coco_realtrain_ITSDT.txt", "no empty frames"),
    Source("IRDST", "train", SSTNET, "coco_train_IRDST.txt"),
    Source("IRDST", "test", SSTNET, "coco_val_IRDST.txt"),
    Source("IRDST", "train", SCORE, "coco_train_re_IRDST.txt", SHIFTED),
    Source("IRDST", "test", SCORE, "coco_val_re_IRDST.txt", SHIFTED),
    Source("DAUB-H", "train", COMOE, "coco_train_multi.txt", folder="/DAUB-H/"),
    Source("DAUB-H", "test", COMOE, "coco_val_multi.txt", folder="/DAUB-H/"),
    Source("IRDST-R", "train", COMOE, "coco_train_multi.txt", folder="/IRDST/"),
    Source("IRDST-R", "test", COMOE, "coco_val_multi.txt", folder="/IRDST/"),
    Source("DMIST", "train", "UESTC-nnLab/DMIST", "DMIST_train.txt"),
)


def main() -> None:
    """Write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="of the label files")
    folder = parser.parse_args().folder
    content = {
        "sets": {
            name: {"re_split_of": origin, "figures": figures, "sizes_wh": sizes}
            for name, (origin, figures, sizes) in SETS.items()
        },
        "lists": [
            {
                "set": source.data_set,
                "split": source.split,
                "variant": source.variant,
                "source": source.repository,
                "file": source.file,
                "sequences": sequences(folder, source),
            }
            for source in SOURCES
        ],
    }
    text = json.dumps(content, indent=1)
    # One line for each sequence.
    text = text.replace("[\n     ", "[").replace(",\n     ", ", ").replace("\n    ]", "]")
    OUT.write_text(text + "\n", encoding="utf-8")


def sequences(folder: Path, source: Source) -> dict[str, tuple[int, int, str]]:
    """Return frames, boxes and digest of each sequence."""
    text = (folder / source.repository.replace("/", "+") / source.file).read_text("utf-8")
    lines = [line for line in text.splitlines() if source.folder in line]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / source.file
        path.write_text("\n".join(lines), encoding="utf-8")
        runs = cut_into_runs(read_text_list(path, Path(place), check_images=False))
    digests = [(run.annotation.name, digest_truth(run.annotation)) for run in runs]
    return {name: (d.num_frames, d.num_boxes, d.digest) for name, d in digests}


if __name__ == "__main__":
    main()
