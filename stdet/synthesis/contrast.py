"""Brightness of a target from a wanted signal-to-clutter ratio (SCR).

    SCR = |mean(T) - mean(B)| / std(B)

T are the pixels of the target: those that get at least half of the light of its brightest pixel.
B is the local background: the target's box grown by 8 px on each side and cut at the border of
the frame, less every target's box grown by 2 px. Both means and the deviation are of the frame
before quantisation; the noise of the sensor enters std(B) with its known variance.

The ring B is that of ``stdet evaluate`` (``contrast.py``). There the extent of a target
is unknown and its brightest 3x3 square stands for it; here it is known, and T is used.

Source:
    The local SCR of the infrared small-target literature, for example Gao et al. 2013 (IEEE TIP
    22(12), infrared patch-image model), Eq. for SCR = |mu_t - mu_b| / sigma_b. There B is a fixed
    margin about the target.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stdet.synthesis.spots import Float, Patch
from stdet.types import BoolArray, FloatArray

RING_PX = 8
"""How far the surroundings reach beyond a box, pixels."""
GAP_PX = 2
"""Width of the seam around a box that is neither target nor surroundings, pixels."""
MIN_RING_PIXELS = 16
"""Fewer pixels give no standard deviation worth the name; the whole window is taken then."""
LEAST_SHARE = 0.25
"""The target's own light never falls below this share of what a flat background would need: a
target on top of something bright adds to it, and is then brighter than wanted."""
LEAST_STD = 1e-4
"""Deviation of a perfectly flat background, fractions of the full scale."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The local background of one target in one frame.

    Attributes:
        mean: Level of B.
        std: Its deviation, with the noise of the sensor.
        under: Mean level of the background on the pixels of the target.
    """

    mean: float
    std: float
    under: float


def near_targets(hw: tuple[int, int], boxes_xyxy: Sequence[Float]) -> BoolArray:
    """Mark the pixels within 2 px of any box, bool (H, W)."""
    is_near = np.zeros(hw, np.bool_)
    for box in boxes_xyxy:
        is_near[_window(box, GAP_PX)] = True
    return is_near


def measure_surroundings(
    scene: FloatArray,
    is_near_target: BoolArray,
    patch: Patch,
    box_xyxy: Float,
    *,
    noise_std: float,
) -> Surroundings:
    """Measure the background of a target in a frame without targets.

    Args:
        scene: float32 (H, W), all but the targets and the white noise.
        is_near_target: See ``near_targets``.
        patch: Light of the target.
        box_xyxy: Box of the target.
        noise_std: Of the white noise that will be added.
    """
    window = _window(box_xyxy, RING_PX)
    around = scene[window]
    ring = around[~is_near_target[window]]
    if ring.size < MIN_RING_PIXELS:
        ring = around.ravel()
    if not ring.size:
        ring = scene[patch.rows, patch.columns].ravel()
    under = scene[patch.rows, patch.columns][patch.support()]
    return Surroundings(
        mean=float(ring.mean()),
        std=max(math.hypot(float(ring.std()), noise_std), LEAST_STD),
        under=float(under.mean() if under.size else ring.mean()),
    )


def light_for_scr(
    patch: Patch, surroundings: Surroundings, *, scr: float, sign: float, least: float = 0.0
) -> float:
    """Return the total light that gives a target the wanted SCR.

    Args:
        patch: Light of the target.
        surroundings: Its background.
        scr: Wanted ratio, at least 0.
        sign: 1 for warm, -1 for cold targets.
        least: Smallest level that the brightest pixel is raised or lowered by.

    Returns:
        Light to multiply ``patch.light`` by; negative for cold targets.
    """
    wanted = scr * surroundings.std
    lacking = wanted - sign * (surroundings.under - surroundings.mean)
    light = max(lacking, LEAST_SHARE * wanted) / patch.core
    return sign * max(light, least / patch.peak)


def measure_scr(
    frame: FloatArray, is_near_target: BoolArray, patch: Patch, box_xyxy: Float
) -> float:
    """Measure the SCR of a target in a finished frame, signed: negative is colder.

    Returns:
        The ratio; NaN where the surroundings are of one level, or no pixel of the target in view.
    """
    window = _window(box_xyxy, RING_PX)
    ring = frame[window][~is_near_target[window]]
    if ring.size < MIN_RING_PIXELS:
        ring = frame[window].ravel()
    std = float(ring.std()) if ring.size else 0.0
    target = frame[patch.rows, patch.columns][patch.support()]
    if std == 0 or not target.size:
        return math.nan
    return (float(target.mean()) - float(ring.mean())) / std


def _window(box_xyxy: Float, margin: int) -> tuple[slice, slice]:
    """Return rows and columns of a box grown by a margin: pixels whose centre lies inside."""
    x1, y1, x2, y2 = np.ceil(box_xyxy - 0.5).astype(int).tolist()
    return (
        slice(max(y1 - margin, 0), max(y2 + margin, 0)),
        slice(max(x1 - margin, 0), max(x2 + margin, 0)),
    )
