"""Find and track moving infrared small targets in video.

import stdet
for frame in stdet.track("video.mp4"):
    print(frame.index, frame.tracks.track_ids, frame.tracks.boxes_xyxy)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stdet.config import StdetConfig, load_config
    from stdet.inference.checkpoint import load_detector
    from stdet.inference.pipeline import track
    from stdet.inference.track_files import TrackOptions, track_to_files
    from stdet.models.necks.plug_in import BPFPN

__version__ = "0.1.0"

__all__ = [
    "BPFPN",
    "StdetConfig",
    "TrackOptions",
    "load_config",
    "load_detector",
    "track",
    "track_to_files",
]

_HOMES = {
    "BPFPN": "stdet.models.necks.plug_in",
    "StdetConfig": "stdet.config",
    "TrackOptions": "stdet.inference.track_files",
    "load_config": "stdet.config",
    "load_detector": "stdet.inference.checkpoint",
    "track": "stdet.inference.pipeline",
    "track_to_files": "stdet.inference.track_files",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import stdet` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stdet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
