"""Find and track moving infrared small targets in video.

import stdet
for frame in stdet.track("video.mp4"):
    print(frame.index, frame.tracks.ids, frame.tracks.xyxy)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stdet.config import StdetConfig, TrackerConfig, load_config
    from stdet.evaluation.from_model import evaluate
    from stdet.inference.checkpoint import load_detector
    from stdet.inference.detector import Detector
    from stdet.inference.live import LiveTracker
    from stdet.inference.pipeline import track
    from stdet.inference.track_files import track_to_files
    from stdet.inference.track_options import TrackOptions
    from stdet.io.drawing import Trails, draw_frame
    from stdet.io.ignored_pixels import IgnoredZones
    from stdet.models.necks.plug_in import BPFPN
    from stdet.registration.transform import Transform
    from stdet.tracking.offline import smooth_tracks
    from stdet.tracking.tracker import Tracker
    from stdet.training.run import train
    from stdet.types import Detections, Tracks

__version__ = "0.1.0"

__all__ = [
    "BPFPN",
    "Detections",
    "Detector",
    "IgnoredZones",
    "LiveTracker",
    "StdetConfig",
    "TrackOptions",
    "Tracker",
    "TrackerConfig",
    "Tracks",
    "Trails",
    "Transform",
    "draw_frame",
    "evaluate",
    "load_config",
    "load_detector",
    "smooth_tracks",
    "track",
    "track_to_files",
    "train",
]

_HOMES = {
    "BPFPN": "stdet.models.necks.plug_in",
    "Detections": "stdet.types",
    "Detector": "stdet.inference.detector",
    "IgnoredZones": "stdet.io.ignored_pixels",
    "LiveTracker": "stdet.inference.live",
    "StdetConfig": "stdet.config",
    "TrackOptions": "stdet.inference.track_options",
    "Tracker": "stdet.tracking.tracker",
    "TrackerConfig": "stdet.config",
    "Tracks": "stdet.types",
    "Trails": "stdet.io.drawing",
    "Transform": "stdet.registration.transform",
    "draw_frame": "stdet.io.drawing",
    "evaluate": "stdet.evaluation.from_model",
    "load_config": "stdet.config",
    "load_detector": "stdet.inference.checkpoint",
    "smooth_tracks": "stdet.tracking.offline",
    "track": "stdet.inference.pipeline",
    "track_to_files": "stdet.inference.track_files",
    "train": "stdet.training.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import stdet` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'stdet' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
