"""Size of a detector: parameters, FLOPs per part, strides and receptive field."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from stdet.config import DgrConfig, Down, GilsConfig, HeadConfig, Join, ModelConfig, TemporalConfig
from stdet.models.build import (
    build_consistency,
    build_detector,
    build_motion_prior,
    num_input_channels,
)
from stdet.models.head import HeadOutputs
from stdet.models.necks.bp_fpn import BpFpn

NATIVE_HW = (256, 256)
"""Size at which a native-resolution model is counted."""

PROBE_SIDE = 1024
"""Side of the frame on which the receptive field is traced; a larger field is cut to it."""


@dataclass(frozen=True, kw_only=True)
class DetectorProfile:
    """What a detector costs.

    Attributes:
        name: Of the model.
        input_hw: Size the FLOPs are counted at.
        num_frames: T.
        backbone_strides: feature_stride of C1, C2, ..., input pixels.
        feature_stride: Of the level that the head sees, input pixels.
        receptive_field_px: Side of the square of one frame that a cell of that level sees before
            temporal fusion, input pixels; PROBE_SIDE means at least that.
        parameters: Inference parameters per part.
        training_parameters: All that learn, including motion prior and consistency projections.
        gflop: Per part, 2 x multiply-accumulate of convolutions; per-frame parts for one frame.
        gflop_per_clip: All T frames recomputed, as published.
        gflop_per_frame: Each frame's features computed once, as `stdet track` does, at one scale.
        scales: At which the detector looks at a frame: at 2 it is of half the size.
    """

    name: str
    input_hw: tuple[int, int]
    num_frames: int
    backbone_strides: tuple[int, ...]
    feature_stride: int
    receptive_field_px: int
    parameters: dict[str, int]
    training_parameters: int
    gflop: dict[str, float]
    gflop_per_clip: float
    gflop_per_frame: float
    scales: tuple[int, ...]

    @property
    def gflop_of_all_scales(self) -> float:
        """As ``gflop_per_frame``, at every scale, without what padding adds."""
        return self.gflop_per_frame * sum(1 / scale**2 for scale in self.scales)

    @property
    def inference_parameters(self) -> int:
        """All parameters at inference."""
        return sum(self.parameters.values())


def profile_detector(
    config: ModelConfig, *, native_hw: tuple[int, int] = NATIVE_HW
) -> DetectorProfile:
    """Count a detector without running it on data.

    Args:
        config: The model.
        native_hw: Size at which a model without ``input_hw`` is counted.
    """
    hw = config.input_hw or native_hw
    with torch.device("meta"):
        detector = build_detector(config).eval()
        extra = (build_motion_prior(config), build_consistency(config, detector))
        frame = torch.zeros(1, num_input_channels(config), *hw)
        num_context = config.temporal.num_frames - 1
        gflop: dict[str, float] = {}

        def counted(name: str, run: Callable[[], Tensor | list[Tensor] | HeadOutputs]) -> object:
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                result = run()
            gflop[name] = counter.get_total_flops() / 1e9
            return result

        features = counted("backbone", lambda: detector.backbone(frame))
        level = counted("pyramid", lambda: detector.neck(features))  # type: ignore[arg-type]
        assert isinstance(level, Tensor)
        context = level[:, None].expand(-1, num_context, -1, -1, -1)
        fused = counted("temporal", lambda: detector.temporal(context, level).features)
        counted("head", lambda: detector.head(fused))
    per_frame = gflop["backbone"] + gflop["pyramid"]
    once = gflop["temporal"] + gflop["head"]
    parts = {
        "backbone": detector.backbone,
        "pyramid": detector.neck,
        "temporal": detector.temporal,
        "head": detector.head,
    }
    parameters = {name: count_parameters(part) for name, part in parts.items()}  # type: ignore[arg-type]
    training_only = sum(count_parameters(part) for part in extra if part is not None)
    return DetectorProfile(
        name=config.name,
        input_hw=hw,
        num_frames=config.temporal.num_frames,
        backbone_strides=detector.backbone.feature_strides,
        feature_stride=detector.neck.output_stride,
        receptive_field_px=receptive_field(config),
        parameters=parameters,
        training_parameters=sum(parameters.values()) + training_only,
        gflop=gflop,
        gflop_per_clip=config.temporal.num_frames * per_frame + once,
        gflop_per_frame=per_frame + once,
        scales=tuple(config.scales),
    )


@dataclass(frozen=True, kw_only=True)
class ShortcutCost:
    """What a GILS shortcut adds to a detector.

    Attributes:
        parameters: At inference and in training.
        gflop: 2 x multiply-accumulate of convolutions, for one frame.
    """

    parameters: int
    gflop: float


def profile_shortcut(
    config: ModelConfig, down: Down, join: Join, *, native_hw: tuple[int, int] = NATIVE_HW
) -> ShortcutCost:
    """Count one shortcut of BP-FPN, whatever pyramid the model has.

    Args:
        config: The model.
        down: Its downsampling.
        join: How it joins the output level.
        native_hw: Size at which a model without ``input_hw`` is counted.
    """
    gils = replace(config.pyramid.gils, enabled=True, down=down, join=join)
    config = replace(config, pyramid=replace(config.pyramid, type="bp_fpn", gils=gils))
    height, width = config.input_hw or native_hw
    with torch.device("meta"):
        detector = build_detector(config).eval()
        neck = detector.neck
        assert isinstance(neck, BpFpn)
        assert neck.shortcut is not None
        stride = neck.output_stride
        channels = detector.backbone.channels[neck.pyramid.output_index - 1]
        shallow = torch.zeros(1, channels, 2 * height // stride, 2 * width // stride)
        fused = torch.zeros(1, neck.out_channels, height // stride, width // stride)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            neck.shortcut(fused, shallow)
    return ShortcutCost(
        parameters=count_parameters(neck.shortcut), gflop=counter.get_total_flops() / 1e9
    )


def count_parameters(module: nn.Module) -> int:
    """Return the number of elements of all parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def receptive_field(config: ModelConfig) -> int:
    """Trace which pixels of a frame one central cell of the output level depends on.

    The field does not depend on the width, so a very thin copy is traced: max-pooling, which hides
    all but one input from the gradient, is replaced by averaging, and the gradient of one cell is
    followed back. Shortcut and directional gradients of BP-FPN would hide pixels from it, and the
    shortcut sees no further than the plain pyramid does, so that one stands for it.

    Returns:
        Side of the square in pixels, at most PROBE_SIDE.
    """
    thin = replace(
        config,
        name="thin",
        head=HeadConfig(),
        temporal=TemporalConfig(),
        motion_loss=False,
        in_channels=1,
        pixel_mean=(0.0,),
        pixel_std=(1.0,),
        input_hw=None,
        backbone=replace(config.backbone, width=4 / 64),
        pyramid=replace(
            config.pyramid,
            channels=None,
            gils=GilsConfig(),
            dgr=DgrConfig(),
            type="fpn" if config.pyramid.type == "bp_fpn" else config.pyramid.type,
        ),
    )
    return _trace_field(thin)


@functools.lru_cache(maxsize=8)
def _trace_field(thin: ModelConfig) -> int:
    """Trace the field of a thin model; kept, since models that differ elsewhere share it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector = build_detector(thin).eval().double()
    for module in detector.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
                setattr(module, name, pool)
            elif isinstance(child, nn.SiLU):
                setattr(module, name, nn.Identity())
    for parameter in detector.parameters():
        parameter.requires_grad_(False).abs_()
    frame = torch.zeros(1, 1, PROBE_SIDE, PROBE_SIDE, dtype=torch.float64, requires_grad=True)
    level = detector.frame_features(frame)
    level[0, :, level.shape[2] // 2, level.shape[3] // 2].sum().backward()  # type: ignore[no-untyped-call]
    assert frame.grad is not None
    touched = (frame.grad[0, 0] != 0).nonzero()
    return int((touched.max(dim=0).values - touched.min(dim=0).values + 1).max())
