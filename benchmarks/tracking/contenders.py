"""Who takes part: what each tracker is built of, and the settings from which tuning chooses."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.tracking import library_trackers, stone_soup
from benchmarks.tracking.library_trackers import LibraryTracker
from benchmarks.tracking.nearest_neighbour import NearestNeighbour
from benchmarks.tracking.old_checkout import COMMIT, OldCheckout
from benchmarks.tracking.own_tracker import SMOOTHED, smooth_with_stdet, track_with_stdet
from benchmarks.tracking.point_tracker import track_points
from benchmarks.tracking.stone_soup import StoneSoupTracker
from stdet.metrics.sequence_result import SequenceResult
from stdet.types import Tracks

STDET_CONFIDENCE = 0.5
"""The operating point of the weights whose scores generated detections have."""
SETTINGS = Path(__file__).with_name("settings.json")
"""What tuning has chosen, by contender."""

Settings = Mapping[str, Any]
Space = Mapping[str, tuple[Any, ...]]

_SCORES: Space = {
    "min_score": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6),
    "coast": (0, 1, 2, 3, 4, 6, 8),
}
_STARTS: Space = {"start_score": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}
_LIVES: Space = {"hits": (1, 2, 3, 4, 5, 6, 8), "patience": (1, 2, 3, 5, 8, 12, 20)}
_LIBRARY: Space = {
    **_SCORES,
    "side_px": (10, 13, 16, 20, 25, 30, 40, 50, 65),
    "minimum_consecutive_frames": (1, 2, 3, 4, 5, 6, 8),
    "lost_track_buffer": (1, 2, 3, 5, 8, 12, 20, 30),
}
_ACTIVATION: Space = {"track_activation_threshold": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}
_STRONG: Space = {"high_conf_det_threshold": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)}
_OVERLAPS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
_OVERLAP: Space = {"minimum_iou_threshold": _OVERLAPS}
_FIRST_OVERLAP: Space = {"minimum_iou_threshold_first_assoc": _OVERLAPS}
_LIBRARY_SPACES: Mapping[str, Space] = {
    "SORT": {**_LIBRARY, **_ACTIVATION, **_OVERLAP},
    "ByteTrack": {**_LIBRARY, **_ACTIVATION, **_STRONG, **_OVERLAP},
    "OC-SORT": {
        **_LIBRARY,
        **_STRONG,
        **_OVERLAP,
        "direction_consistency_weight": (0.0, 0.1, 0.2, 0.5),
        "delta_t": (1, 2, 3, 5),
    },
    "BoT-SORT": {**_LIBRARY, **_ACTIVATION, **_STRONG, **_FIRST_OVERLAP},
    "C-BIoU": {
        **_LIBRARY,
        **_ACTIVATION,
        **_STRONG,
        **_FIRST_OVERLAP,
        "buffer_ratio_first": (0.0, 0.2, 0.4, 0.7),
        "buffer_ratio_second": (0.0, 0.2, 0.4, 0.7, 1.0),
    },
}
_FILTER: Space = {
    **_SCORES,
    **_STARTS,
    **_LIVES,
    "measurement_std_px": (0.3, 0.5, 1.0, 2.0),
    "acceleration_variance": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    "initial_speed_std_px": (1.0, 2.0, 4.0, 6.0, 10.0),
    "gate_sigma": (2.0, 3.0, 4.0, 5.0),
}
_FILTER_SPACES: Mapping[str, Space] = {
    "GNN": _FILTER,
    "JPDA": {
        **_FILTER,
        "probability_of_detection": (0.6, 0.7, 0.8, 0.9, 0.99),
        "clutter_per_frame": (0.5, 2.0, 8.0, 20.0),
    },
}
_FILTER_START: Settings = {
    "min_score": 0.1,
    "coast": 3,
    "start_score": 0.4,
    "hits": 3,
    "patience": 8,
    "measurement_std_px": 0.5,
    "acceleration_variance": 0.03,
    "initial_speed_std_px": 4.0,
    "gate_sigma": 4.0,
    "probability_of_detection": 0.8,
    "clutter_per_frame": 2.0,
}
"""Where the tuning of slow trackers begins, instead of random draws: what the families suggest."""
_NEAREST: Space = {**_SCORES, **_STARTS, **_LIVES, "reach_px": (3, 5, 7, 10, 13, 16, 20, 25, 30)}


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A tracker with its settings.

    Attributes:
        name: As tables print it.
        track: From a sequence's detections, and the motion of the camera where it is known, to
            its tracks.
        clock: Processor time that it has used, seconds, from any moment on.
        is_slow: Whether it is run on fewer seeds.
    """

    name: str
    track: Callable[[SequenceResult], Tracks]
    clock: Callable[[], float] = time.process_time
    is_slow: bool = False


