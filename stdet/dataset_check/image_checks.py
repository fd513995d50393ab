"""Checks that read every image: damage, blank images, sizes, equal frames, runs that look alike.

Videos are read in order, up to the last frame that is labelled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stdet.dataset_check.findings import Finding, place_at
from stdet.dataset_check.splits import Place, Split, places_of
from stdet.dataset_check.trajectories import true_runs
from stdet.errors import DataError
from stdet.io.frame_area import MAX_MEGAPIXELS
from stdet.io.frame_source import FrameSource, RawImage
from stdet.io.images.fingerprint import FLAT_HASH, hamming, perceptual_hash, pixel_digest
from stdet.io.images.folder import read_image
from stdet.io.intensity.blank_frames import SCENE_SHARE, share_of_one_level
from stdet.io.intensity.scene_levels import BLANK_SHARE
from stdet.processes.progress import ProgressBar

MAX_HASH_BITS = 6
"""Images look alike when their hashes differ in no more bits; those of different
scenes differ in at least 14 (`docs/datasets.md`)."""

MIN_ALIKE_FRAMES = 30
"""Shortest run of images that look alike, frames."""

_ANCHOR_STEP = 10
_NUM_OFFSETS = 8
"""Offsets of two sequences that are looked at; with a fixed camera all of them fit."""


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """What was seen of one image.

    Attributes:
        hw: Height and width, (0, 0) where it cannot be read.
        level_share: Share of the pixels that have the median level, NaN where it cannot be read.
        digest: Equal for equal pixels, b"" where it cannot be read.
        perceptual: See ``perceptual_hash``.
        error: Why it cannot be read, "" where it can.
    """

    hw: tuple[int, int]
    level_share: float
    digest: bytes
    perceptual: int
    error: str


def look_at_images(
    splits: Sequence[Split], *, max_megapixels: float = MAX_MEGAPIXELS
) -> dict[Path, ImageFacts]:
    """Read every image and labelled frame that exists, each once, with progress on stderr."""
    present = {
        split.labels.paths[row]
        for split in splits
        for row in np.flatnonzero(split.is_present).tolist()
    }
    facts: dict[Path, ImageFacts] = {}
    if not present:
        return facts
    with ProgressBar("reading images", len(present)) as progress:
        for split in splits:
            for run, video in zip(split.runs, split.videos, strict=True):
                paths = [split.labels.paths[row] for row in run.rows if split.is_present[row]]
                unseen = {at: path for at, path in enumerate(paths) if path not in facts}
                if video is None:
                    seen = _look_at_images(unseen, max_megapixels=max_megapixels)
                else:
                    seen = _look_at_video(video, unseen)
                for at, fact in seen:
                    facts[paths[at]] = fact
                    progress.advance()
    return facts


def check_files(split: Split, facts: dict[Path, ImageFacts]) -> Iterator[Finding]:
    """Yield missing, unreadable and blank images, and those of another size than expected.

    Where no image of the split exists none is reported: the labels came without images.
    """
    if not split.is_present.any():
        return
    for number, run in enumerate(split.runs):
        seen = [facts.get(split.labels.paths[row]) for row in run.rows]
        yield from _blank_images(split, number, seen)
        if split.videos[number] is not None:
            yield from _unreadable_frames(split, number, seen)
            continue
        common = Counter(fact.hw for fact in seen if fact and not fact.error).most_common(1)
        for frame, (row, fact) in enumerate(zip(run.rows, seen, strict=True)):
            place = place_at(split, number, frame)
            if fact is None:
                yield Finding(kind="image_missing", place=place, message="does not exist")
            elif fact.error:
                yield Finding(kind="image_unreadable", place=place, message=fact.error)
            else:
                labelled: list[int] = split.labels.sizes_hw[row].tolist()
                message = _size_message(fact.hw, labelled, common[0][0])
                if message and split.has_size[row]:
                    yield Finding(kind="image_size", place=place, message=message)


def _unreadable_frames(
    split: Split, run: int, seen: Sequence[ImageFacts | None]
) -> Iterator[Finding]:
    """Yield the stretches of a video that cannot be read; it may lack a frame at a time."""
    errors = [fact.error if fact else "" for fact in seen]
    for start, stop in true_runs(np.array(errors) != ""):
        yield Finding(
            kind="image_unreadable",
            place=place_at(split, run, start),
            num_frames=stop - start,
            message=errors[start],
        )


def _blank_images(split: Split, run: int, seen: Sequence[ImageFacts | None]) -> Iterator[Finding]:
    """Yield the blank images of a sequence most of whose images show a scene."""
    shares = np.array([fact.level_share if fact else math.nan for fact in seen])
    is_readable = ~np.isnan(shares)
    if not is_readable.any() or np.median(shares[is_readable]) >= SCENE_SHARE:
        return  # Nothing to compare with, or flat by itself, as points on black.
    for start, stop in true_runs(shares >= BLANK_SHARE):
        yield Finding(
            kind="image_blank",
            place=place_at(split, run, start),
            num_frames=stop - start,
            message=f"one level in {shares[start:stop].min():.1%} of the pixels or more",
        )


def compare_frames(
    splits: Sequence[Split], copies: frozenset[int], facts: dict[Path, ImageFacts]
) -> list[Finding]:
    """Find frames with the same pixels, and runs of frames of two splits that look alike.

    Images of one level are left out.

    Args:
        splits: All splits.
        copies: Numbers of those that are not compared.
        facts: What ``look_at_images`` saw.
    """
    places = [place for place in places_of(splits) if place.split not in copies]
    frames = [
        [facts.get(splits[p.split].labels.paths[row]) for row in splits[p.split].runs[p.run].rows]
        for p in places
    ]
    findings = []
    equal = set()
    for first, second, start, lag, length in _equal_runs(frames):
        is_leak = places[first].split != places[second].split
        if length >= MIN_ALIKE_FRAMES:
            equal.add((first, second))
        kind = "leak_images" if is_leak else "repeated_images"
        findings.append(
            _finding(kind, splits, (places[first], places[second]), (start, lag, length))
        )
    hashes = [
        np.array([fact.perceptual if fact else FLAT_HASH for fact in sequence], np.uint64)
        for sequence in frames
    ]
    for first in range(len(places)):
        for second in range(first + 1, len(places)):
            pair = (places[first], places[second])
            if pair[0].split == pair[1].split or (first, second) in equal:
                continue
            run = _longest_alike(hashes[first], hashes[second])
            if run is not None:
                findings.append(_finding("leak_similar", splits, pair, run))
    return findings


def _look_at_images(
    paths: Mapping[int, Path], *, max_megapixels: float
) -> Iterator[tuple[int, ImageFacts]]:
    """Yield what is seen of some images."""
    for at, path in paths.items():
        try:
            yield at, _facts(read_image(path, max_megapixels=max_megapixels))
        except DataError as error:
            yield at, _unreadable(path, error)


def _look_at_video(
    video: FrameSource, frames: Collection[int]
) -> Iterator[tuple[int, ImageFacts]]:
    """Yield what is seen of some frames of a video, but for those at whose time it has none."""
    missing = set(frames)
    if not missing:
        return
    try:
        with video:
            for frame in video.frames(min(missing), max(missing) + 1):
                missing.discard(frame.index)
                yield frame.index, _facts(frame.pixels)
    except DataError as error:
        for index in sorted(missing):
            yield index, _unreadable(video.path, error)


def _facts(raw: RawImage) -> ImageFacts:
    height, width = raw.shape
    return ImageFacts(
        hw=(height, width),
        level_share=share_of_one_level(raw),
        digest=pixel_digest(raw),
        perceptual=perceptual_hash(raw),
        error="",
    )


def _unreadable(path: Path, error: DataError) -> ImageFacts:
    message = str(error).removeprefix(f"{path}: ")
    return ImageFacts(
        hw=(0, 0), level_share=math.nan, digest=b"", perceptual=FLAT_HASH, error=message
    )


def _size_message(hw: tuple[int, int], labelled: list[int], common: tuple[int, int]) -> str:
    """Say what is wrong with a size, "" for nothing."""
    if hw != common:
        return f"{hw[1]}x{hw[0]}; most of its sequence is {common[1]}x{common[0]}"
    if list(hw) != labelled:
        return f"{hw[1]}x{hw[0]}; the labels are for {labelled[1]}x{labelled[0]}"
    return ""


def _equal_runs(
    frames: Sequence[Sequence[ImageFacts | None]],
) -> list[tuple[int, int, int, int, int]]:
    """Return (sequence, sequence, first frame, lag, frames) of runs with the same pixels.

    A frame is compared with the last equal one of its own sequence, and with one of every earlier
    sequence, at the lag of the frame before where that fits.
    """
    owners: dict[bytes, dict[int, list[int]]] = {}
    pairs: dict[tuple[int, int, int], list[int]] = {}
    for second, sequence in enumerate(frames):
        last_lag: dict[int, int] = {}
        for frame, fact in enumerate(sequence):
            if fact is None or fact.perceptual == FLAT_HASH:  # Nothing is seen.
                continue
            seen = owners.setdefault(fact.digest, {})
            for first, earlier in seen.items():
                if first == second:
                    start = earlier[-1]
                else:
                    expected = frame - last_lag[first] if first in last_lag else earlier[0]
                    start = expected if expected in earlier else earlier[0]
                last_lag[first] = frame - start
                pairs.setdefault((first, second, frame - start), []).append(start)
            seen.setdefault(second, []).append(frame)
    runs = []
    for (first, second, lag), starts in pairs.items():
        numbers = np.array(starts, np.int64)
        for run in np.split(numbers, np.flatnonzero(np.diff(numbers) != 1) + 1):
            runs.append((first, second, int(run[0]), lag, len(run)))
    return sorted(runs)


def _longest_alike(
    first: NDArray[np.uint64], second: NDArray[np.uint64]
) -> tuple[int, int, int] | None:
    """Return (first frame, lag, frames) of the longest run that looks alike, None for none."""
    anchors = np.arange(0, len(first), _ANCHOR_STEP)
    is_alike = _are_alike(first[anchors][:, None], second[None])
    rows, columns = np.nonzero(is_alike)
    if not len(rows):
        return None
    lags, counts = np.unique(columns - anchors[rows], return_counts=True)
    best = (0, 0, 0)
    for lag in lags[np.argsort(-counts, kind="stable")[:_NUM_OFFSETS]].tolist():
        low, high = max(0, -lag), min(len(first), len(second) - lag)
        for start, stop in true_runs(_are_alike(first[low:high], second[low + lag : high + lag])):
            best = max(best, (stop - start, low + start, lag))
    length, start, lag = best
    return (start, lag, length) if length >= MIN_ALIKE_FRAMES else None


def _are_alike(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.bool_]:
    is_flat = (first == FLAT_HASH) | (second == FLAT_HASH)
    return np.asarray((hamming(first, second) <= MAX_HASH_BITS) & ~is_flat)


def _finding(
    kind: str, splits: Sequence[Split], pair: tuple[Place, Place], run: tuple[int, int, int]
) -> Finding:
    """Describe a run (first frame, lag, frames) that two sequences share."""
    start, lag, length = run
    first, second = pair
    plural = "s" if length > 1 else ""
    return Finding(
        kind=kind,
        place=place_at(splits[first.split], first.run, start),
        num_frames=length,
        other=place_at(splits[second.split], second.run, start + lag),
        message=(
            f"hashes differ in at most {MAX_HASH_BITS} of 64 bits: the same recording or scene"
            if kind == "leak_similar"
            else f"{length:,} frame{plural} with the same pixels"
        ),
    )
