"""Track generated sequences with several trackers and print their scores.

    python -m benchmarks.tracking --seeds 10

Run from the root of the repository. One thread; trackers take turns on each sequence.
"""

from __future__ import annotations

import argparse
import fnmatch

from benchmarks.tracking.contenders import own_contenders
from benchmarks.tracking.families import FAMILIES
from benchmarks.tracking.scores import FamilyScores, Mean, SequenceScores, score
from benchmarks.tracking.sequences import make_sequence


def main() -> None:
    """Print a line per family and tracker."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=10, help="sequences of each family (10)")
    parser.add_argument(
        "--families", nargs="+", default=["*"], metavar="PATTERN", help="their names (all)"
    )
    args = parser.parse_args()
    contenders = own_contenders()
    print(f"{'':<46}{'':<24}{'HOTA':>14}{'IDF1':>14}{'switches':>9}{'false/min':>22}{'fps':>8}")
    for family in FAMILIES:
        if not any(fnmatch.fnmatch(family.name, pattern) for pattern in args.families):
            continue
        scores: dict[str, list[SequenceScores]] = {one.name: [] for one in contenders}
        for seed in range(args.seeds):
            sequence = make_sequence(family, seed)
            for contender in contenders:
                scores[contender.name].append(score(contender, sequence))
        for name, found in scores.items():
            print(_line(family.name, name, FamilyScores.of(found)), flush=True)


def _line(family: str, contender: str, scores: FamilyScores) -> str:
    rate, low, high = scores.false_tracks_per_minute
    return (
        f"{family:<46}{contender:<24}{_mean(scores.hota)}{_mean(scores.idf1)}"
        f"{scores.switches:9.1f}{rate:8.1f} ({low:.1f}-{high:.1f})".ljust(130)
        + f"{scores.frames_per_second:8.0f}"
    )


def _mean(mean: Mean) -> str:
    return f"{mean.mean:8.3f} +-{mean.half_width:.3f}"


if __name__ == "__main__":
    main()