@dataclass(frozen=True, kw_only=True)
class Tunable:
    """A tracker whose settings tuning chooses.

    Attributes:
        name: As tables print it.
        package: What must be installed.
        space: The values of each setting, in order.
        track: From settings and a sequence to tracks.
        start: Settings from which tuning goes on; None for the best of random ones.
        is_slow: Whether it is run on fewer seeds.
    """

    name: str
    package: str
    space: Space
    track: Callable[[Settings, SequenceResult], Tracks]
    start: Settings | None = None
    is_slow: bool = False

    def with_settings(self, settings: Settings) -> Contender:
        """Return the contender with all of its settings."""
        return Contender(
            name=self.name,
            track=partial(self.track, settings),
            is_slow=self.is_slow,
        )

    @property
    def is_installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.package) is not None


def tunables() -> Iterator[Tunable]:
    """Yield every tracker that is tuned, installed or not."""
    yield Tunable(
        name="stdet, tuned point",
        package="stdet",
        space={"confidence": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6)},
        track=track_with_stdet,
    )
    yield Tunable(
        name="nearest neighbour",
        package="numpy",
        space=_NEAREST,
        track=lambda settings, sequence: track_points(sequence, NearestNeighbour(**settings)),
    )
    for name in library_trackers.NAMES:
        for by_centre, how in ((False, "boxes"), (True, "centres")):
            yield Tunable(
                name=f"{name}, {how}",
                package="trackers",
                space=_LIBRARY_SPACES[name],
                track=partial(_library, name, by_centre),
            )
    for name in stone_soup.NAMES:
        yield Tunable(
            name=f"Stone-Soup {name}",
            package="stonesoup",
            space=_FILTER_SPACES[name],
            track=partial(_stone_soup, name),
            start={key: _FILTER_START[key] for key in _FILTER_SPACES[name]},
            is_slow=True,
        )


def _library(name: str, by_centre: bool, settings: Settings, sequence: SequenceResult) -> Tracks:
    return track_points(sequence, LibraryTracker(name, by_centre=by_centre, settings=settings))


def _stone_soup(name: str, settings: Settings, sequence: SequenceResult) -> Tracks:
    return track_points(sequence, StoneSoupTracker(name, settings=settings))


def missing_packages() -> list[str]:
    """Return the packages of contenders that are not installed."""
    return sorted({tunable.package for tunable in tunables() if not tunable.is_installed})


def tuned_contenders() -> Iterator[Contender]:
    """Yield the trackers that are installed, as they were tuned."""
    chosen = json.loads(SETTINGS.read_text(encoding="utf-8"))["contenders"]
    for tunable in tunables():
        if tunable.is_installed and tunable.name in chosen:
            yield tunable.with_settings(chosen[tunable.name]["settings"])


def own_contenders(
    old: Path | None, *, confidence: float = STDET_CONFIDENCE
) -> Iterator[Contender]:
    """Yield the tracker of this checkout, and that of an old one where it is there.

    Args:
        old: A checkout of ``COMMIT``.
        confidence: Operating point of both.
    """
    shipped = {"confidence": confidence}
    yield Contender(name="stdet", track=partial(track_with_stdet, shipped))
    yield Contender(name=SMOOTHED, track=partial(smooth_with_stdet, shipped))
    if old is not None:
        checkout = OldCheckout(old, confidence=confidence)
        yield Contender(name=f"stdet, {COMMIT}", track=checkout.track, clock=checkout.clock)
