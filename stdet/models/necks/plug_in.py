"""BP-FPN for any backbone, in place of torchvision's ``FeaturePyramidNetwork``.

    C_n ---------- 1x1 ---------------------------------------> 3x3 -> P_n
                     |
                    up = U
                     |
    C_i -DGR- 1x1 -> + = fused --DGR--------------------------> 3x3 -> P_i
                     |                                  (the finest: + Down(sg(C_0)))
                    ...

with shapes, for C_i of (c_i, h_i, w_i), each twice the size of the next: all P (out_channels,
h_i, w_i). C_0, the first level given, is used by the shortcut alone and yields no level.

Source: Lin et al. 2017, "Feature Pyramid Networks for Object Detection" (arXiv 1612.03144) for the
plain pyramid; ``bp_fpn.py`` and ``dgr.py`` for shortcut and gradients, whose classes it uses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

from stdet.config import DgrKind, Down, Join
from stdet.models.necks.bp_fpn import GradientIsolatedShortcut
from stdet.models.necks.dgr import GradientRouter, LevelConsistency


class BPFPN(nn.Module):
    """BP-FPN with the interface of ``torchvision.ops.FeaturePyramidNetwork``.

    Args:
        in_channels: Channels of every level given, shallowest first. Each level has half the size
            of the one before; the first is for the shortcut and is not returned.
        out_channels: Channels of every level returned.
        gils: False leaves the shortcut out; the first level is then given and not used, so that
            the two can be compared.
        down: Downsampling of the shortcut; see ``GradientIsolatedShortcut``.
        join: How it joins the finest level.
        dgr: Member of the DGR family; see ``stdet/models/necks/dgr.py``.
        dgr_scale: a of ``lateral_scale`` and ``topdown_scale``.
        extra_blocks: As in torchvision, such as ``LastLevelMaxPool``.

    Attributes:
        consistency_loss: With ``dgr="consistency"``, the loss of the last forward pass in training
            mode, to be added to the total by the caller; else None.

    Raises:
        ValueError: If fewer than two levels are given.

    Example:
        >>> import torch
        >>> neck = BPFPN(in_channels=[8, 16, 32], out_channels=12)
        >>> levels = [torch.zeros(1, c, s, s) for c, s in ((8, 32), (16, 16), (32, 8))]
        >>> {name: tuple(level.shape) for name, level in neck(levels).items()}
        {'1': (1, 12, 16, 16), '2': (1, 12, 8, 8)}
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int,
        *,
        gils: bool = True,
        down: Down = "space_to_depth",
        join: Join = "add",
        dgr: DgrKind = "none",
        dgr_scale: float = 0.5,
        extra_blocks: ExtraFPNBlock | None = None,
    ) -> None:
        """Build laterals, output convolutions, shortcut and router."""
        super().__init__()
        if len(in_channels) < 2:
            raise ValueError(
                f"in_channels has {len(in_channels)} level(s); expected at least 2: one for the "
                "shortcut and one to return."
            )
        shallow, *returned = in_channels
        self.out_channels = out_channels
        self.num_levels = len(in_channels)
        self.laterals = nn.ModuleList(nn.Conv2d(c, out_channels, 1) for c in returned)
        self.outputs = nn.ModuleList(
            nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in returned
        )
        for conv in (*self.laterals, *self.outputs):
            nn.init.kaiming_uniform_(conv.weight, a=1)  # As torchvision starts its pyramid.
            nn.init.zeros_(conv.bias)
        steps = (out_channels,) * (len(returned) - 1)
        self.router = GradientRouter(dgr, scale=dgr_scale, step_channels=steps)
        self.consistency = LevelConsistency(steps) if dgr == "consistency" and steps else None
        self.consistency_loss: Tensor | None = None
        self.shortcut = (
            GradientIsolatedShortcut(shallow, out_channels, down=down, join=join) if gils else None
        )
        self.extra_blocks = extra_blocks

    def forward(
        self, features: Mapping[str, Tensor] | Sequence[Tensor]
    ) -> OrderedDict[str, Tensor]:
        """Fuse the levels of a backbone.

        Args:
            features: Levels by name, or in a list (named "0", "1", ...), shallowest first;
                (N, in_channels[i], H_i, W_i) each.

        Returns:
            All but the first by their names, (N, out_channels, H_i, W_i), then those of
            ``extra_blocks``.

        Raises:
            ValueError: If the number of levels is another than that of ``in_channels``.
        """
        if not isinstance(features, Mapping):
            features = {str(number): level for number, level in enumerate(features)}
        if len(features) != self.num_levels:
            raise ValueError(f"got {len(features)} levels; in_channels names {self.num_levels}.")
        names, (shallow, *levels) = list(features)[1:], list(features.values())
        fused = self._fuse(levels)
        if self.shortcut is not None:
            fused[0] = self.shortcut(fused[0], shallow)
        results = [conv(level) for conv, level in zip(self.outputs, fused, strict=True)]
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, levels, names)
        return OrderedDict(zip(names, results, strict=True))

    def _fuse(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Carry the deepest level down through the laterals; shallowest first."""
        fused, pairs = [self.laterals[-1](levels[-1])], []
        for step in range(len(levels) - 1):
            place = len(levels) - 2 - step
            # torchvision's own sizes may be odd, so the size is that of the lateral.
            upsampled = F.interpolate(fused[-1], size=levels[place].shape[-2:], mode="nearest")
            upsampled, lateral = self.router.inputs(upsampled, levels[place])
            level = self.laterals[place](lateral) + upsampled
            fused.append(self.router.fused(level, upsampled, step))
            pairs.append((fused[-1], upsampled))
        self.consistency_loss = None
        if self.consistency is not None and self.training:
            self.consistency_loss = self.consistency(pairs)
        return fused[::-1]
