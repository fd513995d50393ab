"""Label lists that papers use, known by the digests of their sequences.

``published_lists.json`` holds facts about public label files and none of their content: for each
sequence its frames, its boxes and the digest of ``truth_digest.py``. A list is known whatever its
format, its name and the paths in it. `python benchmarks/published_lists.py` makes the file.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from stdet.io.images.frame_numbers import natural_key
from stdet.metrics.truth_digest import TruthDigest, digest_all

_MAX_NAMED = 5
"""Sequences that are named in one line."""


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """A data protocol that numbers in papers belong to.

    Attributes:
        name: Such as ``IRDST-R``.
        re_split_of: Data set whose frames it divides anew; "" for a data set of its own.
        figures: Published mAP50 on its test list, per cent, with the method; "" where none.
        sizes_wh: Sizes that its frames have, smallest first; empty where unknown.
    """

    name: str
    re_split_of: str
    figures: str
    sizes_wh: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedList:
    """One public label file.

    Attributes:
        data_set: What it is a split of.
        split: `train` or `test`.
        variant: What sets it apart from the usual list of that split; "" for the usual one.
        source: GitHub repository.
        file: Its name there.
        sequences: Truth of each sequence by name.
    """

    data_set: PublishedSet
    split: str
    variant: str
    source: str
    file: str
    sequences: Mapping[str, TruthDigest]

    @property
    def name(self) -> str:
        """Data set, split and variant."""
        return f"{self.data_set.name} {self.split}" + (f", {self.variant}" if self.variant else "")

    @property
    def num_frames(self) -> int:
        """Frames, with and without targets."""
        return sum(truth.num_frames for truth in self.sequences.values())

    @property
    def num_boxes(self) -> int:
        """Targets."""
        return sum(truth.num_boxes for truth in self.sequences.values())

    @functools.cached_property
    def digests(self) -> frozenset[str]:
        """Digests of its sequences."""
        return frozenset(truth.digest for truth in self.sequences.values())

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of names and truth of all sequences."""
        return digest_all(self.sequences)


@dataclass(frozen=True, kw_only=True)
class Identified:
    """Sequences that are those of a published list.

    Attributes:
        published: The list.
        num_sequences: How many of its sequences they are.
        also_in: Lists of other data sets that hold them too; empty where they are a whole list.
    """

    published: PublishedList
    num_sequences: int
    also_in: tuple[PublishedList, ...]

    def __str__(self) -> str:
        """Return the name of the list, or which part of it."""
        total = len(self.published.sequences)
        if self.num_sequences == total:
            return self.published.name
        text = f"{self.num_sequences} of {total} sequences of {self.published.name}"
        if self.also_in:
            text += f" (all of them also in {', '.join(known.name for known in self.also_in)})"
        return text


@functools.cache
def published_lists() -> tuple[PublishedList, ...]:
    """Return all lists that are known."""
    path = resources.files("stdet.formats").joinpath("published_lists.json")
    content = json.loads(path.read_text("utf-8"))
    sets = {
        name: PublishedSet(
            name=name,
            re_split_of=facts["re_split_of"],
            figures=facts["figures"],
            sizes_wh=tuple((width, height) for width, height in facts["sizes_wh"]),
        )
        for name, facts in content["sets"].items()
    }
    return tuple(
        PublishedList(
            data_set=sets[facts["set"]],
            split=facts["split"],
            variant=facts["variant"],
            source=facts["source"],
            file=facts["file"],
            sequences={
                name: TruthDigest(num_frames=frames, num_boxes=boxes, digest=digest)
                for name, (frames, boxes, digest) in facts["sequences"].items()
            },
        )
        for facts in content["lists"]
    )


