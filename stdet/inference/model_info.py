"""What a model costs, as text and JSON."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from stdet.config import Down, Join, ModelConfig
from stdet.files.atomic_file import AtomicFile
from stdet.models.profile import (
    PROBE_SIDE,
    DetectorProfile,
    ShortcutCost,
    profile_detector,
    profile_shortcut,
)

PYRAMIDS = {
    "fpn": "plain FPN",
    "high_resolution": "high resolution",
    "hourglass": "hourglass",
    "bp_fpn": "BP-FPN",
}
"""Values of ``model.pyramid.type`` and what tables call them."""

DOWNS: tuple[Down, ...] = get_args(Down)
JOINS: tuple[Join, ...] = get_args(Join)


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Profile of a model, of the same model with each pyramid, and of every shortcut.

    Attributes:
        profile: The model as configured.
        pyramids: By the names of ``PYRAMIDS``, everything else as configured.
        shortcuts: What each GILS option costs alone, by "down + join".
    """

    profile: DetectorProfile
    pyramids: Mapping[str, DetectorProfile]
    shortcuts: Mapping[str, ShortcutCost]


def describe_model(config: ModelConfig, *, native_hw: tuple[int, int]) -> ModelInfo:
    """Profile a model with every pyramid and shortcut.

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

    pyramids = {kind: with_pyramid(kind) for kind in PYRAMIDS}
    return ModelInfo(
        profile=pyramids[config.pyramid.type],
        pyramids=pyramids,
        shortcuts={
            f"{down} + {join}": profile_shortcut(config, down, join, native_hw=(height, width))
            for down, join in itertools.product(DOWNS, JOINS)
        },
    )


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
        *_scale_lines(profile),
        f"strides      backbone {', '.join(map(str, profile.backbone_strides))} px, output "
        f"feature_stride {profile.feature_stride} px",
        f"receptive    {'at least ' if field >= PROBE_SIDE else ''}{field} px of each frame, "
        "before temporal fusion",
        "",
        *_pyramid_lines(info),
        "",
        *_shortcut_lines(info),
    ]
    return "\n".join(lines)


def _scale_lines(profile: DetectorProfile) -> list[str]:
    """Say what a frame takes at all scales, where there are several; all else is at one."""
    if profile.scales == (1,):
        return []
    sizes = ", ".join("full size" if one == 1 else f"1/{one}" for one in profile.scales)
    return [f"scales       {sizes}: {profile.gflop_of_all_scales:.3f} GFLOP per frame in all"]


def _pyramid_lines(info: ModelInfo) -> list[str]:
    """Set the pyramids side by side, with what each costs over the plain FPN."""
    fpn = info.pyramids["fpn"]
    lines = [
        f"{'pyramid':<18}{'stride':>6}{'training':>13}{'parameters':>13}{'over FPN':>11}"
        f"{'GFLOP per clip':>16}{'over FPN':>11}{'per frame':>11}"
    ]
    for kind, profile in info.pyramids.items():
        parameters, gflop = profile.inference_parameters, profile.gflop_per_clip
        lines.append(
            f"{PYRAMIDS[kind]:<18}{profile.feature_stride:>6}"
            f"{profile.training_parameters:>13,}"
            f"{parameters:>13,}{_percent(parameters, fpn.inference_parameters):>11}"
            f"{gflop:>16.3f}{_percent(gflop, fpn.gflop_per_clip):>11}"
            f"{profile.gflop_per_frame:>11.3f}"
        )
    return lines


def _shortcut_lines(info: ModelInfo) -> list[str]:
    """Say what each shortcut costs over BP-FPN without one."""
    lines = [f"{'GILS, down + join':<26}{'parameters':>12}{'GFLOP per frame':>17}"]
    for name, cost in info.shortcuts.items():
        lines.append(f"{name:<26}{cost.parameters:>+12,}{cost.gflop:>+17.3f}")
    return lines


def write_info(path: Path, info: ModelInfo) -> None:
    """Write the numbers as JSON."""
    profiles = {"model": info.profile, **info.pyramids}
    content: dict[str, Any] = {
        name: {
            **dataclasses.asdict(profile),
            "inference_parameters": profile.inference_parameters,
            "gflop_of_all_scales": profile.gflop_of_all_scales,
        }
        for name, profile in profiles.items()
    }
    content["gils"] = {name: dataclasses.asdict(cost) for name, cost in info.shortcuts.items()}
    with AtomicFile(path) as file:
        file.write(json.dumps(content, indent=2) + "\n")


def _percent(value: float, base: float) -> str:
    return f"{100 * (value / base - 1):+.2f} %"
