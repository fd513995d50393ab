"""What registration and background features take per frame, against an older checkout.

    git worktree add /tmp/old 5bd3d70
    python benchmarks/registration_cost.py FOOTAGE ... --against /tmp/old

Registration is that of a stream: bad and static pixels and one alignment per frame. In every round
each checkout takes all frames once, in a process of its own. Times are processor time of one
thread, medians over the rounds, so they hold beside other work.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HERE = Path(__file__).resolve().parents[1]
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)


def main() -> None:
    """Print a row per footage and part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("footage", nargs="*", type=Path, help="videos or folders of images")
    parser.add_argument("--against", type=Path, help="folder of the older checkout")
    parser.add_argument("--frames", type=int, default=80, help="of each footage (default: 80)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--take", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.take is not None:
        print(*_milliseconds(np.load(args.take)))
        return
    if not args.footage or args.against is None:
        parser.error("give FOOTAGE and --against CHECKOUT")
    print(f"{'footage':<28}{'part':<22}{'before ms':>10}{'now ms':>8}{'before / now':>14}")
    for path in args.footage:
        frames = np.stack(list(itertools.islice(_frames(path), args.frames)))
        rows = _compare(frames, args.against, rounds=args.rounds)
        for part, (before, now) in rows.items():
            print(f"{path.name:<28}{part:<22}{before:>10.1f}{now:>8.1f}{before / now:>14.2f}")


def _frames(path: Path) -> Iterator[NDArray[np.float32]]:
    """Yield frames, float32 (H, W) in [0, 1]."""
    from stdet.io.open_source import open_source

    with open_source(path) as source:
        for frame in source.frames():
            yield source.scale.apply(frame.pixels)


def _compare(
    frames: NDArray[np.float32], older: Path, *, rounds: int
) -> dict[str, tuple[float, float]]:
    """Return the medians of the older checkout and of this one, by part, ms per frame."""
    taken: list[list[list[float]]] = [[], []]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "frames.npy"
        np.save(file, frames)
        for _, (number, checkout) in itertools.product(
            range(rounds), enumerate((older.resolve(), _HERE))
        ):
            found = subprocess.run(
                [sys.executable, str(Path(__file__).resolve()), "--take", str(file)],
                env={**os.environ, **_ONE_THREAD, "PYTHONPATH": str(checkout)},
                cwd=checkout,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            taken[number].append([float(each) for each in found.stdout.split()])
    before, now = (np.median(np.array(each), axis=0) for each in taken)
    names = ("registration", "background features", "both")
    return dict(zip(names, zip(before.tolist(), now.tolist(), strict=True), strict=True))


def _milliseconds(frames: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return what registration, features and both take with the `stdet` in PYTHONPATH."""
    push, flush, look = _of_checkout()
    registration = features = 0.0
    for frame in [*frames, None]:
        start = time.process_time()
        registered = flush() if frame is None else push(frame)
        between = time.process_time()
        for each in registered:
            look(each)
        registration += between - start
        features += time.process_time() - between
    per_frame = 1e3 / len(frames)
    both = registration + features
    return registration * per_frame, features * per_frame, both * per_frame


def _of_checkout() -> tuple[Callable[..., Any], Callable[[], Any], Callable[[Any], Any]]:
    """Return push and flush of a new stream, and the features of what comes out of it."""
    # An import that fails would not tell: an installed `stdet` fills in what a checkout lacks.
    if not Path("stdet/registration").is_dir():
        return _of_5bd3d70()
    from stdet.registration.background_features import LAGS, background_features
    from stdet.registration.registered_stream import RegisteredStream

    stream: RegisteredStream[None] = RegisteredStream(LAGS)

    def push(frame: NDArray[np.float32]) -> Any:
        return stream.push(frame, None)

    return push, stream.flush, lambda each: background_features(each.frame)


def _of_5bd3d70() -> tuple[Callable[..., Any], Callable[[], Any], Callable[[Any], Any]]:
    """Return the same of commit 5bd3d70, where frames were registered by translations."""
    from stdet.data.background import (  # type: ignore[import-not-found]
        LAGS,
        background_maps,
    )
    from stdet.data.registered_stream import (  # type: ignore[import-not-found]
        RegisteredStream,
    )

    stream = RegisteredStream(LAGS)
    return (
        stream.push,
        stream.flush,
        lambda each: background_maps(each.image, each.others, each.shifts_xy),
    )


if __name__ == "__main__":
    main()