def identify(sequences: Mapping[str, TruthDigest]) -> Identified | None:
    """Find the list that all sequences are from, whatever their names.

    Args:
        sequences: Truth by name.

    Returns:
        The list that they are, else one that they are a part of, rather of an original data set
        than of one that divides its frames anew; None where one of them is of no list.
    """
    digests = {truth.digest for truth in sequences.values()}
    holders = [known for known in published_lists() if digests <= known.digests]
    if not digests or not holders:
        return None
    whole = [known for known in holders if digests == known.digests]
    best = min(whole or holders, key=lambda known: bool(known.data_set.re_split_of))
    others = [known for known in holders if known.data_set != best.data_set]
    return Identified(
        published=best,
        num_sequences=len(sequences),
        also_in=() if whole else tuple(others),
    )


def describe(sequences: Mapping[str, TruthDigest], *, file: str) -> str | None:
    """Say what a label file is, or how it differs from the published one that it resembles.

    Args:
        sequences: Its truth by sequence.
        file: Its name.

    Returns:
        One line; None where it resembles none.
    """
    found = identify(sequences)
    if found is not None:
        known = found.published
        verb = "this is" if found.num_sequences == len(known.sequences) else "these are"
        return f"{verb} {found} as in {_origin(known)}: {_counts(known)}{_figures(known)}"
    digests = {truth.digest for truth in sequences.values()}
    like = max(published_lists(), key=lambda known: _resemblance(known, digests, file))
    if not any(_resemblance(like, digests, file)):
        return None
    return (
        f"this is another version of {like.name}, so no number on it compares with those on "
        f"{_origin(like)}: {_differences(sequences, like)}."
    )


def overlaps(known: PublishedList) -> list[tuple[PublishedList, int]]:
    """Return the lists of other splits that hold some of a list's sequences, and how many."""
    others = [
        (other, len(known.digests & other.digests))
        for other in published_lists()
        if (other.data_set.name, other.split) != (known.data_set.name, known.split)
    ]
    return [(other, count) for other, count in others if count]


def _origin(known: PublishedList) -> str:
    return f"github.com/{known.source}, {known.file}"


def _counts(known: PublishedList) -> str:
    return (
        f"{len(known.sequences)} sequences, {known.num_frames:,} {known.split} frames, "
        f"{known.num_boxes:,} boxes (hash {known.sha256[:12]})."
    )


def _figures(known: PublishedList) -> str:
    """Say what is published on a list, and which other splits share its sequences."""
    text = ""
    if known.data_set.figures:
        text += f" Published mAP50 on {known.data_set.name}: {known.data_set.figures}."
    shared = [f"{count} in {other.name}" for other, count in overlaps(known)]
    if shared:
        text += f" Its sequences are in other lists too: {', '.join(shared)}."
    return text


def _resemblance(known: PublishedList, digests: set[str], file: str) -> tuple[int, int]:
    """Rank how much a label file is like a list: by its sequences, then by its name."""
    return len(known.digests & digests), int(known.file == file)


def _differences(sequences: Mapping[str, TruthDigest], known: PublishedList) -> str:
    """Say which sequences of a label file differ from a list, with counts."""
    parts = []
    for title, names in (
        ("missing", known.sequences.keys() - sequences.keys()),
        ("besides", sequences.keys() - known.sequences.keys()),
    ):
        if names:
            parts.append(f"{title} {_listing(sorted(names, key=natural_key))}")
    changed = [
        f"{name} ({_change(truth, known.sequences[name])})"
        for name, truth in sequences.items()
        if name in known.sequences and known.sequences[name].digest != truth.digest
    ]
    if changed:
        parts.append(f"different {_listing(changed)}")
    equal = sum(truth.digest in known.digests for truth in sequences.values())
    return "; ".join([f"{equal} of {len(known.sequences)} sequences are equal", *parts])


def _change(truth: TruthDigest, usual: TruthDigest) -> str:
    """Say how a sequence differs from the published one."""
    if (truth.num_frames, truth.num_boxes) == (usual.num_frames, usual.num_boxes):
        return "other boxes"
    return (
        f"{truth.num_frames} frames and {truth.num_boxes} boxes instead of {usual.num_frames} and "
        f"{usual.num_boxes}"
    )


def _listing(names: list[str]) -> str:
    """Join names, but not hundreds of them."""
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more
