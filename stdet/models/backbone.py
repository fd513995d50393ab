"""Per-frame features; the weights are shared over time.

Symbols of the papers: C1 .. C5 are the outputs of stem, dark2, .., dark5 at feature strides
2, 4, 8, 16, 32.
"""

from __future__ import annotations

from torch import Tensor, nn

from stdet.models.layers import ConvBnAct, CspLayer, SpaceToDepth, SpatialPyramidPooling


class CspDarknet(nn.Module):
    """CSPDarknet with a Focus stem, scalable in depth and width.

    At depth 0.33 and width 0.50 the stages have 32, 64, 128, 256 and 512 channels.

    Args:
        in_channels: 1 for grey, 3 for repeated grey.
        depth: Multiplies the number of bottlenecks (3, 9, 9, 3), at least one each.
        width: Multiplies the channels (64, 128, 256, 512, 1024).
        num_stages: Stages including the stem, 2 to 5. The last one holds the SPP block.

    Source:
        YOLOX (arXiv 2107.08430), the backbone of SSTNet (TGRS 2024). Fewer than five stages are
        ours: targets of a few pixels need a stride-4 output more than a stride-32 context.
    """

    def __init__(
        self, *, in_channels: int, depth: float, width: float, num_stages: int = 5
    ) -> None:
        """Build the stages."""
        super().__init__()
        self.channels = tuple(int(64 * 2**stage * width) for stage in range(num_stages))
        self.feature_strides = tuple(2 ** (stage + 1) for stage in range(num_stages))
        self.stem = nn.Sequential(SpaceToDepth(), ConvBnAct(4 * in_channels, self.channels[0], 3))
        base_depth = max(round(depth * 3), 1)
        num_blocks = (base_depth, 3 * base_depth, 3 * base_depth, base_depth)
        self.stages = nn.ModuleList()
        for stage in range(1, num_stages):
            channels = self.channels[stage]
            is_last = stage == num_stages - 1
            layers: list[nn.Module] = [ConvBnAct(self.channels[stage - 1], channels, 3, stride=2)]
            if is_last:
                layers.append(SpatialPyramidPooling(channels))
            layers.append(
                CspLayer(channels, channels, num_blocks[stage - 1], is_residual=not is_last)
            )
            self.stages.append(nn.Sequential(*layers))

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Compute the features of each frame.

        Args:
            frames: (N, in_channels, H, W), normalised; H and W multiples of the last stride.

        Returns:
            C1, C2, ... with shapes (N, channels[i], H / feature_strides[i], W / ...).
        """
        features = [self.stem(frames)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features
