"""Few points are compared each with each, many through trees: the pairs are the same."""

import numpy as np
import pytest

from stdet.tracking import neighbours
from stdet.tracking.neighbours import near_pairs


@pytest.mark.parametrize("num", [(0, 3), (1, 1), (7, 40), (50, 50)])
@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_the_same_with_and_without_trees(monkeypatch, num, seed):
    # Whole pixels: many pairs are exactly at the radius, and some points coincide.
    first, second = (np.random.default_rng(seed).integers(0, 30, (n, 2)) * 1.0 for n in num)
    found = []
    for limit in (0, 10**6):
        monkeypatch.setattr(neighbours, "_MAX_DENSE_PAIRS", limit)
        pairs = near_pairs(first, second, 5.0)
        assert (pairs.rows.dtype, pairs.columns.dtype) == (np.int64, np.int64)
        found.append(set(zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True)))
    distances = np.linalg.norm(first[:, None] - second, axis=-1)
    assert found[0] == found[1] == set(zip(*map(list, (distances <= 5).nonzero()), strict=True))
