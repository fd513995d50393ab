"""High-resolution FPN: the plain pyramid carried on by one level, with gradient.

    C5 -1x1-up-> cat(., C4) -CSP-> P4 -1x1-up-> cat(., C3) -CSP-> P3 -1x1-up-> cat(., C2) -CSP-> P2

with shapes, for C2..C5 of (c2, 2h, 2w), (c3, h, w), (c4, h/2, w/2), (c5, h/4, w/4): P4
(c4, h/2, w/2), P3 (c3, h, w), P2 (c2, 2h, 2w). It is the answer that BP-FPN is set against: the
same shallow map joins, at its own resolution instead of compressed, and gradient flows into it.

"High" is relative to the base, the plain FPN of the same configuration: the output is one octave
finer. At the published size (base stride 8) that is C2 and stride 4, as in the paper's comparison.
A native-resolution model has base stride 4 already; its high-resolution pyramid joins C1 and has
stride 2. Temporal module and head then see four times the cells, which is where the cost lies.

Source: Lin et al. 2017, "Feature Pyramid Networks for Object Detection" (arXiv 1612.03144), whose
finest level is P2; compared under this name in arXiv 2511.13013. Channels of the finest level are
our reading: those of its backbone level, unless the configuration names them.
"""

from __future__ import annotations

from collections.abc import Sequence

from stdet.models.necks.fpn import Fpn


class HighResolutionFpn(Fpn):
    """Top-down pyramid that ends one level above ``base_stride``; same interface as ``Fpn``.

    Args:
        in_channels: Channels of C1, C2, ... at feature strides 2, 4, ...
        base_stride: output stride of the plain FPN it is compared with; this one has half.
        depth: Depth factor of the backbone.
        out_channels: Channels of the returned level; None keeps those of its backbone level.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        base_stride: int,
        depth: float,
        out_channels: int | None = None,
    ) -> None:
        """Build one step more than the base has."""
        super().__init__(
            in_channels, output_stride=base_stride // 2, depth=depth, out_channels=out_channels
        )
