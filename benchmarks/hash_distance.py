"""Measure in how many bits the perceptual hashes of recordings differ.

    python benchmarks/hash_distance.py SOURCE SOURCE ...

SOURCE is a video or a folder of frames; the first 60 frames of each are read. Prints the pairs
of recordings whose closest frames differ least. Which of them show one scene is for people to say.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import numpy as np

from stdet.io.images.fingerprint import hamming, perceptual_hash
from stdet.io.open_source import open_source

NUM_FRAMES = 60
NUM_PRINTED = 20


def main() -> None:
    """Print the closest pairs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sources", type=Path, nargs="+", help="videos or folders of frames")
    args = parser.parse_args()
    hashes = {}
    for path in args.sources:
        source = open_source(path)
        stop = min(NUM_FRAMES, source.num_declared or NUM_FRAMES)
        frames = source.frames(0, stop)
        hashes[path] = np.array([perceptual_hash(frame.pixels) for frame in frames], np.uint64)
    pairs = sorted(
        (int(hamming(hashes[a][:, None], hashes[b][None]).min()), a.name, b.name)
        for a, b in itertools.combinations(hashes, 2)
    )
    print(f"{len(hashes)} recordings; bits between the closest frames:")
    for bits, first, second in pairs[:NUM_PRINTED]:
        print(f"{bits:3}  {first}  {second}")


if __name__ == "__main__":
    main()
