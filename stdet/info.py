"""What a model costs, as text and JSON."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stdet.config import ModelConfig
from stdet.data.part_file import PartFile
from stdet.models.profile import PROBE_SIDE, DetectorProfile, profile_detector


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Profile of a model, and of the same model with the other pyramid.

    Attributes:
        profile: The model as configured.
        fpn: With the plain FPN.
        bp_fpn: With BP-FPN as configured.
    """

    profile: DetectorProfile
    fpn: DetectorProfile
    bp_fpn: DetectorProfile


def describe_model(config: ModelConfig, *, native_hw: tuple[int, int]) -> ModelInfo:
    """Profile a model with both pyramids.

    Args:
        config: The model.
        native_hw: Size of the frames of a model without ``input_hw``; as when it runs, they are
            padded to a multiple of the backbone's last stride.
    """
    divisor = 2**config.backbone.num_stages
    height, width = (-(-side // divisor) * divisor for side in native_hw)

    def with_pyramid(kind: Any) -> DetectorProfile:
        pyramid = replace(config.pyramid, type=kind)
        return profile_detector(replace(config, pyramid=pyramid), native_hw=(height, width))

    fpn, bp_fpn = with_pyramid("fpn"), with_pyramid("bp_fpn")
    profile = fpn if config.pyramid.type == "fpn" else bp_fpn
    return ModelInfo(profile=profile, fpn=fpn, bp_fpn=bp_fpn)


def format_info(info: ModelInfo) -> str:
    """Return the text that `stdet info` prints."""
    profile = info.profile
    height, width = profile.input_hw
    field = profile.receptive_field_px
    lines = [
        f"{profile.name}: {profile.num_frames} frames of {height}x{width} (height x width)",
        f"{'part':<12}{'parameters':>14}{'GFLOP':>10}",
    ]
    for part, count in profile.parameters.items():
        per = " per frame" if part in ("backbone", "pyramid") else " per key frame"
        lines.append(f"{part:<12}{count:>14,}{profile.gflop[part]:>10.3f}{per}")
    lines += [
        f"parameters   inference {profile.inference_parameters:,}, "
        f"training {profile.training_parameters:,}",
        f"GFLOP        {profile.gflop_per_clip:.3f} per key frame with all "
        f"{profile.num_frames} frames recomputed, {profile.gflop_per_frame:.3f} per frame with "
        "features computed once",
        f"strides      backbone {', '.join(map(str, profile.backbone_strides))} px, output "
        f"feature_stride {profile.feature_stride} px",
        f"receptive    {'at least ' if field >= PROBE_SIDE else ''}{field} px of each frame, "
        "before temporal fusion",
        "BP-FPN       over the plain FPN: "
        f"{info.bp_fpn.inference_parameters - info.fpn.inference_parameters:+,} parameters "
        f"({_percent(info.bp_fpn.inference_parameters, info.fpn.inference_parameters)}), "
        f"{info.bp_fpn.gflop_per_clip - info.fpn.gflop_per_clip:+.3f} GFLOP per clip "
        f"({_percent(info.bp_fpn.gflop_per_clip, info.fpn.gflop_per_clip)})",
    ]
    return "\n".join(lines)


def write_info(path: Path, info: ModelInfo) -> None:
    """Write the numbers as JSON."""
    content = {
        name: {
            **dataclasses.asdict(profile),
            "inference_parameters": profile.inference_parameters,
        }
        for name, profile in (("model", info.profile), ("fpn", info.fpn), ("bp_fpn", info.bp_fpn))
    }
    with PartFile(path) as file:
        file.write(json.dumps(content, indent=2) + "\n")


def _percent(value: float, base: float) -> str:
    return f"{100 * (value / base - 1):+.2f} %"
