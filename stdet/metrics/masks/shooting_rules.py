"""The shooting rules as DeepPro and DTUM run them: on a true mask with a pixel for each target.

Source:
    Li et al. 2023, "Direction-Coded Temporal U-Shape Module for Multiframe Infrared Small Target
    Detection" (TNNLS), and the code of DTUM and DeepPro. Their test scripts hand masks of
    centroids to the rule (folder ``masks_centroid`` of NUDT-MIRSDT), so that windows lie about
    one pixel of each target. ``compatibility.dtum`` is the rule itself, on any mask.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from stdet.metrics.masks.compatibility import FALSE_REACH_PX, PublishedCounts, dtum
from stdet.metrics.masks.components import Components, find_components


def centroid_pixels(targets: Components) -> Components:
    """Reduce each component to the pixel that holds its centroid.

    Pixels that touch become one component, in the public code too.

    Example:
        >>> targets = find_components(np.ones((2, 4), dtype=bool))
        >>> centroid_pixels(targets).labels
        array([[0, 0, 0, 0],
               [0, 0, 1, 0]], dtype=int32)
    """
    mask = np.zeros_like(targets.labels, np.bool_)
    rows, columns = np.floor(targets.centroids_rc + 0.5).astype(np.int64).T
    mask[rows, columns] = True
    return find_components(mask)


def shooting_rules(found: Components, targets: Components) -> PublishedCounts:
    """Count as the public code does, which loses windows at the upper and left border.

    Args:
        found: Components of the prediction.
        targets: Components of the truth, a mask of the same size.
    """
    return dtum(found, centroid_pixels(targets))


def shooting_rules_mended(found: Components, targets: Components) -> PublishedCounts:
    """Count by the same rule with windows that end at the border of the frame.

    Args:
        found: Components of the prediction.
        targets: Components of the truth, a mask of the same size.
    """
    # With a margin as wide as a window, no window starts before the first row or column.
    with_margin = (
        dataclasses.replace(components, labels=np.pad(components.labels, FALSE_REACH_PX))
        for components in (found, centroid_pixels(targets))
    )
    return dataclasses.replace(dtum(*with_margin), num_pixels=found.labels.size)
