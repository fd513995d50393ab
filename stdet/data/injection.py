"""Draw synthetic moving targets into real clips, with labels.

A target is a Gaussian spot integrated over each pixel, on a straight path at constant speed, added
with a peak that is a multiple of the local standard deviation. Six short segments hold a handful
of targets; injection shows the network many more positions, speeds, sizes and contrasts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SIGMA_RANGE_PX = (0.5, 2.2)
"""Width of the spot, drawn log-uniformly; 0.5 lights up a pixel or two, 2.2 about 9 x 9."""
SPEED_RANGE_PX = (0.0, 4.0)
"""Speed in pixels per frame; DAUB's median is 1."""
CONTRAST_RANGE = (2.5, 12.0)
"""Peak over the local standard deviation, drawn log-uniformly."""
MIN_PEAK = 0.06
"""Smallest peak in units of the full scale: fainter spots drown in 8-bit quantisation."""
NEIGHBOURHOOD_PX = 8
"""Half side of the square whose standard deviation counts as local."""


def inject_targets(
    frames: Tensor,
    times: Tensor,
    positions_xy: Tensor,
    key_rows: Tensor,
    *,
    num_targets: int,
    box_side: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Add moving spots to a clip.

    Args:
        frames: float32 (W, C, H, W) in [0, 1], equal channels.
        times: float32 (W,), time of each frame, in frames.
        positions_xy: float32 (W, 2), displacement of the background; targets move on top of it.
        key_rows: int64 (K,), rows of ``frames`` whose boxes are wanted.
        num_targets: Spots to draw.
        box_side: Smallest side of a box, pixels; larger spots get six sigma.

    Returns:
        New frames, boxes float32 (M, 4) and the key slot of each box, int64 (M,). A spot that has
        left the frame has no box.
    """
    frames = frames.clone()
    height, width = frames.shape[-2:]
    boxes, slots = [], []
    for _ in range(num_targets):
        path = _draw_path(times - times[key_rows].mean(), height, width)
        path = path + positions_xy - positions_xy[key_rows].mean(dim=0)
        sigma = _draw_log(SIGMA_RANGE_PX)
        first_key = int(key_rows[0])
        peak = _draw_peak(frames[first_key, 0], path[first_key])
        side = max(box_side, 6 * sigma)
        for position, (x, y) in enumerate(path.tolist()):
            _add_spot(frames[position], x, y, sigma, peak)
        for slot, position in enumerate(key_rows.tolist()):
            x, y = path[position].tolist()
            if 0 <= x < width and 0 <= y < height:
                half = side / 2
                boxes.append([x - half, y - half, x + half, y + half])
                slots.append(slot)
    return (
        frames.clamp(0, 1),
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(slots, dtype=torch.int64),
    )


def _draw_path(times: Tensor, height: int, width: int) -> Tensor:
    """Return centres (W, 2) on a line that is inside the frame at time 0."""
    middle = torch.rand(2) * torch.tensor([float(width), float(height)])
    angle = 2 * math.pi * torch.rand(()).item()
    speed = _draw(SPEED_RANGE_PX)
    velocity = torch.tensor([math.cos(angle), math.sin(angle)]) * speed
    return middle + times[:, None] * velocity


def _draw_peak(image: Tensor, centre: Tensor) -> float:
    """Return the peak for a spot at ``centre``."""
    height, width = image.shape
    column = min(max(int(centre[0]), 0), width - 1)
    row = min(max(int(centre[1]), 0), height - 1)
    patch = image[
        max(row - NEIGHBOURHOOD_PX, 0) : row + NEIGHBOURHOOD_PX + 1,
        max(column - NEIGHBOURHOOD_PX, 0) : column + NEIGHBOURHOOD_PX + 1,
    ]
    return max(_draw_log(CONTRAST_RANGE) * float(patch.std(correction=0)), MIN_PEAK)


def _add_spot(frame: Tensor, x: float, y: float, sigma: float, peak: float) -> None:
    """Add one spot to (C, H, W) in place, integrated over each pixel."""
    height, width = frame.shape[-2:]
    reach = math.ceil(4 * sigma) + 1
    left, right = max(int(x) - reach, 0), min(int(x) + reach + 1, width)
    top, bottom = max(int(y) - reach, 0), min(int(y) + reach + 1, height)
    if left >= right or top >= bottom:
        return
    profile = torch.outer(
        _pixel_integral(top, bottom, y, sigma), _pixel_integral(left, right, x, sigma)
    )
    # Normalised so that a spot centred on a pixel adds `peak` there, whatever its width.
    centre_weight = math.erf(0.5 / (sigma * math.sqrt(2))) ** 2
    frame[:, top:bottom, left:right] += profile * (peak / centre_weight)


def _pixel_integral(first: int, last: int, centre: float, sigma: float) -> Tensor:
    """Integrate a unit Gaussian over pixels first..last - 1."""
    edges = (torch.arange(first, last + 1, dtype=torch.float32) - centre) / (sigma * math.sqrt(2))
    return torch.diff(torch.erf(edges)) / 2


def _draw(bounds: tuple[float, float]) -> float:
    return bounds[0] + (bounds[1] - bounds[0]) * torch.rand(()).item()


def _draw_log(bounds: tuple[float, float]) -> float:
    return math.exp(_draw((math.log(bounds[0]), math.log(bounds[1]))))
