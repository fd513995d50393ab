"""From configuration to modules: the one place that knows both."""

from __future__ import annotations

import torch

from stdet.config import ModelConfig, PyramidConfig, TemporalConfig
from stdet.errors import ConfigError
from stdet.models.backbone import CspDarknet
from stdet.models.detector import ClipDetector
from stdet.models.head import DecoupledHead
from stdet.models.interfaces import Pyramid, Temporal
from stdet.models.motion import MotionPrior
from stdet.models.necks.bp_fpn import BpFpn, GradientIsolatedShortcut
from stdet.models.necks.dgr import GradientRouter, LevelConsistency
from stdet.models.necks.fpn import Fpn
from stdet.models.necks.high_resolution_fpn import HighResolutionFpn
from stdet.models.necks.hourglass_fpn import HourglassFpn
from stdet.models.temporal.motion_coupling import MotionCoupling

BACKGROUND_STD = (0.05, 2.0, 2.0)
"""Divide the background features: residual in units of full scale, and the two contrasts."""
LONG_TERM_STD = (0.05, 2.0)
"""Divide the long-term residual and its contrast."""


MAX_PARAMETERS = 250_000_000
"""Largest detector that is built: 1 GB of weights, twenty times the largest configuration here."""


def num_input_channels(config: ModelConfig) -> int:
    """Return the channels of a frame as the network sees it, background features included."""
    return config.in_channels + len(_background_std(config))


def _background_std(config: ModelConfig) -> tuple[float, ...]:
    """Return what the background features are divided by; nothing without them."""
    if not config.background:
        return ()
    return BACKGROUND_STD + LONG_TERM_STD * config.long_term


def build_detector(config: ModelConfig) -> ClipDetector:
    """Build an untrained detector.

    Raises:
        ConfigError: If it has more than ``MAX_PARAMETERS``; no memory is taken for them.
    """
    with torch.device("meta"):
        size = sum(parameter.numel() for parameter in _assemble(config).parameters())
    if size > MAX_PARAMETERS:
        raise ConfigError(
            f"model {config.name!r}: has {size:,} parameters; expected at most "
            f"{MAX_PARAMETERS:,}. Lower model.backbone.width, depth or channels."
        )
    return _assemble(config)


def _assemble(config: ModelConfig) -> ClipDetector:
    """Put the parts of a detector together."""
    backbone = CspDarknet(
        in_channels=num_input_channels(config),
        depth=config.backbone.depth,
        width=config.backbone.width,
        num_stages=config.backbone.num_stages,
    )
    neck = build_pyramid(config, backbone.channels)
    temporal = build_temporal(config.temporal, neck.out_channels)
    head = DecoupledHead(
        neck.out_channels,
        channels=config.head.channels,
        num_convs=config.head.num_convs,
        num_classes=config.head.num_classes,
        feature_stride=neck.output_stride,
    )
    extra_std = _background_std(config)
    return ClipDetector(
        backbone=backbone,
        neck=neck,
        temporal=temporal,
        head=head,
        pixel_mean=(*config.pixel_mean, *([0.0] * len(extra_std))),
        pixel_std=(*config.pixel_std, *extra_std),
    )


def build_temporal(config: TemporalConfig, channels: int) -> Temporal:
    """Build the temporal module for per-frame features of ``channels``."""
    match config.type:
        case "motion_coupling":
            return MotionCoupling(
                channels,
                config.num_frames,
                expansion=config.expansion,
                is_residual=config.residual,
            )


def build_pyramid(config: ModelConfig, in_channels: tuple[int, ...]) -> Pyramid:
    """Build the per-frame pyramid for backbone levels of ``in_channels``."""
    pyramid, depth = config.pyramid, config.backbone.depth
    if pyramid.type == "high_resolution":
        return HighResolutionFpn(
            in_channels,
            base_stride=pyramid.output_stride,
            depth=depth,
            out_channels=pyramid.channels,
        )
    fpn = Fpn(
        in_channels,
        output_stride=pyramid.output_stride,
        depth=depth,
        out_channels=pyramid.channels,
    )
    if pyramid.type == "hourglass":
        return HourglassFpn(
            fpn,
            deepest_channels=in_channels[-1],
            depth=depth,
            num_repeats=pyramid.hourglass_repeats,
        )
    return _build_bp_fpn(pyramid, fpn, in_channels) if pyramid.type == "bp_fpn" else fpn


def _build_bp_fpn(pyramid: PyramidConfig, fpn: Fpn, in_channels: tuple[int, ...]) -> BpFpn:
    """Put shortcut and router around a plain pyramid."""
    shortcut = None
    if pyramid.gils.enabled:
        shortcut = GradientIsolatedShortcut(
            in_channels[fpn.output_index - 1],
            fpn.out_channels,
            down=pyramid.gils.down,
            join=pyramid.gils.join,
            is_isolated=pyramid.gils.isolated,
        )
    router = GradientRouter(
        pyramid.dgr.type, scale=pyramid.dgr.scale, step_channels=fpn.step_channels
    )
    return BpFpn(fpn, router=router, shortcut=shortcut)


def build_consistency(config: ModelConfig, detector: ClipDetector) -> LevelConsistency | None:
    """Build the training-only projections of DGR's `consistency`, or None for other members."""
    if not config.pyramid.has_consistency_loss:
        return None
    assert isinstance(detector.neck, BpFpn)
    return LevelConsistency(detector.neck.pyramid.step_channels)


def build_motion_prior(config: ModelConfig) -> MotionPrior | None:
    """Build the training-only motion prior, or None where ``motion_loss`` is off."""
    if not config.motion_loss:
        return None
    widths = [int(64 * 2**stage * config.backbone.width) for stage in range(5)]
    channels = config.pyramid.channels
    if channels is None:
        channels = widths[config.pyramid.feature_stride.bit_length() - 2]
    return MotionPrior(num_input_channels(config), config.motion_channels, channels)
