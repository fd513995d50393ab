"""Temporal low rank plus sparse: what registered frames of other times do not explain.

Letters: D (P, n) the matrix of n registered frames of P pixels, the frame itself first; L its
low-rank part, the background; S its sparse part, what moves.
"""

from __future__ import annotations

import math

import numpy as np

from stdet.classical.local_rms import finish_residual
from stdet.registration.registered_stream import RegisteredFrame
from stdet.types import FloatArray

RANK_WEIGHT = 0.5
"""mu in units of s sqrt(P), about the singular values of noise alone."""

SPARSE_WEIGHT = 3.0
"""lambda in units of s: what deviates by less is noise, not target."""

NUM_ITERATIONS = 10
"""Of the alternation; twice as many changed Pd on DAUB by less than 0.03, for half the speed."""

_MIN_NOISE = 1e-4
"""Smallest s, grey levels, full scale 1; a still scene without noise has none."""

_MAD_TO_STD = 1.4826
_MIN_COLUMNS = 3
"""With two, a target and the place that it left explain the difference equally well."""


def low_rank_residual(registered: RegisteredFrame) -> FloatArray:
    """Return the residual of a frame against the low-rank part of it and its references.

    The columns of D are the frames t, t - 4, ..., t - 20, each without bad pixels, moved by the
    transform of the background and less its median; at the start of a sequence later frames are
    the reference frames (``references.py``), and a short one gives fewer. With s
    the standard deviation of their noise, taken from successive differences, L and S minimise

        1/2 |D - L - S|_F^2 + mu |L|_* + lambda |S|_1,     mu = s sqrt(P) / 2,  lambda = 3 s,

    by alternating the two exact steps: L shrinks the singular values of D - S by mu (from the
    n x n Gram matrix, which is small), S shrinks the entries of D - L by lambda. How the column of
    the frame itself of D - L becomes the response is said in ``finish_residual``.

    Args:
        registered: With the reference frames of ``LAGS``.

    Returns:
        float32 (H, W); fewer than three frames give zeros.

    Source:
        Gao et al. 2013, "Infrared patch-image model for small target detection in a single image",
        for the functional; Candes et al. 2011 and Zhou et al. 2010 (stable principal component
        pursuit). Theirs is a matrix of overlapping patches of one frame and takes seconds per
        frame; ours is of successive frames, as a target that moves is what the past does not show,
        and its n x n decompositions cost nothing.
    """
    # One frame may stand for several, and for none but itself.
    number_of = {step: number for number, step in enumerate(registered.steps) if step}
    columns = [registered.image, *map(registered.overlaid, number_of.values())]
    if len(columns) < _MIN_COLUMNS:
        return np.zeros_like(registered.image)
    matrix = np.stack([column.ravel() - np.median(column) for column in columns], axis=1)
    residual = matrix[:, 0] - low_rank_part(matrix)[:, 0]
    return finish_residual(residual.reshape(registered.image.shape))


def low_rank_part(matrix: FloatArray) -> FloatArray:
    """Return L of D; see ``low_rank_residual``.

    Args:
        matrix: D, float32 (P, n), n at least 2.

    Returns:
        float32 (P, n).
    """
    steps = np.abs(np.diff(matrix, axis=1))
    noise = max(_MAD_TO_STD * float(np.median(steps)) / math.sqrt(2), _MIN_NOISE)
    rank_weight = RANK_WEIGHT * noise * math.sqrt(len(matrix))
    sparse_weight = np.float32(SPARSE_WEIGHT * noise)
    sparse = np.zeros_like(matrix)
    for _ in range(NUM_ITERATIONS):
        explained = matrix - sparse
        low_rank = _shrink_singular_values(explained, rank_weight)
        rest = matrix - low_rank
        sparse = rest - np.clip(rest, -sparse_weight, sparse_weight)
    return low_rank


def _shrink_singular_values(matrix: FloatArray, weight: float) -> FloatArray:
    """Lower every singular value of (P, n) by a weight, to no less than 0."""
    squares, vectors = np.linalg.eigh((matrix.T @ matrix).astype(np.float64))
    values = np.sqrt(np.maximum(squares, np.finfo(np.float64).tiny))
    kept = np.maximum(1 - weight / values, 0)
    shrunk: FloatArray = matrix @ ((vectors * kept) @ vectors.T).astype(np.float32)
    return shrunk
