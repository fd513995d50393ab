"""Folders of PNG masks: the truth and the predictions of segmentation work.

Layout: a folder of PNG files (one sequence, named like the folder), or a folder of such folders
(one sequence each), not both. Hidden files and files that are no images are left out; images in
another format are refused, since a mask that is silently not counted changes every score. Order is
natural: ``2.png`` before ``10.png``. Truth and prediction belong together by their path below the
two folders without suffix, such as ``seq1/0001``.

Pixels: grey PNG of 1, 8 or 16 bits, or RGB with three equal channels; all of a folder of one
depth. What is target is decided once per folder, from the levels of all its files:

    levels                             target              meant for
    1-bit, or no level above 1         1                   0/1 masks
    some level above half full scale   > half full scale   0/255 masks, probabilities

Full scale is 255 or 65535, so that 8-bit 127 is background and 128 is target: a probability above
0.5. A decision per file would turn the quietest frame of a probability folder, with no level above
1, into targets. What neither row describes is refused:

- no level above half full scale, but one above 1: class numbers, or 8-bit levels in 16-bit files;
- only 0, 1 and full scale, with both of the latter: 0/1 masks and 0/255 masks in one folder;
- palettes and alpha channels, where number and colour, or colour and cover, may disagree.

A folder that holds nothing but 0 is a folder of empty masks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stdet.errors import DataError
from stdet.io.frame_area import check_area
from stdet.io.frame_source import IMAGE_SUFFIXES
from stdet.io.images.errors import unreadable
from stdet.io.images.frame_numbers import natural_key
from stdet.io.images.reader import open_image
from stdet.types import BoolArray

_FULL_SCALE = {"1": 1, "L": 255, "RGB": 255, "I;16": 65535}
"""Largest level of each accepted Pillow mode."""


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskPair:
    """Truth and prediction of one image.

    Attributes:
        sequence: Name of the sequence: its folder.
        name: Path below the mask folder without suffix.
        prediction: bool (H, W).
        truth: bool (H, W).
    """

    sequence: str
    name: str
    prediction: BoolArray
    truth: BoolArray


@dataclass(frozen=True, kw_only=True, eq=False)
class MaskFolder:
    """The masks of one folder and the rule by which they are read.

    Attributes:
        path: The folder.
        files: Mask files by path below the folder without suffix, in natural order.
        full_scale: 1, 255 or 65535, the largest level the files can hold.
        threshold: Levels above this are target.
    """

    path: Path
    files: Mapping[str, Path]
    full_scale: int
    threshold: int

    @property
    def rule(self) -> str:
        """Say in a few words which pixels are target."""
        return f"level > {self.threshold} of {self.full_scale}"

    def read(self, name: str) -> BoolArray:
        """Read one mask, bool (H, W).

        Args:
            name: A key of ``files``.

        Raises:
            DataError: If the file is damaged.
        """
        levels, _ = _read_levels(self.files[name])
        is_target: BoolArray = levels > self.threshold
        return is_target


def open_mask_folder(path: Path) -> MaskFolder:
    """List a mask folder and find out which levels mean target; reads every file once.

    Args:
        path: Folder of PNG masks, or of sequence folders.

    Raises:
        DataError: If there are no masks, a file is damaged or of another kind than the others, or
            the levels are ambiguous.
    """
    files = _list_masks(path)
    surveys = [_survey(file) for file in files.values()]
    first = surveys[0]
    for other in surveys:
        if other.full_scale != first.full_scale:
            raise DataError(
                f"{other.file}: holds levels up to {other.full_scale}; expected up to "
                f"{first.full_scale} like {first.file}. Save all masks of a folder alike."
            )
    return MaskFolder(
        path=path, files=files, full_scale=first.full_scale, threshold=_threshold(path, surveys)
    )


def check_same_images(truth: MaskFolder, predictions: MaskFolder) -> None:
    """Check that two folders hold masks of the same images.

    Raises:
        DataError: If a mask of one folder has no counterpart in the other.
    """
    missing = [name for name in truth.files if name not in predictions.files]
    if missing:
        raise DataError(
            f"{predictions.path / missing[0]}.png: is missing, the prediction for "
            f"{truth.files[missing[0]]}{_others(missing)}. Save a mask for every image, an empty "
            "one where nothing was found."
        )
    unknown = [name for name in predictions.files if name not in truth.files]
    if unknown:
        raise DataError(
            f"{predictions.files[unknown[0]]}: is of an image without truth; expected "
            f"{truth.path / unknown[0]}.png{_others(unknown)}. Remove it, or add the truth."
        )


def mask_pairs(truth: MaskFolder, predictions: MaskFolder) -> Iterator[MaskPair]:
    """Read the masks of the same images, in the order of the truth.

    Args:
        truth: Opened folder.
        predictions: Opened folder; see ``check_same_images``.

    Raises:
        DataError: If the folders hold other images, a file is damaged, or a pair differs in size.
    """
    check_same_images(truth, predictions)
    for name in truth.files:
        pair = MaskPair(
            sequence=name.rpartition("/")[0] or truth.path.resolve().name,
            name=name,
            prediction=predictions.read(name),
            truth=truth.read(name),
        )
        if pair.prediction.shape != pair.truth.shape:
            (height, width), (gt_height, gt_width) = pair.prediction.shape, pair.truth.shape
            raise DataError(
                f"{predictions.files[name]}: is {width}x{height}; expected {gt_width}x{gt_height} "
                f"like {truth.files[name]}. Save predictions in the size of the original frames."
            )
        yield pair


@dataclass(frozen=True, kw_only=True)
class _Survey:
    """What the levels of one file say about the rule they were written by."""

    file: Path
    full_scale: int
    brightest: int
    has_one: bool
    has_full: bool
    has_between: bool


def _survey(file: Path) -> _Survey:
    pixels, full_scale = _read_levels(file)
    levels = np.flatnonzero(np.bincount(pixels.ravel()))
    return _Survey(
        file=file,
        full_scale=full_scale,
        brightest=int(levels[-1]),
        has_one=1 in levels,
        has_full=full_scale in levels,
        has_between=bool(((levels > 1) & (levels < full_scale)).any()),
    )


def _threshold(path: Path, surveys: list[_Survey]) -> int:
    """Return the level above which a pixel is target; see the module's table."""
    full_scale = surveys[0].full_scale
    half = full_scale // 2
    brightest = max(surveys, key=lambda survey: survey.brightest)
    if brightest.brightest <= 1:
        return 0
    if brightest.brightest <= half:
        raise DataError(
            f"{brightest.file}: level {brightest.brightest} is the highest in {path}, and not "
            f"above half of full scale ({full_scale}); expected 0/1 masks, or targets above "
            f"{half}. Save the masks as 0 and {full_scale}."
        )
    units = [survey.file for survey in surveys if survey.has_one]
    if units and not any(survey.has_between for survey in surveys):
        full = next(survey.file for survey in surveys if survey.has_full)
        raise DataError(
            f"{units[0]}: holds level 1, but {full} holds level {full_scale}, and {path} nothing "
            f"in between; 1 may be target or not. Save all masks as 0 and {full_scale}."
        )
    return half


