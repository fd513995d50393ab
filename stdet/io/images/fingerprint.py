"""Fingerprints of images: one for equal pixels, one for images that look alike."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stdet.io.frame_source import RawImage

FLAT_HASH = 0
"""The hash of an image of one level; no other image has it."""

_SIDE = 32
_NUM_FREQUENCIES = 8


def pixel_digest(raw: RawImage) -> bytes:
    """Return 16 bytes that are equal for images of equal size, depth and pixels.

    Args:
        raw: uint8 or uint16 (H, W).
    """
    header = f"{raw.dtype} {raw.shape}".encode()
    return hashlib.blake2b(header + np.ascontiguousarray(raw).tobytes(), digest_size=16).digest()


def perceptual_hash(raw: RawImage) -> int:
    """Return 64 bits that hardly change when an image is scaled, brightened or compressed anew.

    The image is averaged down to 32x32 and its discrete cosine transform taken; bit (i, j) says
    whether coefficient (i, j) of the 8x8 lowest frequencies is above their median. The constant
    term counts neither in the median nor as a bit, so brightness does not matter. Frames of
    different scenes differed in at least 14 bits (`benchmarks/hash_distance.py`).

    Args:
        raw: uint8 or uint16 (H, W).

    Returns:
        The bits, or ``FLAT_HASH`` for an image of one level, which says nothing.

    Source:
        The common "pHash"; own arithmetic.
    """
    if raw.min() == raw.max():
        return FLAT_HASH
    small = Image.fromarray(raw.astype(np.float32)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    basis = _cosines()
    low = (basis @ np.asarray(small, np.float64) @ basis.T).ravel()
    bits = low > np.median(low[1:])
    bits[0] = False
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming(first: NDArray[np.uint64], second: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """Count the bits in which hashes differ; arrays broadcast.

    Example:
        >>> hamming(np.array([0b1011], np.uint64), np.array([0b0001, 0b1011], np.uint64))
        array([2, 0], dtype=uint8)
    """
    return np.bitwise_count(np.bitwise_xor(first, second))


@cache
def _cosines() -> NDArray[np.float64]:
    """Return the lowest frequencies of the cosine transform, (8, 32)."""
    frequencies = np.arange(_NUM_FREQUENCIES)[:, None]
    return np.asarray(np.cos(np.pi * frequencies * (2 * np.arange(_SIDE) + 1) / (2 * _SIDE)))
