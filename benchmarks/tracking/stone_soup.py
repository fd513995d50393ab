"""Stone-Soup (PyPI `stonesoup`, MIT) on points: global nearest neighbour and JPDA.

The parts are those of its tutorials: constant velocity, linear measurements, tracks that begin by
several measurements and end by time steps. k-d trees and efficient hypothesis management change
its speed, not its results.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.tracking.point_tracker import TrackedPoints
from stdet.types import FloatArray

Float = NDArray[np.float64]
Settings = Mapping[str, Any]

NAMES = ("GNN", "JPDA")
_BEGIN = datetime(2000, 1, 1)
_PROBABILITY_OF_GATE = 0.999
_SEARCH_PX = 60.0
"""Farther detections are not looked at, whatever a track's covariance."""


class _StrongAlone:
    """Begins tracks at strong detections."""

    def __init__(self, initiator: Any, start_score: float) -> None:
        self._initiator, self._start_score = initiator, start_score

    def initiate(self, detections: set[Any], timestamp: datetime, **options: Any) -> set[Any]:
        strong = {one for one in detections if one.metadata["score"] >= self._start_score}
        begun: set[Any] = self._initiator.initiate(strong, timestamp, **options)
        return begun


class StoneSoupTracker:
    """A multi-target tracker of Stone-Soup.

    Args:
        name: One of ``NAMES``.
        settings: ``measurement_std_px``; ``acceleration_variance``, the spectral density of the
            white acceleration; ``initial_speed_std_px``; ``gate_sigma``, the Mahalanobis distance
            at which a miss is as likely (GNN); ``probability_of_detection`` and
            ``clutter_per_frame`` in a picture of 640x512 (JPDA); ``min_score`` below which
            detections are not used; ``start_score`` below which they begin no track; ``hits`` that
            confirm it; ``patience`` and ``coast``, frames without a detection after which a track
            ends, or is not shown.
    """

    def __init__(self, name: str, *, settings: Settings) -> None:
        """Start without tracks."""
        self._min_score, self._coast = settings["min_score"], settings["coast"]
        self._num_frames = 0
        self._track_ids: dict[str, int] = {}
        self._misses: dict[str, int] = {}
        self._measurement_model, self._tracker = _build(name, settings)

    def step(self, xy: Float, scores: FloatArray) -> TrackedPoints:
        """Take in the next frame."""
        from stonesoup.types.detection import Detection

        now = _BEGIN + timedelta(seconds=self._num_frames)
        self._num_frames += 1
        detections = {
            Detection(
                xy[row],
                timestamp=now,
                measurement_model=self._measurement_model,
                metadata={"row": row, "score": float(scores[row])},
            )
            for row in np.flatnonzero(scores >= self._min_score).tolist()
        }
        _, tracks = self._tracker.update_tracker(now, detections)
        return TrackedPoints.of([found for track in tracks if (found := self._row_of(track))])

    def _row_of(self, track: Any) -> tuple[int, Float, int] | None:
        """Return a track as id, centre and detection, or nothing while it is not shown."""
        row = _row_of_state(track[-1])
        misses = 0 if row >= 0 else self._misses.get(track.id, 0) + 1
        self._misses[track.id] = misses
        if misses > self._coast or (row < 0 and track.id not in self._track_ids):
            return None
        track_id = self._track_ids.setdefault(track.id, len(self._track_ids) + 1)
        centre: Float = np.asarray(track[-1].mean, np.float64)[[0, 2], 0]
        return track_id, centre, row


def _row_of_state(state: Any) -> int:
    """Return the detection that a state has taken in, of several the likeliest, -1 for none."""
    hypothesis = getattr(state, "hypothesis", None)
    if hypothesis is None:
        return -1
    if hasattr(hypothesis, "measurement"):
        return int(hypothesis.measurement.metadata["row"])
    likeliest = max((one for one in hypothesis if one), key=lambda one: float(one.probability))
    return int(likeliest.measurement.metadata["row"])


def _build(name: str, settings: Settings) -> tuple[Any, Any]:
    """Return measurement model and tracker."""
    from stonesoup.models.measurement.linear import LinearGaussian
    from stonesoup.models.transition.linear import (
        CombinedLinearGaussianTransitionModel,
        ConstantVelocity,
    )
    from stonesoup.predictor.kalman import KalmanPredictor
    from stonesoup.tracker.simple import MultiTargetMixtureTracker, MultiTargetTracker
    from stonesoup.updater.kalman import KalmanUpdater

    model = LinearGaussian(4, (0, 2), settings["measurement_std_px"] ** 2 * np.eye(2))
    motion = ConstantVelocity(settings["acceleration_variance"])
    predictor = KalmanPredictor(CombinedLinearGaussianTransitionModel([motion, motion]))
    updater = KalmanUpdater(model)
    nearest = _nearest(predictor, updater, settings["gate_sigma"])
    is_joint = name == "JPDA"
    return model, (MultiTargetMixtureTracker if is_joint else MultiTargetTracker)(
        initiator=_initiator(model, updater, nearest, settings),
        deleter=_deleter(settings["patience"]),
        detector=None,
        data_associator=_joint(predictor, updater, settings) if is_joint else nearest,
        updater=updater,
    )


def _nearest(predictor: Any, updater: Any, gate_sigma: float) -> Any:
    """Return the global nearest neighbour."""
    from stonesoup.dataassociator.tree import DetectionKDTreeGNN2D
    from stonesoup.hypothesiser.distance import DistanceHypothesiser
    from stonesoup.measures import Mahalanobis

    hypothesiser = DistanceHypothesiser(
        predictor, updater, Mahalanobis(), missed_distance=gate_sigma
    )
    return DetectionKDTreeGNN2D(hypothesiser, predictor, updater, max_distance=_SEARCH_PX)


def _joint(predictor: Any, updater: Any, settings: Settings) -> Any:
    """Return joint probabilistic association."""
    from stonesoup.dataassociator.probability import JPDAwithEHM2
    from stonesoup.dataassociator.tree import DetectionKDTreeMixIn
    from stonesoup.hypothesiser.probability import PDAHypothesiser

    class TreeJPDA(DetectionKDTreeMixIn, JPDAwithEHM2):  # type: ignore[misc]
        pass

    hypothesiser = PDAHypothesiser(
        predictor,
        updater,
        clutter_spatial_density=settings["clutter_per_frame"] / (640 * 512),
        prob_detect=settings["probability_of_detection"],
        prob_gate=_PROBABILITY_OF_GATE,
    )
    return TreeJPDA(hypothesiser, predictor, updater, max_distance=_SEARCH_PX)


def _initiator(model: Any, updater: Any, nearest: Any, settings: Settings) -> Any:
    """Return what begins tracks: several measurements, the first one strong."""
    from stonesoup.initiator.simple import MultiMeasurementInitiator, SimpleMeasurementInitiator
    from stonesoup.types.state import GaussianState

    speed_variance = settings["initial_speed_std_px"] ** 2
    prior = GaussianState(np.zeros((4, 1)), np.diag([0.0, speed_variance, 0.0, speed_variance]))
    return MultiMeasurementInitiator(
        prior_state=prior,
        deleter=_deleter(settings["patience"]),
        data_associator=nearest,
        updater=updater,
        min_points=settings["hits"],
        initiator=_StrongAlone(SimpleMeasurementInitiator(prior, model), settings["start_score"]),
    )


def _deleter(patience: int) -> Any:
    from stonesoup.deleter.time import UpdateTimeStepsDeleter

    return UpdateTimeStepsDeleter(patience + 1)