def _list_masks(path: Path) -> dict[str, Path]:
    """Return the masks by path below the folder without suffix, in natural order."""
    found = _list_pngs(path)
    folders = [folder for folder in _entries(path) if folder.is_dir()]
    per_folder = {folder: _list_pngs(folder) for folder in folders}
    if found:
        mixed = [folder for folder, files in per_folder.items() if files]
        if mixed:
            raise DataError(
                f"{path}: holds masks of its own and in {mixed[0].name}; expected either a folder "
                "of masks or a folder of sequence folders. Pass one of them."
            )
        return _by_stem(path, found)
    for folder, files in per_folder.items():
        if not files:
            raise DataError(
                f"{folder}: holds no PNG masks; expected the masks of a sequence, like its "
                "neighbours. Remove it, or pass the folder that holds the sequence folders."
            )
        found += files
    if not found:
        raise DataError(f"{path}: holds no PNG masks; expected them there or in its subfolders.")
    return _by_stem(path, found)


def _by_stem(root: Path, files: list[Path]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for file in files:
        name = file.relative_to(root).with_suffix("").as_posix()
        if name in named:
            raise DataError(
                f"{file}: has the same name as {named[name]} but for the suffix; expected one "
                "mask per image. Remove one of them."
            )
        named[name] = file
    return named


def _list_pngs(folder: Path) -> list[Path]:
    """Return the PNG files right in a folder, in natural order; refuse images of other kinds."""
    files = [entry for entry in _entries(folder) if entry.is_file()]
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    pngs = [file for file in images if file.suffix.lower() == ".png"]
    others = [file for file in images if file not in pngs]
    if pngs and others:
        raise DataError(f"{others[0]}: is no PNG; convert it, or move it out of the mask folder.")
    if others:
        raise DataError(
            f"{others[0]}: is no PNG; expected masks as PNG, which keeps every pixel. Convert "
            "them."
        )
    return pngs


def _entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, hidden entries left out, in natural order."""
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(
            f"{folder}: cannot be listed ({error.strerror}); expected a folder of PNG masks. "
            "Check the path."
        ) from error
    return sorted(entries, key=lambda entry: natural_key(entry.name))


def _read_levels(file: Path) -> tuple[NDArray[np.uint16], int]:
    """Return the levels of a mask, uint16 (H, W), and the largest level it can hold."""
    with open_image(file, formats=("PNG",), max_megapixels=math.inf) as image:
        check_area((image.height, image.width), file, advice="masks so large are not scored")
        mode = "I;16" if image.mode == "I" else image.mode
        is_cut = mode == "RGB" and any(tile.args != "RGB" for tile in image.tile)
        has_transparency = "transparency" in image.info
        with unreadable(file):
            pixels = np.asarray(image)
    if mode not in _FULL_SCALE or has_transparency:
        kind = {"P": "a palette", "LA": "an alpha channel", "RGBA": "an alpha channel"}
        raise DataError(
            f"{file}: has {kind.get(mode, f'a transparent colour or mode {mode}')}; expected grey "
            "levels. Save the mask as plain grey PNG."
        )
    if is_cut:
        raise DataError(
            f"{file}: has colours of 16 bits, of which only 8 could be read; expected grey "
            "levels. Save the mask as plain grey PNG."
        )
    if mode == "RGB":
        if (pixels != pixels[..., :1]).any():
            raise DataError(
                f"{file}: is in colour; expected grey levels. Save the mask as plain grey PNG."
            )
        pixels = pixels[..., 0]
    return pixels.astype(np.uint16), _FULL_SCALE[mode]


def _others(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""
