"""The network on a device: features of a frame, and detections from features of several."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from stdet.config import ModelConfig, PostprocessConfig
from stdet.datasets.clip_sampler import ClipShape
from stdet.datasets.input_geometry import InputGeometry, detector_input
from stdet.inference.checkpoint import Weights
from stdet.inference.device import choose_device
from stdet.inference.engines.choose import choose_engine
from stdet.inference.engines.eager import eager_engine
from stdet.inference.engines.engine import Engine
from stdet.inference.engines.names import EngineName
from stdet.inference.postprocess import postprocess
from stdet.models.detector import ClipDetector
from stdet.models.inference_parts import FrameMaps
from stdet.models.interfaces import TemporalState
from stdet.registration.background_features import features_of, residuals_of
from stdet.types import Detections, FloatArray

log = logging.getLogger(__name__)

LARGE_MEGAPIXELS = 4.0
"""From this area of a frame on, 10^6 pixels, a stream says beforehand what the network takes."""
_GIGABYTES_PER_MEGAPIXEL = 0.4
_CORE_SECONDS_PER_MEGAPIXEL = 1.7
"""Of `stdet_n` with 24 frames registered, as `benchmarks/load.py` measures them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkInput:
    """What the network looks at in one frame.

    Attributes:
        image: float32 (H, W) in [0, 1].
        background: Background features, float32 (C, H, W), None for a network without them.
    """

    image: FloatArray
    background: FloatArray | None

    def shrunk(self, times: int) -> NetworkInput:
        """Return what the network looks at in the frame at a fraction of its size.

        Args:
            times: Each pixel is the mean of so many by so many; columns and rows that are left
                over are shared among all.
        """
        if times == 1:
            return self
        height, width = self.image.shape
        size = (max(width // times, 1), max(height // times, 1))
        image = _shrunk(self.image, size)
        if self.background is None:
            return NetworkInput(image=image, background=None)
        residuals = [_shrunk(residual, size) for residual in residuals_of(self.background)]
        return NetworkInput(image=image, background=features_of(image, residuals))


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameFeatures:
    """Features of one frame.

    Attributes:
        maps: What the engine keeps of it.
        geometry: How the frame was brought to the network.
    """

    maps: FrameMaps
    geometry: InputGeometry


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkOutput:
    """What the network says of one frame.

    Attributes:
        detections: Down to ``score_floor``.
        state: What the temporal module keeps for the next frame.
    """

    detections: Detections
    state: TemporalState


class Network:
    """A trained network in eval mode on its device.

    Args:
        detector: Moved to the device.
        model: The configuration it was built from.
        config: Postprocessing; all detections down to ``score_floor`` are returned.
        device: Where to run.
        weights: Where the detector's weights came from, for messages; None where it was trained
            in this process.
        engine: What runs the detector; None for PyTorch.
    """

    def __init__(
        self,
        detector: ClipDetector,
        *,
        model: ModelConfig,
        config: PostprocessConfig,
        device: torch.device,
        weights: Path | None = None,
        engine: Engine | None = None,
    ) -> None:
        """Move the detector to the device."""
        self.name = "the network" if weights is None else f"the network of {weights}"
        detector = detector.to(device).eval()
        self.engine = eager_engine(detector) if engine is None else engine
        self._size_divisor = detector.size_divisor
        self.model = model
        self.config = config
        self.device = device
        temporal = model.temporal
        self.shape = ClipShape(
            num_frames=temporal.num_frames,
            frame_stride=temporal.frame_stride,
            num_future_frames=temporal.num_future_frames,
        )
        self._geometries: dict[tuple[int, int], InputGeometry] = {}

    @classmethod
    def of_weights(
        cls,
        detector: ClipDetector,
        weights: Weights,
        *,
        device: str,
        engine: EngineName = "auto",
        num_threads: int = 1,
    ) -> Network:
        """Return what ``load_detector`` has loaded, on a device.

        Args:
            detector: With the weights in it.
            weights: Where they came from.
            device: `auto`, `cpu`, `cuda` or `cuda:N`.
            engine: What runs it; see ``choose_engine``.
            num_threads: As in ``choose_engine``.

        Raises:
            ConfigError: If the device or the engine cannot be used.
        """
        place = choose_device(device)
        detector = detector.to(place).eval()
        return cls(
            detector,
            model=weights.config.model,
            config=weights.config.postprocess,
            device=place,
            weights=weights.path,
            engine=choose_engine(engine, detector, device=place, num_threads=num_threads),
        )

    @property
    def num_later_frames(self) -> int:
        """Frames after a frame that its detections need."""
        return self.shape.num_future_frames * self.shape.frame_stride

    @property
    def num_kept_frames(self) -> int:
        """Frames from the first of a clip to the last."""
        return (self.shape.num_frames - 1) * self.shape.frame_stride + 1

    @torch.inference_mode()
    def features(self, seen: NetworkInput) -> FrameFeatures:
        """Compute the features of one frame."""
        geometry = self._geometry_of((seen.image.shape[0], seen.image.shape[1]))
        frames = detector_input(
            self._tensor(seen.image[None]),
            None if seen.background is None else self._tensor(seen.background),
            geometry=geometry,
            in_channels=self.model.in_channels,
        )
        return FrameFeatures(maps=self.engine.frame_maps(frames), geometry=geometry)

    @torch.inference_mode()
    def detect(
        self,
        context: Sequence[FrameFeatures],
        key: FrameFeatures,
        state: TemporalState,
        *,
        frame_index: int,
    ) -> NetworkOutput:
        """Detect on a key frame.

        Args:
            context: Features of the other frames of the clip, in order of time.
            key: Features of the key frame.
            state: What the temporal module kept of the key frame before; empty at the start.
            frame_index: Of the key frame.
        """
        found = self.engine.fuse([one.maps for one in context], key.maps, state)
        (detections,) = postprocess(
            found.outputs,
            config=self.config,
            geometry=key.geometry,
            frame_indices=[frame_index],
            network=self.name,
        )
        return NetworkOutput(detections=detections, state=found.state)

    def _geometry_of(self, hw: tuple[int, int]) -> InputGeometry:
        """Return how frames of a size are brought to the network."""
        if hw not in self._geometries:
            self._geometries[hw] = InputGeometry.fit(
                hw, input_hw=self.model.input_hw, size_divisor=self._size_divisor
            )
            _warn_of_large(self._geometries[hw].input_hw)
        return self._geometries[hw]

    def _tensor(self, images: FloatArray) -> Tensor:
        """Return images (C, H, W) as a tensor (1, C, H, W) on the device."""
        return torch.from_numpy(np.ascontiguousarray(images))[None].to(self.device)


def _shrunk(image: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Return an image (H, W) at a smaller size (width, height), each pixel a mean."""
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)


def _warn_of_large(input_hw: tuple[int, int]) -> None:
    """Say what the network takes on large frames, before time is spent."""
    height, width = input_hw
    megapixels = height * width / 1e6
    if megapixels >= LARGE_MEGAPIXELS:
        log.warning(
            "Frames of %dx%d (%.3g megapixels): the network holds about %.0f GB and takes about "
            "%.0f s a frame on one CPU core. Crop the frames, pass a GPU as device, or take a "
            "detector that looks at single frames (`--detector lcm`).",
            width,
            height,
            megapixels,
            1 + _GIGABYTES_PER_MEGAPIXEL * megapixels,
            _CORE_SECONDS_PER_MEGAPIXEL * megapixels,
        )
