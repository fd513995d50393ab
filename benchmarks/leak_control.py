"""Count path agreements between two splits, as they are and with the second mirrored.

    python benchmarks/leak_control.py TRAIN_LABELS TEST_LABELS

Mirroring left to right keeps the statistics of a split and destroys every true match, so what
agrees then agrees by chance. Label files as for `stdet data check`; no images are opened.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from stdet.dataset_check.label_checks import trajectories_of
from stdet.dataset_check.splits import load_split
from stdet.dataset_check.trajectories import AgreementRules, Trajectory, find_agreements
from stdet.formats.label_files import find_label_files

TOLERANCES_PX = (1.0, 1.5, 2.0, 3.0)


def main() -> None:
    """Print a line per tolerance."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("labels", type=Path, nargs=2, help="label files")
    args = parser.parse_args()
    first, second = (read(path) for path in args.labels)
    num_first = 1 + max(target.sequence for target in first)
    second = [
        dataclasses.replace(target, sequence=target.sequence + num_first) for target in second
    ]
    print("tolerance   between splits   with the second mirrored   within splits")
    for tolerance_px in TOLERANCES_PX:
        rules = AgreementRules(tolerance_px=tolerance_px)
        found = find_agreements([*first, *second], rules)
        between = sum(a.first < num_first <= a.second for a in found)
        control = find_agreements([*first, *mirrored(second)], rules)
        by_chance = sum(a.first < num_first <= a.second for a in control)
        print(f"{tolerance_px:6.1f} px {between:16} {by_chance:26} {len(found) - between:15}")


def read(path: Path) -> list[Trajectory]:
    """Return the trajectories of a label file."""
    (file,) = find_label_files([path]).files
    return [
        target
        for number, truth in enumerate(load_split(file).truths)
        for target in trajectories_of(number, truth.annotation)
    ]


def mirrored(targets: list[Trajectory]) -> list[Trajectory]:
    """Exchange left and right within the area that all targets cover."""
    xs = np.concatenate([target.centres_xy[:, 0] for target in targets])
    edges = np.array([np.nanmin(xs) + np.nanmax(xs), 0.0])
    return [
        dataclasses.replace(target, centres_xy=edges + target.centres_xy * [-1, 1])
        for target in targets
    ]


if __name__ == "__main__":
    main()
