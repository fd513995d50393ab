"""Time the generation of sequences: frames per second of one process and of two.

Usage: python benchmarks/synthesis.py [--sequences N] [--side PX]

Each process generates sequences of 50 frames drawn from the default ranges, canvases, truth,
masks and the measured contrast included; nothing is written. Wall time and CPU time are printed:
on a machine that others use, only the latter tells what it costs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor

from stdet.synthesis import SceneConfig, generate


def run(first_seed: int, num_sequences: int, side: int) -> float:
    """Generate sequences and return the CPU time in seconds."""
    config = SceneConfig(hw=(side, side))
    start = time.process_time()
    for seed in range(first_seed, first_seed + num_sequences):
        generate(config, seed=seed)
    return time.process_time() - start


def main() -> None:
    """Time one process, then two at the same time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sequences", type=int, default=20, help="per process (20)")
    parser.add_argument("--side", type=int, default=256, help="of the square frames, pixels (256)")
    args = parser.parse_args()
    num_frames = args.sequences * SceneConfig().num_frames
    context = multiprocessing.get_context("spawn")
    for num_processes in (1, 2):
        with ProcessPoolExecutor(num_processes, mp_context=context) as pool:
            warm = [pool.submit(run, 0, 1, args.side) for _ in range(num_processes)]
            [job.result() for job in warm]
            start = time.perf_counter()
            jobs = [
                pool.submit(run, 1000 * number, args.sequences, args.side)
                for number in range(num_processes)
            ]
            cpu = sum(job.result() for job in jobs)
            wall = time.perf_counter() - start
        total = num_frames * num_processes
        print(
            f"{num_processes} process(es): {total / wall:6.0f} frames/s by wall clock, "
            f"{total / cpu * num_processes:6.0f} by CPU time ({args.side}x{args.side})"
        )


if __name__ == "__main__":
    main()
