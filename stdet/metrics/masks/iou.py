"""Pixel IoU of binary masks over all images, and its mean over images (nIoU)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stdet.metrics.counts import add_fields, ratio
from stdet.metrics.masks.components import check_masks
from stdet.types import BoolArray


@dataclass(frozen=True, kw_only=True)
class MaskIou:
    """Pixel counts of binary masks, and the overlaps that follow from them.

    Attributes:
        intersection_pixels: Pixels of both masks, all images.
        union_pixels: Pixels of at least one of them, all images.
        sum_image_iou: Sum over images of their own intersection / union; an image without target
            adds 0, whatever was predicted.
        num_target_images: Images whose truth is not empty.
        num_images: All images.
    """

    intersection_pixels: int = 0
    union_pixels: int = 0
    sum_image_iou: float = 0.0
    num_target_images: int = 0
    num_images: int = 0

    def __add__(self, other: MaskIou) -> MaskIou:
        """Return the counts of both."""
        return add_fields(self, other)

    @property
    def iou(self) -> float:
        """Intersection / union over all images.

        BasicIRSTD prints it as mIoU. LMAFormer's code has the names the other way round: its nIoU
        is this number, its mIoU a mean over images in which two empty masks count as 1.
        """
        return ratio(self.intersection_pixels, self.union_pixels)

    @property
    def niou(self) -> float:
        """Mean IoU of the images that hold a target.

        False pixels on images without targets do not lower it; ``iou`` and Fa show them.
        """
        return ratio(self.sum_image_iou, self.num_target_images)

    @property
    def niou_all_images(self) -> float:
        """Mean over all images, as public code prints it: images without target count as 0.

        The same as ``niou`` where every image holds a target, as in single-frame sets. In video
        it falls with the share of empty frames, even if they were answered correctly.

        Source:
            Dai et al. 2021, "Asymmetric Contextual Modulation for Infrared Small Target
            Detection", and its code: github.com/YimianDai/open-acm, ``metric/samplewise.py``.
        """
        return ratio(self.sum_image_iou, self.num_images)


def mask_iou(prediction: BoolArray, truth: BoolArray) -> MaskIou:
    """Count the overlap of one pair of masks.

    Args:
        prediction: bool (H, W).
        truth: bool (H, W).

    Raises:
        ValueError: If the masks are not bool or differ in shape.
    """
    check_masks(prediction, truth)
    intersection = int(np.count_nonzero(prediction & truth))
    union = int(np.count_nonzero(prediction | truth))
    return MaskIou(
        intersection_pixels=intersection,
        union_pixels=union,
        sum_image_iou=intersection / union if union else 0.0,
        num_target_images=int(truth.any()),
        num_images=1,
    )
