"""Outputs of a head that say where boxes are, for tests of what reads them."""

import math

import torch

from stdet.inference.engines.engine import ClipOutputs
from stdet.models.head import HeadOutputs


def _logit(score):
    return math.log(score / (1 - score))


def head_outputs(boxes_scores=(), *, grid_hw=(8, 8), stride=4, num_classes=1):
    """Outputs of one row that say nothing but ``boxes_scores``: (xyxy in input pixels, score).

    Each box is encoded at the cell that holds its centre; a third entry names the class.
    """
    obj = torch.full((1, 1, *grid_hw), -100.0)
    cls = torch.full((1, num_classes, *grid_hw), -100.0)
    offsets = torch.zeros(1, 4, *grid_hw)
    for (x1, y1, x2, y2), score, *class_id in boxes_scores:
        cx, cy = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride
        row, column = int(cy), int(cx)
        assert obj[0, 0, row, column] == -100, "two boxes in one cell"
        obj[0, 0, row, column] = 100.0
        cls[0, class_id[0] if class_id else 0, row, column] = _logit(score)
        offsets[0, :, row, column] = torch.tensor(
            [
                cx - (column + 0.5),
                cy - (row + 0.5),
                math.log((x2 - x1) / stride),
                math.log((y2 - y1) / stride),
            ]
        )
    return HeadOutputs(cls_logits=cls, obj_logits=obj, box_offsets=offsets, feature_stride=stride)


def clip_outputs(outputs, row=0):
    """A row of a head's outputs as an engine gives them."""
    cls, obj, box = (value[row : row + 1].detach().float().numpy() for value in outputs.tensors)
    return ClipOutputs(
        cls_logits=cls, obj_logits=obj, box_offsets=box, feature_stride=outputs.feature_stride
    )
