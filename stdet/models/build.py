"""From configuration to modules: the one place that knows both."""

from __future__ import annotations

from stdet.config import ModelConfig
from stdet.models.backbone import CspDarknet
from stdet.models.detector import ClipDetector, Pyramid
from stdet.models.head import DecoupledHead
from stdet.models.motion import MotionPrior
from stdet.models.necks.bp_fpn import BpFpn, GradientIsolatedShortcut
from stdet.models.necks.dgr import GradientRouter
from stdet.models.necks.fpn import Fpn
from stdet.models.temporal import MotionCoupling

BACKGROUND_STD = (0.05, 2.0, 2.0)
"""Divide the background maps: residual in units of full scale, and the two contrasts."""


def num_input_channels(config: ModelConfig) -> int:
    """Return the channels of a frame as the network sees it, background maps included."""
    return config.in_channels + len(BACKGROUND_STD) * config.background


def build_detector(config: ModelConfig) -> ClipDetector:
    """Build an untrained detector."""
    backbone = CspDarknet(
        in_channels=num_input_channels(config),
        depth=config.backbone.depth,
        width=config.backbone.width,
        num_stages=config.backbone.num_stages,
    )
    neck = build_pyramid(config, backbone.channels)
    temporal = MotionCoupling(
        neck.out_channels,
        config.temporal.num_frames,
        expansion=config.temporal.expansion,
        is_residual=config.temporal.residual,
    )
    head = DecoupledHead(
        neck.out_channels,
        channels=config.head.channels,
        num_convs=config.head.num_convs,
        num_classes=config.head.num_classes,
        feature_stride=neck.output_stride,
    )
    extra_std = BACKGROUND_STD if config.background else ()
    return ClipDetector(
        backbone=backbone,
        neck=neck,
        temporal=temporal,
        head=head,
        pixel_mean=(*config.pixel_mean, *([0.0] * len(extra_std))),
        pixel_std=(*config.pixel_std, *extra_std),
    )


def build_pyramid(config: ModelConfig, in_channels: tuple[int, ...]) -> Pyramid:
    """Build the per-frame pyramid for backbone levels of ``in_channels``."""
    pyramid = config.pyramid
    fpn = Fpn(
        in_channels,
        output_stride=pyramid.output_stride,
        depth=config.backbone.depth,
        out_channels=pyramid.channels,
    )
    if pyramid.type == "fpn":
        return fpn
    shortcut = None
    if pyramid.gils.enabled:
        shortcut = GradientIsolatedShortcut(
            in_channels[fpn.output_index - 1],
            fpn.out_channels,
            down=pyramid.gils.down,
            join=pyramid.gils.join,
        )
    router = GradientRouter(pyramid.dgr.type, scale=pyramid.dgr.scale)
    return BpFpn(fpn, router=router, shortcut=shortcut)


def build_motion_prior(config: ModelConfig) -> MotionPrior | None:
    """Build the training-only motion prior, or None where ``motion_loss`` is off."""
    if not config.motion_loss:
        return None
    widths = [int(64 * 2**stage * config.backbone.width) for stage in range(5)]
    channels = config.pyramid.channels
    if channels is None:
        channels = widths[config.pyramid.output_stride.bit_length() - 2]
    return MotionPrior(num_input_channels(config), config.motion_channels, channels)
