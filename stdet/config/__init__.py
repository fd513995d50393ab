"""Every configuration dataclass, one module per section.

A configuration is defaults < YAML < ``--set key=value``. YAML files hold what differs from the
defaults; ``settings_file.py`` reads them. Components receive their own part, never the whole
``StdetConfig``. ``docs/configuration.md`` lists every key.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from stdet.config.checks import STRICT
from stdet.config.data import BoxKind, DataConfig, LabelFormat, SourceConfig
from stdet.config.inference import (
    EvaluationConfig,
    HitRuleName,
    PostprocessConfig,
    RegionPath,
    TrackerConfig,
)
from stdet.config.model import (
    BackboneConfig,
    DgrConfig,
    DgrKind,
    Down,
    GilsConfig,
    HeadConfig,
    Join,
    ModelConfig,
    PyramidConfig,
    TemporalConfig,
)
from stdet.config.train import AugmentConfig, MissingReferences, TrainConfig
from stdet.files.settings_file import Layer, check_settings, read_settings, settings_to_dict
from stdet.files.yaml_file import dump_yaml

__all__ = [
    "AugmentConfig",
    "BackboneConfig",
    "BoxKind",
    "DataConfig",
    "DgrConfig",
    "DgrKind",
    "Down",
    "EvaluationConfig",
    "GilsConfig",
    "HeadConfig",
    "HitRuleName",
    "Join",
    "LabelFormat",
    "MissingReferences",
    "ModelConfig",
    "PostprocessConfig",
    "PyramidConfig",
    "RegionPath",
    "SourceConfig",
    "StdetConfig",
    "TemporalConfig",
    "TrackerConfig",
    "TrainConfig",
    "config_from_dict",
    "config_to_dict",
    "config_to_yaml",
    "load_config",
    "save_config",
]


@dataclass(config=STRICT, frozen=True, kw_only=True)
class StdetConfig:
    """Everything a run needs to know."""

    data: DataConfig = DataConfig()
    """Data."""
    model: ModelConfig = ModelConfig()
    """Model."""
    train: TrainConfig = TrainConfig()
    """Training."""
    postprocess: PostprocessConfig = PostprocessConfig()
    """Postprocessing."""
    tracker: TrackerConfig = TrackerConfig()
    """Tracker."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluation."""

    def __post_init__(self) -> None:
        """Check what spans several sections."""
        has_points = any(source.boxes == "point" for source in self.data.train)
        if has_points and self.train.augment.min_box_px == 0:
            raise ValueError(
                "boxes: point gives targets boxes of train.augment.min_box_px, which is 0; set it"
            )


def load_config(
    path: str | Path | None, overrides: Sequence[str] = (), *, changes: Sequence[Layer] = ()
) -> StdetConfig:
    """Read a YAML file and apply ``key=value`` overrides.

    Args:
        path: YAML file; ``include`` names files read before it. None for the defaults.
        overrides: Such as ``train.learning_rate=1e-4``; values are read as YAML.
        changes: Further values, laid over these.

    Returns:
        The checked configuration.

    Raises:
        ConfigError: If a file is missing or not YAML, or any key or value is wrong; all of them
            are listed, unknown keys with the nearest known one.
    """
    return read_settings(StdetConfig, path, overrides, changes=changes)


def config_from_dict(values: dict[str, Any], *, where: str) -> StdetConfig:
    """Check a nested dict of values; ``where`` names its origin in errors.

    Raises:
        ConfigError: Listing every unknown key and wrong value.
    """
    return check_settings(StdetConfig, values, where=where)


def config_to_dict(config: StdetConfig) -> dict[str, Any]:
    """Return the configuration as plain values that JSON and YAML can hold."""
    return settings_to_dict(config)


def config_to_yaml(config: StdetConfig) -> str:
    """Return every value, defaults included, as YAML that ``load_config`` reads."""
    return dump_yaml(config_to_dict(config))


def save_config(config: StdetConfig, path: Path) -> None:
    """Write ``config_to_yaml``."""
    path.write_text(config_to_yaml(config), encoding="utf-8")
