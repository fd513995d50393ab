"""A copy of a detector that computes the same with fewer operators, for inference alone.

BatchNorm goes into the convolution before it. Space to depth goes into the convolution after it: a
``k x k`` convolution of 2 x 2 blocks is one of ``2k x 2k`` cells at stride 2. What is left out is
a copy of every map in another order, which costs as much as the convolution.
"""

from __future__ import annotations

import copy
from itertools import pairwise

from einops import rearrange
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from stdet.models.detector import ClipDetector
from stdet.models.layers import ConvBnAct, SpaceToDepth


def fold_for_inference(detector: ClipDetector) -> ClipDetector:
    """Return a copy in eval mode whose convolutions hold their BatchNorm and space to depth."""
    folded = copy.deepcopy(detector).eval().requires_grad_(False)
    for block in folded.modules():
        if isinstance(block, ConvBnAct):
            block[0] = fuse_conv_bn_eval(_conv(block), _norm(block))
            block[1] = nn.Identity()
    for blocks in folded.modules():
        if isinstance(blocks, nn.Sequential):
            _fold_space_to_depth(blocks)
    return folded


def _fold_space_to_depth(blocks: nn.Sequential) -> None:
    """Fold what stands before a convolution into it, in place."""
    for number, (before, after) in enumerate(pairwise(blocks)):
        if isinstance(before, SpaceToDepth) and isinstance(after, ConvBnAct):
            after[0] = strided_conv(_conv(after))
            blocks[number] = nn.Identity()


def strided_conv(of_blocks: nn.Conv2d) -> nn.Conv2d:
    """Return the convolution of a map that equals one of its 2 x 2 blocks.

    Args:
        of_blocks: Of (B, 4C, h, w), the output of ``SpaceToDepth``; odd square kernel, stride 1,
            padding that keeps the size, with a bias.

    Returns:
        Of (B, C, 2h, 2w), with the same output. Sums are in another order, so that results
        differ by rounding.
    """
    kernel, padding = of_blocks.kernel_size[0], int(of_blocks.padding[0])
    weight: Tensor = rearrange(
        of_blocks.weight.detach(), "o (i j c) y x -> o c (y i) (x j)", i=2, j=2
    )
    conv = nn.Conv2d(
        weight.shape[1], of_blocks.out_channels, 2 * kernel, stride=2, padding=2 * padding
    )
    assert of_blocks.bias is not None
    conv.weight = nn.Parameter(weight.contiguous(), requires_grad=False)
    conv.bias = nn.Parameter(of_blocks.bias.detach().clone(), requires_grad=False)
    return conv


def _conv(block: ConvBnAct) -> nn.Conv2d:
    conv = block[0]
    assert isinstance(conv, nn.Conv2d)
    return conv


def _norm(block: ConvBnAct) -> nn.BatchNorm2d:
    norm = block[1]
    assert isinstance(norm, nn.BatchNorm2d)
    return norm
