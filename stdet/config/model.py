"""The detector: backbone, pyramid, temporal module and head."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from stdet.config.checks import STRICT, check_area

Down = Literal["space_to_depth", "strided_conv", "max_pool", "blur_pool"]
"""Downsampling of the shortcut; see ``models/necks/bp_fpn.py``."""
Join = Literal["add", "concat"]
"""How the shortcut joins."""
DgrKind = Literal[
    "none",
    "lateral_scale",
    "topdown_scale",
    "straight_through",
    "gate",
    "consistency",
    "balance",
    "project",
]
"""Member of the family of gradient routings; see ``models/necks/dgr.py`` for each equation."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class BackboneConfig:
    """CSPDarknet: stem, dark2 .. dark5."""

    depth: float = Field(default=0.33, gt=0, le=8)
    """Multiplies the number of bottlenecks (3, 9, 9, 3)."""
    width: float = Field(default=0.50, ge=1 / 32, le=8)
    """Multiplies the channels (64, 128, 256, 512, 1024)."""
    num_stages: Literal[3, 4, 5] = 5
    """Stages including the stem; 5 ends at C5 (stride 32), 4 at C4, 3 at C3."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class GilsConfig:
    """Gradient-isolated low-level shortcut of BP-FPN."""

    enabled: bool = True
    """False leaves only the directional gradient regularisation."""
    down: Down = "space_to_depth"
    """The learned downsampling of the shallow feature map."""
    join: Join = "add"
    """How the downsampled map joins the output level."""
    isolated: bool = True
    """False lets the gradient flow back into the shallow map: the control of an ablation."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class DgrConfig:
    """Directional gradient regularisation of BP-FPN."""

    type: DgrKind = "none"
    """Member of the family; see ``models/necks/dgr.py`` for each equation."""
    scale: float = Field(default=0.5, ge=0, le=1)
    """a of `lateral_scale` and `topdown_scale`: gradients are multiplied by it; 0 detaches."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class PyramidConfig:
    """Per-frame pyramid; yields one level."""

    type: Literal["fpn", "high_resolution", "hourglass", "bp_fpn"] = "fpn"
    """Plain top-down FPN, FPN with an output one octave finer, hourglass FPN, or BP-FPN."""
    output_stride: Literal[4, 8, 16] = 8
    """feature_stride of the plain FPN's output in input pixels; `high_resolution` has half."""
    channels: int | None = Field(default=None, gt=0, le=8192)
    """Channels of the output level; None keeps those of the backbone level of its stride."""
    hourglass_repeats: int = Field(default=1, ge=1, le=16)
    """Ways down and up again after the first way up; used by `hourglass` only."""
    gils: GilsConfig = GilsConfig()
    """Used by `bp_fpn` only."""
    dgr: DgrConfig = DgrConfig()
    """Used by `bp_fpn` only."""

    @property
    def feature_stride(self) -> int:
        """feature_stride of the level that the head sees, in input pixels."""
        return self.output_stride // (2 if self.type == "high_resolution" else 1)

    @property
    def has_consistency_loss(self) -> bool:
        """Whether training adds the loss of DGR's `consistency`."""
        return self.type == "bp_fpn" and self.dgr.type == "consistency"


@dataclass(config=STRICT, frozen=True, kw_only=True)
class TemporalConfig:
    """Fusion of T per-frame feature maps into those of the key frame."""

    type: Literal["motion_coupling"] = "motion_coupling"
    """Module: the published motion coupling; see ``models/temporal``."""
    num_frames: int = Field(default=5, ge=2, le=64)
    """T."""
    frame_stride: int = Field(default=1, ge=1)
    """Source frames per step of the clip."""
    num_future_frames: int = Field(default=0, ge=0)
    """Frames of the clip after the key frame; 0 is causal, with the key frame last."""
    expansion: float = Field(default=2.0, gt=0, le=16)
    """Hidden channels of each two-convolution block of `motion_coupling`, as a multiple of the
    channels."""
    residual: bool = False
    """Add the key frame's own features to those of `motion_coupling`; not part of the published
    module."""

    def __post_init__(self) -> None:
        """Check that the key frame lies within the clip."""
        if self.num_future_frames >= self.num_frames:
            raise ValueError(
                f"num_future_frames {self.num_future_frames} must be below num_frames "
                f"{self.num_frames}"
            )


@dataclass(config=STRICT, frozen=True, kw_only=True)
class HeadConfig:
    """YOLOX decoupled head."""

    channels: int = Field(default=256, gt=0, le=8192)
    """Width of the head."""
    num_convs: int = Field(default=2, ge=1, le=64)
    """3x3 convolutions in each of the two branches."""
    num_classes: int = Field(default=1, ge=1, le=10_000)
    """Classes."""


@dataclass(config=STRICT, frozen=True, kw_only=True)
class ModelConfig:
    """The detector."""

    name: str = "unnamed"
    """Shown in tables and stored with the weights."""
    in_channels: Literal[1, 3] = 3
    """1 for grey input, 3 to repeat grey three times as published."""
    background: bool = False
    """Give the network three more channels: what moves against the registered background,
    how far it stands out there, and how far in the frame itself
    (``background_features.py``). Not part of the published method."""
    long_term: bool = False
    """With `background`: two channels more, what differs from the scene 24 to 120 frames before.
    They show targets that hover."""
    scales: tuple[int, ...] = (1,)
    """The network looks at the frames as they are (1), at half their size (2), and so on, with the
    same weights, and what it finds is merged. Larger targets look like small ones there."""
    input_hw: tuple[int, int] | None = None
    """Letterbox size (height, width) in pixels; None keeps the native resolution."""
    pixel_mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    """Subtracted, per channel, in units of the full scale."""
    pixel_std: tuple[float, ...] = (0.229, 0.224, 0.225)
    """Divided by, per channel."""
    backbone: BackboneConfig = BackboneConfig()
    """Backbone."""
    pyramid: PyramidConfig = PyramidConfig()
    """Pyramid."""
    temporal: TemporalConfig = TemporalConfig()
    """Temporal fusion."""
    head: HeadConfig = HeadConfig()
    """Head."""
    motion_loss: bool = False
    """Build the training-only cross-slice ConvLSTM of the motion loss."""
    motion_channels: int = Field(default=64, gt=0, le=1024)
    """Hidden channels of that ConvLSTM."""

    def __post_init__(self) -> None:
        """Check what spans several fields."""
        if len(self.pixel_mean) != self.in_channels or len(self.pixel_std) != self.in_channels:
            raise ValueError(
                f"pixel_mean and pixel_std need {self.in_channels} values (in_channels), got "
                f"{len(self.pixel_mean)} and {len(self.pixel_std)}"
            )
        if not self.scales or min(self.scales) < 1 or len(set(self.scales)) < len(self.scales):
            raise ValueError(f"scales needs different values >= 1, got {list(self.scales)}")
        if min(self.pixel_std) <= 0:
            raise ValueError(f"pixel_std needs positive values, got {list(self.pixel_std)}")
        deepest = 2**self.backbone.num_stages
        if self.pyramid.output_stride >= deepest:
            raise ValueError(
                f"pyramid.output_stride {self.pyramid.output_stride} needs a deeper backbone than "
                f"num_stages {self.backbone.num_stages} (stride {deepest})"
            )
        if self.input_hw and any(side < 1 or side % deepest for side in self.input_hw):
            raise ValueError(
                f"input_hw {list(self.input_hw)} must be positive multiples of {deepest}"
            )
        check_area("input_hw", self.input_hw)
