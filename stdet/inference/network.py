"""The network in an engine: features of a frame, and detections from features of several."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stdet.config import ModelConfig, PostprocessConfig
from stdet.datasets.clip_sampler import ClipShape
from stdet.datasets.input_geometry import InputGeometry
from stdet.inference.engines.engine import Engine, FrameMaps, State
from stdet.inference.postprocess import postprocess
from stdet.inference.window_outputs import whole_outputs
from stdet.inference.windows import CELL_PX, LEAST_AREA, WINDOW_PX, Window, WindowGrid
from stdet.registration.background_features import residuals_of, with_contrasts
from stdet.types import Detections, FloatArray

log = logging.getLogger(__name__)

LARGE_MEGAPIXELS = 4.0
"""From this area of a frame on, 10^6 pixels, a stream says beforehand what the network takes."""
_GIGABYTES_PER_MEGAPIXEL = 0.1
_CORE_SECONDS_PER_MEGAPIXEL = 0.35
"""Of `stdet_n` with 24 frames registered, as `benchmarks/load.py` measures them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkInput:
    """What the network looks at in one frame.

    Attributes:
        channels: float32 (1 + C, H, W): the frame in [0, 1] and its background features, none for
            a network without them.
    """

    channels: FloatArray

    @property
    def image(self) -> FloatArray:
        """The frame, float32 (H, W)."""
        image: FloatArray = self.channels[0]
        return image

    @property
    def background(self) -> FloatArray | None:
        """Background features, float32 (C, H, W); None for a network without them."""
        return self.channels[1:] if len(self.channels) > 1 else None

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
            return NetworkInput(channels=image[None])
        residuals = [_shrunk(residual, size) for residual in residuals_of(self.background)]
        return NetworkInput(channels=with_contrasts(image, residuals))


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameFeatures:
    """Features of one frame.

    Attributes:
        maps: What the engine keeps of it.
        geometry: How the frame was brought to the network.
    """

    maps: FrameMaps
    geometry: InputGeometry


class FrameInWindows:
    """A frame whose features are computed in windows, of each window when they are first needed.

    Args:
        frame: As the engine takes it, float32 (1, channels, H, W).
        geometry: How the frame was brought to the network.
        engine: What runs the network.
    """

    def __init__(self, frame: FloatArray, geometry: InputGeometry, engine: Engine) -> None:
        """Compute nothing yet."""
        self.geometry = geometry
        self._frame = frame
        self._engine = engine
        self._maps: dict[Window, FrameMaps] = {}

    def maps(self, window: Window) -> FrameMaps:
        """Return what the engine keeps of a window."""
        if window not in self._maps:
            part = self._frame[..., window.rows.whole, window.columns.whole]
            self._maps[window] = self._engine.frame_maps(np.ascontiguousarray(part))
        return self._maps[window]


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkOutput:
    """What the network says of one frame.

    Attributes:
        detections: Down to ``score_floor``.
        state: What the temporal module keeps for the next frame.
    """

    detections: Detections
    state: State


class Network:
    """A trained network in an engine.

    Args:
        engine: What runs it.
        model: The configuration it was built from.
        config: Postprocessing; all detections down to ``score_floor`` are returned.
        size_divisor: Height and width of what the engine takes are multiples of it, pixels.
        in_windows: Look at large frames at full size in windows alone; see ``windows.py``.
        weights: Where it came from, for messages; None where it was trained in this process.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        model: ModelConfig,
        config: PostprocessConfig,
        size_divisor: int,
        in_windows: bool = True,
        weights: Path | None = None,
    ) -> None:
        """Keep the parts."""
        self.name = "the network" if weights is None else f"the network of {weights}"
        self.engine = engine
        self.model = model
        self.config = config
        self.shape = ClipShape.of(model.temporal)
        self._size_divisor = size_divisor
        self._in_windows = in_windows
        self._geometries: dict[tuple[int, int], InputGeometry] = {}

    @property
    def num_later_frames(self) -> int:
        """Frames after a frame that its detections need."""
        return self.shape.num_future_frames * self.shape.frame_stride

    @property
    def num_kept_frames(self) -> int:
        """Frames from the first of a clip to the last."""
        return (self.shape.num_frames - 1) * self.shape.frame_stride + 1

    def features(self, seen: NetworkInput) -> FrameFeatures:
        """Compute the features of one frame."""
        frame, geometry = self._input(seen)
        return FrameFeatures(maps=self.engine.frame_maps(frame), geometry=geometry)

    def in_windows(self, seen: NetworkInput) -> FrameInWindows:
        """Take a frame at full size to be looked at in windows."""
        frame, geometry = self._input(seen)
        return FrameInWindows(frame, geometry, self.engine)

    def window_grid(self, hw: tuple[int, ...]) -> WindowGrid | None:
        """Return the windows for frames of a size; None where all of each is looked at.

        That is so for small frames, and for a network that has no smaller scale to say where.
        """
        model, (height, width) = self.model, self._geometry_of((hw[0], hw[1])).input_hw
        has_smaller = len(model.scales) > 1 and model.scales[0] == 1 and model.input_hw is None
        is_large = min(height, width) >= WINDOW_PX and height * width >= LEAST_AREA
        fits = WINDOW_PX % self._size_divisor == 0 and CELL_PX % model.pyramid.feature_stride == 0
        if not (self._in_windows and has_smaller and is_large and fits):
            return None
        return WindowGrid.of((height, width))

    def detect(
        self,
        context: Sequence[FrameFeatures],
        key: FrameFeatures,
        state: State,
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
        detections = postprocess(
            found,
            config=self.config,
            geometry=key.geometry,
            frame_index=frame_index,
            network=self.name,
        )
        return NetworkOutput(detections=detections, state=found.state)

    def detect_in_windows(
        self,
        context: Sequence[FrameInWindows],
        key: FrameInWindows,
        windows: Sequence[Window],
        *,
        frame_index: int,
    ) -> Detections:
        """Detect on a key frame, in some windows.

        Args:
            context: The other frames of the clip, in order of time.
            key: The key frame.
            windows: Where.
            frame_index: Of the key frame.
        """
        if not windows:
            return Detections.empty(frame_index=frame_index, image_hw=key.geometry.source_hw)
        found = [
            (window, self.engine.fuse([one.maps(window) for one in context], key.maps(window), ()))
            for window in windows
        ]
        return postprocess(
            whole_outputs(key.geometry.input_hw, found),
            config=self.config,
            geometry=key.geometry,
            frame_index=frame_index,
            network=self.name,
        )

    def _input(self, seen: NetworkInput) -> tuple[FloatArray, InputGeometry]:
        """Return a frame as the engine takes it, and how it was brought there."""
        geometry = self._geometry_of((seen.image.shape[0], seen.image.shape[1]))
        if self.model.in_channels == 1 and geometry.input_hw == geometry.source_hw:
            return seen.channels[None], geometry
        channels = [geometry.apply(seen.image[None])] * self.model.in_channels
        if seen.background is not None:
            channels.append(geometry.apply(seen.background, letterbox_value=0.0))
        return np.concatenate(channels)[None], geometry

    def _geometry_of(self, hw: tuple[int, int]) -> InputGeometry:
        """Return how frames of a size are brought to the network."""
        if hw not in self._geometries:
            self._geometries[hw] = InputGeometry.fit(
                hw, input_hw=self.model.input_hw, size_divisor=self._size_divisor
            )
            _warn_of_large(self._geometries[hw].input_hw)
        return self._geometries[hw]


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
